"""Committing: an evaluation's decision, made and written in one transaction or not at all."""

from __future__ import annotations

from email.utils import parseaddr
from typing import Final

from sqlalchemy import Connection

from config.errors import UsageError
from config.roster import Roster
from ledger import outbox, standings
from ledger.database import Database
from ledger.records import Decision
from monitors.decide import decide
from monitors.evaluate import Evaluated

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
                write(connection, decision, sender_domain(evaluated.watched.settings.email.sender))
        except outbox.KeyTakenError:
            if not remaining:
                raise
        else:
            return decision
    raise AssertionError("unreachable")


def write(connection: Connection, decision: Decision, domain: str) -> None:
    """Writes a decision. Raises KeyTakenError when one of its notices was decided already: roll back then."""
    standings.record_evaluation(connection, decision.evaluation)
    standings.close(connection, decision.closed)
    standings.replace(connection, decision.standings)
    standings.append(connection, decision.transitions)
    outbox.insert(connection, decision.notices, sender_domain=domain)


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
    since = min((verdict.period.start for verdict in evaluated.verdicts), default=at)
    return decide(
        watched,
        evaluated.verdicts,
        standings=standings.load(connection, watched.name),
        roster=roster,
        used_keys=outbox.used_keys(connection, watched.name, since),
        at=at,
        figures=evaluated.figures,
        unavailable=evaluated.problem is not None,
    )
