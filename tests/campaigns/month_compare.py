"""What the service left behind, in the model's words, and where the two differ."""

from __future__ import annotations

import email
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email import policy
from pathlib import Path
from typing import Any

from month_closing import Closed
from month_model import Watch
from month_people import GONE
from month_records import Change
from month_service import Mail
from month_telling import About, Told, instant
from sqlalchemy import Connection, select

from ledger.database import Database
from ledger.tables import delivery, evaluation, notice, notice_key, transition

SHOWN = 8


@dataclass
class Comparison:
    """A table of what was compared, and every difference."""

    rows: list[tuple[str, int, int]] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def same(self, what: str, expected: Iterable[Any], found: Iterable[Any]) -> None:
        """Compares two collections, of which the order does not matter and repetitions do."""
        wanted, had = Counter(expected), Counter(found)
        missing, more = list((wanted - had).elements()), list((had - wanted).elements())
        self.rows.append((what, wanted.total(), len(missing) + len(more)))
        for kind, items in (("missing", missing), ("not expected", more)):
            self.differences += [f"{what}: {kind}: {item}" for item in items[:SHOWN]]
            if len(items) > SHOWN:
                self.differences.append(f"{what}: {kind}: and {len(items) - SHOWN} more")

    def table(self) -> str:
        """For people."""
        lines = [f"{'compared':<46}{'number':>9}{'different':>11}"]
        lines += [f"{what:<46}{number:>9,}{different:>11,}" for what, number, different in self.rows]
        return "\n".join(lines)


def compare_evaluations(result: Comparison, database: Database, watches: Iterable[Watch]) -> None:
    """Each evaluation, its instant, and how many subjects had which state."""
    columns = (evaluation.c.monitor, evaluation.c.at, evaluation.c.figures)
    with database.connect() as connection:
        rows = connection.execute(select(*columns).order_by(evaluation.c.id)).all()
    states = ("ok", "warning", "error", "unavailable")
    first: dict[Any, Any] = {}
    for row in rows:
        # repeated after a crash it has the same figures, or, where it had judged a period for good, fewer
        first.setdefault((row.monitor, row.at), tuple((s, row.figures[s]) for s in states if s in row.figures))
    found = {(*key, counted) for key, counted in first.items()}
    expected = {
        (watch.monitor.name, at, tuple((s, counted[s]) for s in states if counted[s]))
        for watch in watches
        for at, counted in watch.states.items()
    }
    result.same("evaluations, with the number of each state", expected, found)


def compare_changes(result: Comparison, database: Database, watches: Iterable[Watch]) -> None:
    """Each change of a standing."""
    with database.connect() as connection:
        rows = connection.execute(select(transition)).all()
    found = [
        Change(
            row.monitor, _subject(row.subject_kind, row.subject), row.period_start, row.threshold, row.breached,
            row.at, row.episode,
        )
        for row in rows
    ]  # fmt: skip
    expected = [change for watch in watches for change in watch.changes]
    for kind in ("customer", "total", "store"):
        result.same(
            f"transitions: {kind}",
            [_readable(change) for change in expected if _kind(change.subject) == kind],
            [_readable(change) for change in found if _kind(change.subject) == kind],
        )


def compare_notices(result: Comparison, database: Database, expected: Iterable[Told]) -> None:
    """Each notice: what of whom was told when, to which addresses, and what it made unnecessary."""
    wanted = list(expected)
    with database.connect() as connection:
        found = list(_notices(connection))
    for kind in ("customer", "breach", "repeat", "recovery", "news", "held"):
        who = "customers" if kind == "customer" else f"operations, {kind}"
        result.same(
            f"notices: {who}",
            [told for told in wanted if told.kind == kind],
            [told for told in found if told.kind == kind],
        )


