"""The ledger: its database, the service that works on it, and what waits in the outbox."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from config.load import Loaded
from ledger import checkup, deliveries, due, holds, lease, standings, suppressions
from ledger.database import REVISIONS, Database, backend_of
from ledger.deliveries import Outgoing, Status
from ledger.due import Due
from ledger.records import Evaluation
from ledger.sqlite import SQLite
from tallywatch.doctor.finding import Check, Finding, ago, failed, length, ok, warning
from tallywatch.doctor.machine import unwritable
from tallywatch.service.heartbeat import OLD_AFTER, OVERDUE_AFTER

STUCK_AFTER: Final = timedelta(minutes=15)
"""How late the service's next work may be before it counts as stuck: it does one thing after another."""

RECENT: Final = timedelta(days=30)
"""How long a delivery that was given up is told."""

_NEVER_LEFT: Final[tuple[Status, ...]] = ("dead", "expired")
_SHOWN: Final = 5


def schema(url: str, revision: str | None) -> Finding:
    """Whether the database is there, and of this version."""
    backend = backend_of(url)
    if revision is None:
        if isinstance(backend, SQLite) and (problem := unwritable(backend.path.parent)) is not None:
            return failed(Check.SCHEMA, "", f"{backend.name} is not there, and {problem}", "correct settings.database")
        remedy = "the first command makes it, such as tallywatch run; if there should be one, correct settings.database"
        return warning(Check.SCHEMA, "", f"{backend.name} is not there yet, or empty", remedy)
    if revision != REVISIONS[-1]:
        found = f"{backend.name} has schema {revision}, of an earlier version; this one needs {REVISIONS[-1]}"
        return warning(Check.SCHEMA, "", found, "stop the service, back up, and start it: it upgrades the database")
    return ok(Check.SCHEMA, "", f"{revision}, up to date")


def database(opened: Database) -> Finding:
    """Whether the engine is one that can keep a ledger, and the database can be written.

    Raises:
        LedgerError: when it cannot be asked, or written.
    """
    engine, name = checkup.engine_of(opened), opened.backend.name
    if engine.problem is not None:
        return failed(Check.DATABASE, "", f"{name}: {engine.problem}", engine.remedy)
    checkup.prove_writable(opened)
    if (kind := checkup.network_file_system(opened)) is not None:
        found = f"{name} lies on a network file system ({kind}), on which locks cannot be trusted"
        return failed(Check.DATABASE, "", found, "put it on a local disk, or use PostgreSQL")
    made = ", a simulation: nothing leaves" if opened.simulation else ""
    return ok(Check.DATABASE, "", f"{name} ({engine.name}) can be read and written{made}")


def service(opened: Database, at: datetime, *, needed: bool = False) -> Finding:
    """Whether a service works on the ledger, and gets on with it. Where one is `needed`, its absence is a failure.

    Raises:
        LedgerError: when that cannot be found out.
    """
    if not lease.is_held(opened):
        judged = failed if needed else warning
        return judged(Check.SERVICE, "", "no service works on this ledger", "start it: tallywatch run")
    with opened.connect() as connection:
        entries = due.load(connection).values()
    first = min(entries, key=lambda entry: entry.at, default=None)
    if first is None:
        return ok(Check.SERVICE, "", "one works on this ledger, and begins")
    if at - first.at > STUCK_AFTER:
        found = f"one works on this ledger and does not get on: {first.name!r} has been due for {length(at - first.at)}"
        return failed(Check.SERVICE, "", found, "look at its log for what it does; start it again if that is nothing")
    when = first.at.isoformat(timespec="seconds")
    return ok(Check.SERVICE, "", f"one works on this ledger; next comes {first.name!r}, at {when}")


def evaluations(loaded: Loaded, opened: Database, at: datetime) -> Iterator[Finding]:
    """When each monitor was evaluated, and how that went."""
    with opened.connect() as connection:
        entries = due.load(connection)
        last = {name: standings.evaluations(connection, name, limit=1) for name in loaded.config.monitors}
    for name, found in last.items():
        yield evaluation(name, found[0] if found else None, entries, at)


