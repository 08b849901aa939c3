"""ElastAlert2's configuration for our customers, limits, filter and addresses, as its documentation teaches.

Two ways (docs/source/ruletypes.rst of the project): a rule file per customer and limit, type `frequency` with
`use_count_query` ("it should be used if you expect a large number of query hits"; a warning needs "a second rule with a
lower threshold", recipes/faq.rst), and a rule per tier and limit, type `metric_aggregation` with `query_key`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

THREADS: Final = 10


@dataclass(frozen=True)
class Watched:
    """A customer as its rules need it: more than `warning` and more than `most` are told, and fewer than `least`."""

    id: str
    tier: str
    warning: int
    most: int

    @property
    def email(self) -> str:
        """Where it is told: what `email_from_field` and `email_add_domain` make of its id."""
        return f"{self.id}@example.com"


@dataclass(frozen=True)
class Setup:
    """Where the messages are and how often they are looked at. `filter` is a list of filters in block YAML."""

    url: str
    index: str
    filter: str
    run_every: str
    smtp_port: int
    writeback: str
    realert: str = "days: 1"


@dataclass(frozen=True)
class Grouped:
    """What the grouped rules set beyond what they need. `this_month` narrows them to the calendar month, in UTC."""

    terms_size: int | None = None
    keep_failing_rules: bool = False
    unseen: bool = False
    this_month: bool = False


def write_configuration(folder: Path, setup: Setup, extra: Grouped) -> Path:
    """The global file, and an empty folder for rules."""
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    parts = urlsplit(setup.url)
    path = folder / "config.yaml"
    path.write_text(
        f"rules_folder: {folder}/rules\n"
        f"run_every: {{{setup.run_every}}}\n"
        "buffer_time: {minutes: 15}\n"
        f"es_host: {parts.hostname}\nes_port: {parts.port}\n"
        f"writeback_index: {setup.writeback}\n"
        f"max_threads: {THREADS}\n" + ("disable_rules_on_error: false\n" if extra.keep_failing_rules else "")
    )
    return path


def write_files(folder: Path, setup: Setup, watched: Sequence[Watched], least: int | None = None) -> int:
    """A rule file per customer and limit, and where there is a `least` one of type `flatline` for that; how many."""
    number = 0
    for one in watched:
        kinds: Mapping[str, str] = {
            "warning": f"type: frequency\nnum_events: {one.warning + 1}\n",
            "max": f"type: frequency\nnum_events: {one.most + 1}\n",
            **({} if least is None else {"low": f"type: flatline\nthreshold: {least}\n"}),
        }
        for kind, rule in kinds.items():
            (folder / "rules" / f"{one.id}-{kind}.yaml").write_text(
                f"name: {one.id} {kind}\n{rule}"
                "timeframe:\n  days: 31\n"
                "use_count_query: true\n"
                f"index: {setup.index}\n"
                f"filter:\n{setup.filter}- term:\n    customer.id: {one.id}\n" + _mail(setup, one.email, kind)
            )
            number += 1
    return number


def write_grouped(folder: Path, setup: Setup, watched: Sequence[Watched], extra: Grouped) -> int:
    """A rule per tier and limit; how many. All customers of a tier have the same limits."""
    tiers: dict[str, list[Watched]] = defaultdict(list)
    for one in watched:
        tiers[one.tier].append(one)
    for tier, members in sorted(tiers.items()):
        for kind, limit in (("warning", members[0].warning), ("max", members[0].most)):
            scope = f"- term:\n    customer.tier: {tier}\n"
            if extra.this_month:
                scope += '- range:\n    "@timestamp":\n      gte: now/M\n'
            _grouped(folder, setup, extra, f"{tier} {kind}", kind, f"max_threshold: {limit}\n", scope)
    return 2 * len(tiers)


def write_grouped_low(folder: Path, setup: Setup, least: int, extra: Grouped) -> None:
    """One more rule, for whoever used less than that in the window: all tiers have the same."""
    threshold = f"min_threshold: {least}\n" + ("min_doc_count: 0\n" if extra.unseen else "")
    _grouped(folder, setup, extra, "all low", "low", threshold, "")


def _grouped(folder: Path, setup: Setup, extra: Grouped, name: str, kind: str, threshold: str, scope: str) -> None:
    size = "" if extra.terms_size is None else f"terms_size: {extra.terms_size}\n"
    (folder / "rules" / f"{name.replace(' ', '-')}.yaml").write_text(
        f"name: {name}\ntype: metric_aggregation\n"
        "metric_agg_key: event.id\nmetric_agg_type: value_count\nquery_key: customer.id\n"
        f"{threshold}{size}"
        "buffer_time:\n  days: 31\nallow_buffer_time_overlap: true\n"
        f"index: {setup.index}\n"
        f"filter:\n{setup.filter}{scope}"
        + _mail(setup, "operations@example.com", kind)
        + 'email_from_field: customer.id\nemail_add_domain: "@example.com"\n'
    )


def _mail(setup: Setup, email: str, kind: str) -> str:
    return (
        f"realert:\n  {setup.realert}\n"
        "alert:\n- email\n"
        f"email: {email}\nalert_subject: {kind}\n"
        f"from_addr: usage@example.com\nsmtp_host: 127.0.0.1\nsmtp_port: {setup.smtp_port}\n"
    )