def compare_deliveries(result: Comparison, database: Database, expected: Iterable[Told], mail: Mail) -> None:
    """Each notice reached each address exactly once; twice only where nobody could know that it had."""
    wanted = Counter(
        (told.monitor, told.route, told.kind, told.at, address, "suppressed" if address == GONE else "delivered")
        for told in expected
        for address in told.addresses
    )
    with database.connect() as connection:
        kinds = {item[0]: item[1] for item in _identified(connection)}
        rows = connection.execute(select(delivery)).all()
    found = [
        (kinds[row.notice_id].monitor, kinds[row.notice_id].route, kinds[row.notice_id].kind,
         kinds[row.notice_id].at, row.address, row.status)
        for row in rows
    ]  # fmt: skip
    result.same("deliveries, by address and how they ended", wanted.elements(), found)
    taken: dict[str, list[tuple[datetime | None, str, bytes]]] = defaultdict(list)
    for at, one in zip(mail.taken_at, mail.accepted, strict=True):
        parsed = email.message_from_bytes(one.message, policy=policy.SMTP)
        taken[str(parsed["Message-ID"])].append((at, one.recipient, one.message))
    result.same(
        "messages that the mail server has at all",
        [(row.message_id, row.address) for row in rows if row.status == "delivered"],
        {(id_, recipient) for id_, copies in taken.items() for _, recipient, _ in copies},
    )
    again = {id_: copies for id_, copies in taken.items() if len(copies) > 1}
    result.same(
        "messages taken twice outside the acceptance window",
        [],
        [(id_, [at for at, *_ in copies]) for id_, copies in again.items()
         if any(at not in mail.windows for at, *_ in copies[:-1])],
    )  # fmt: skip
    result.same(
        "second copies with other bytes",
        [],
        [id_ for id_, copies in again.items() if len({(who, content) for _, who, content in copies}) > 1],
    )
    print(f"{len(mail.accepted)} messages were taken, {sum(len(c) - 1 for c in again.values())} of them again")


def compare_files(result: Comparison, base: Path, expected: Iterable[Closed]) -> None:
    """Each file for finance, byte by byte."""
    wanted = {closed.path: closed.content for closed in expected}
    found = {str(path.relative_to(base)): path.read_bytes() for path in base.glob("exports/**/*.csv")}
    result.same("files for finance", list(wanted), list(found))
    result.same("rows of them", _rows(wanted), _rows(found))
    both = wanted.keys() & found.keys()
    result.same("files with other bytes", [], [name for name in both if wanted[name] != found[name]])


def _rows(files: Mapping[str, bytes]) -> list[tuple[str, str]]:
    return [(name, row) for name, content in files.items() for row in content.decode().split("\r\n")]


def _notices(connection: Connection) -> list[Told]:
    return [told for _, told in _identified(connection)]


def _identified(connection: Connection) -> list[tuple[str, Told]]:
    """Every notice of the ledger in the model's words, from its decision keys, with what it states of a customer."""
    keys: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(select(notice_key)):
        keys[row.notice_id].append(row)
    addresses: dict[str, list[str]] = defaultdict(list)
    for row in connection.execute(select(delivery).order_by(delivery.c.id)):
        addresses[row.notice_id].append(row.address)
    return [(row.id, _told(row, keys[row.id], tuple(addresses[row.id]))) for row in connection.execute(select(notice))]


def _told(row: Any, keys: list[Any], addresses: tuple[str, ...]) -> Told:
    if row.route in ("news", "held"):
        return Told(row.monitor, row.route, row.route, row.decided_at, (), addresses)
    kind = "customer" if row.kind == "customer" else _kind_of(keys[0].key)
    quantity = int(row.facts["quantity"]) if kind == "customer" else None
    about = [_about(key.key, quantity) for key in keys if not key.superseded]
    superseded = [_about(key.key, None) for key in keys if key.superseded]
    return Told(
        row.monitor, row.route, kind, row.decided_at, tuple(sorted(about)), addresses, tuple(sorted(superseded))
    )


def _kind_of(key: str) -> str:
    head = key.partition("|")[0].partition("@")[0]
    return {"ops": "breach", "ops-repeat": "repeat", "ops-recovery": "recovery"}[head]


def _about(key: str, quantity: int | None) -> About:
    head, _, rest = key.partition("|")
    if head == "customer":
        _, _, threshold, period, subject = rest.split("|", 4)
        return About(subject, period, threshold, 0, quantity)
    _, _, threshold, period, episode, subject = rest.split("|", 5)
    kind, _, name = subject.partition(":")
    return About(_subject(kind, name), "always" if kind == "store" else period, threshold, int(episode))


def _subject(kind: str, name: str) -> str:
    return name if kind == "customer" else kind


def _kind(subject: str) -> str:
    return subject if subject in ("total", "store") else "customer"


def _readable(change: Change) -> tuple[object, ...]:
    start = "always" if change.subject == "store" else instant(change.period)
    verb = "breached" if change.breached else "clear"
    return (change.monitor, change.subject, start, change.threshold, verb, instant(change.at), change.episode)
