"""Our configuration for the same customers and limits as ElastAlert2's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CONFIGURATION: Final = """
settings:
  database: sqlite:///tallywatch.db
  email: {{{email}}}
stores:
  api:
{store}    fields: {{time: "@timestamp", customer: customer.id, id: event.id{ingested}}}
    lateness: 72h
tiers:
{tiers}customers: {{file: customers.csv}}
recipients: {{ops: {{email: operations@example.com}}}}
views:
  calls:
    store: api
    meter: calls
    where:
{where}monitors:
  limit:
    view: calls
    window: month
    schedule: {{every: {every}}}
    thresholds: {{warning: {{severity: warning, max: 90%}}, max: {{severity: error, max: 100%}}}}
    notify: {{warn: {{when: warning, to: customer}}, over: {{when: max, to: customer}}}}
{low}"""
_LOW: Final = """
  low:
    view: calls
    window: month
    schedule: {{every: {every}}}
    thresholds: {{low: {{severity: warning, min: {least}}}}}
    notify: {{tell: {{when: low, to: customer, template: low_usage}}}}
"""


@dataclass(frozen=True)
class Own:
    """What differs from one benchmark to the next. `where` is a mapping in block YAML, indented by six."""

    where: str
    included: Mapping[str, int]
    every: str = "15m"
    smtp_port: int | None = None
    least: int | None = None
    url: str | None = None
    index: str = ""


def write(folder: Path, own: Own, customers: Iterable[tuple[str, str]]) -> Path:
    """The configuration and its roster of (id, tier); an address is the id at example.com. Without a URL the store is
    an embedded one, in the folder `events`."""
    folder.mkdir(parents=True, exist_ok=True)
    smtp = f"transport: smtp, host: 127.0.0.1, port: {own.smtp_port}, start_tls: false, sender: usage@example.com"
    elastic = f"    type: elasticsearch\n    hosts: [{own.url}]\n    index: {own.index}\n"
    path = folder / "tallywatch.yaml"
    path.write_text(
        _CONFIGURATION.format(
            email="transport: files, folder: mail" if own.smtp_port is None else smtp,
            store="    type: embedded\n    folder: events\n" if own.url is None else elastic,
            ingested="" if own.url is None else ", ingested: event.ingested",
            tiers="".join(
                f"  {tier}: {{prices: {{calls: {{included: {number}, overage: 0.01}}}}}}\n"
                for tier, number in own.included.items()
            ),
            where=own.where,
            every=own.every,
            low="" if own.least is None else _LOW.format(every=own.every, least=own.least),
        )
    )
    rows = "".join(f"{id_},{tier},{id_}@example.com,2026-10-01\n" for id_, tier in customers)
    (folder / "customers.csv").write_text("id,tier,emails,from\n" + rows)
    return path
