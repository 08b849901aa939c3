"""Committing: an evaluation's decision, made and written in one transaction or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parseaddr
from typing import Final

from sqlalchemy import Connection

from config.errors import UsageError
from config.models import Email
from config.roster import Roster
from ledger import outbox, standings
from ledger.database import Database
from ledger.records import Decision, Standing, Subject, SubjectKind
from ledger.standings import StandingKey
from monitors.decide import decide
from monitors.evaluate import Evaluated
from monitors.watched import Watched

_ATTEMPTS: Final = 3


class OutdatedEvaluationError(UsageError):
    """The monitor was evaluated for a later instant already: standings do not go back in time."""


def commit(database: Database, evaluated: Evaluated, roster: Roster) -> Decision:
    """Decides under the database's write lock what follows from an evaluation, writes it, and returns it.

    Standings and used keys are read in the transaction that writes, so whoever else evaluated in the meantime has
    decided already, and nothing is decided twice. Where a database lets two decide at once, the keys' primary key stops
    the second; its transaction is rolled back as a whole and decided again.

    Raises:
        OutdatedEvaluationError: when the monitor has an evaluation of a later instant.
        LedgerError: when the database cannot be written; nothing was kept.
    """
    for remaining in reversed(range(_ATTEMPTS)):
        try:
            with database.begin() as connection:
                decision = _decision(connection, evaluated, roster)
                write(connection, decision, evaluated.watched.settings.email)
        except outbox.KeyTakenError:
            if not remaining:
                raise
        else:
            return decision
    raise AssertionError("unreachable")


def write(connection: Connection, decision: Decision, mail: Email) -> None:
    """Writes a decision. Raises KeyTakenError when one of its notices was decided already: roll back then."""
    standings.record_evaluation(connection, decision.evaluation)
    standings.close(connection, decision.closed)
    standings.replace(connection, decision.standings)
    standings.append(connection, decision.transitions)
    if decision.judged_through is not None:
        standings.set_judged_through(connection, decision.evaluation.monitor, decision.judged_through)
    outbox.insert(
        connection,
        decision.notices,
        sender_domain=sender_domain(mail.sender),
        channel=mail.transport,
        watched=decision.watched,
    )


def sender_domain(sender: str) -> str:
    """What stands after the @ of the sender's address: the right half of every Message-ID."""
    return parseaddr(sender)[1].partition("@")[2] or "localhost"


def _decision(connection: Connection, evaluated: Evaluated, roster: Roster) -> Decision:
    watched, at = evaluated.watched, evaluated.at
    last = standings.last_evaluated(connection, watched.name)
    if last is not None and last > at:
        raise OutdatedEvaluationError(
            f"monitor {watched.name} was evaluated at {last.isoformat()} already, later than {at.isoformat()}; "
            "standings do not go back in time, so evaluate a later instant"
        )
    known = standings.load(connection, watched.name)
    since = min(
        [*(verdict.period.start for verdict in evaluated.verdicts), *_outages(connection, evaluated.watched, known)],
        default=at,
    )
    before = standings.evaluations(connection, watched.name, limit=1, before=at)
    return decide(
        watched,
        evaluated.verdicts,
        standings=known,
        roster=roster,
        used_keys=outbox.used_keys(connection, watched.name, since),
        at=at,
        figures=evaluated.figures,
        problem=evaluated.problem,
        backfilling=evaluated.backfilling,
        stale=evaluated.stale,
        newest=evaluated.newest,
        failed_before=bool(before) and before[0].outcome == "unavailable",
        repeated=last == at,
        judged_through=evaluated.judged_through,
    )


def _outages(connection: Connection, watched: Watched, known: Mapping[StandingKey, Standing]) -> Iterator[datetime]:
    """When what stands of the log store began: it was told then, which may be longer ago than any period's start."""
    for standing in known.values():
        if standing.subject != Subject(SubjectKind.STORE, watched.view.store):
            continue
        yield standing.since
        if not standing.breached:  # that it is over may still wait for a route's hours
            for change in standings.history(connection, watched.name, standing.subject):
                if (change.threshold, change.episode, change.breached) == (standing.threshold, standing.episode, True):
                    yield change.at