def evaluation(name: str, last: Evaluation | None, entries: Mapping[str, Due], at: datetime) -> Finding:
    """When a monitor was evaluated, and how that went."""
    check, about, entry = Check.EVALUATIONS, f"monitor {name}", entries.get(f"evaluate {name}")
    if entry is not None and entry.failures:
        remedy = "mend what it says; the service tries again by itself"
        return failed(check, about, f"failed {entry.failures:,} times in a row: {entry.detail}", remedy)
    if last is None:
        return warning(
            check, about, "was never evaluated", f"start the service, or: tallywatch evaluate {name} --commit"
        )
    told = f"last at {ago(last.at, at)}"
    if last.outcome == "unavailable":
        return failed(check, about, f"{told}, when the log store could not be counted", "see the lines of its store")
    if last.outcome == "backfilling":
        found = f"{told}, when {last.figures.get('counted')} of what it needs had been counted; it tells nobody yet"
        return warning(check, about, found, "nothing: the service counts the rest in the background")
    if entry is not None and at - entry.at > OVERDUE_AFTER:
        found = f"{told}; the next has been due for {length(at - entry.at)}"
        return warning(check, about, found, "start the service, or see whether it gets on")
    if last.outcome == "stale":
        found = f"{told}, when no messages arrived any more; low counts were not judged"
        return warning(check, about, found, "see why the feed stopped")
    return ok(check, about, told)


def outbox(opened: Database, at: datetime) -> Iterator[Finding]:
    """What waits, what is held, and what was given up lately."""
    with opened.connect() as connection:
        numbers = deliveries.count_by_status(connection)
        oldest = deliveries.oldest_waiting(connection, at)
        held = holds.list_holds(connection, status="held")
        lost = {
            status: deliveries.list_deliveries(connection, status=status) for status in _NEVER_LEFT if numbers[status]
        }
    waiting = numbers["queued"] + numbers["claimed"]
    told = f"{waiting:,} waiting, {numbers['delivered']:,} delivered"
    if oldest is not None and at - oldest > OLD_AFTER:
        found = f"{told}; the oldest has waited since {ago(oldest, at)}"
        yield warning(Check.OUTBOX, "", found, "tallywatch notices list --status queued shows why")
    else:
        yield ok(Check.OUTBOX, "", told)
    for hold in held:
        found = f"{hold.notices:,} notices are held since {ago(hold.at, at)}, of {hold.watched:,} customers watched"
        remedy = f"look at them, then: tallywatch notices release {hold.id} --reason …, or discard"
        yield warning(Check.OUTBOX, f"monitor {hold.monitor}", found, remedy)
    for status, them in lost.items():
        recent = [item for item in them if (item.delivery.finished_at or at) > at - RECENT]
        if recent:
            yield _given_up(status, recent)


def _given_up(status: Status, them: Sequence[Outgoing]) -> Finding:
    named = "; ".join(
        f"{item.delivery.notice_id[:8]} to {item.delivery.address}: {item.delivery.detail}" for item in them[:_SHOWN]
    )
    more = f"; and {len(them) - _SHOWN:,} more" if len(them) > _SHOWN else ""
    many = "1 delivery was" if len(them) == 1 else f"{len(them):,} deliveries were"
    found = f"{many} given up as {status} in the last {RECENT.days} days: {named}{more}"
    return warning(Check.OUTBOX, "", found, "mend the reason, then: tallywatch notices retry NOTICE")


def addresses(opened: Database) -> Finding:
    """Which addresses nothing is sent to, because their mail server refused them for good."""
    with opened.connect() as connection:
        found = suppressions.list_suppressions(connection)
    if not found:
        return ok(Check.ADDRESSES, "", "none is suppressed")
    named = "; ".join(f"{item.address} ({item.reason})" for item in found[:_SHOWN])
    more = f"; and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    many = "1 address gets" if len(found) == 1 else f"{len(found):,} addresses get"
    remedy = "correct them on the roster; if one works again: tallywatch notices retry NOTICE"
    return warning(Check.ADDRESSES, "", f"{many} nothing any more: {named}{more}", remedy)
