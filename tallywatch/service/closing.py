"""The job that closes months: each statement as soon as it has settled, and its files as soon as it is sealed.

Statements of what ended before the installation was made are left to `tallywatch close`. That files have to be written
is noted in the due table before anything is sealed, so a crash in between only delays them, and the news of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import select

from config.load import Loaded
from exporters.closing import Outcome, close_month, not_closed
from exporters.files import write_month
from exporters.statements import Accounts
from ledger import due, statements, tables
from ledger.database import Database
from ledger.due import Due
from ledger.statements import SealedStatement, StatementKey
from tallywatch import compose
from tallywatch.service import news
from tallywatch.service.jobs import Job, every

ACTOR: Final = "tallywatch run"
LOOK_EVERY: Final = timedelta(minutes=15)
ASK_AGAIN_AFTER: Final = timedelta(hours=6)
"""How long a month waits that was counted and could not be sealed, before it is counted again."""

log = structlog.get_logger("tallywatch.service.closing")


def closing(loaded: Loaded, database: Database) -> Iterator[Job]:
    """One job per export that is closed automatically or has to be reviewed."""
    for export in loaded.config.exports:
        yield _job(loaded, database, export)


def writing(loaded: Loaded, database: Database, month: str) -> Job:
    """The job that writes a month's files: due once, at once."""
    rule, first, following = every(ASK_AGAIN_AFTER)

    def run(at: datetime) -> str | None:
        # here, and not when it was sealed: this is done again after a crash in between
        with database.connect() as connection:
            closed = statements.of_month(connection, month)
        for item in closed:
            if item.statement.approved == "auto":
                _tell_closed(loaded, database, item, at)
        for written in write_month(database, loaded.base, month):
            log.info("written", file=str(written.path))
        with database.begin() as connection:
            due.remove(connection, _to_write(month))
        return None

    return Job(_to_write(month), rule, first, following, run)


def months_to_write(entries: dict[str, Due]) -> list[str]:
    """The months whose files are still to be written."""
    return sorted(name.removeprefix("write ") for name in entries if name.startswith("write "))


def _to_write(month: str) -> str:
    return f"write {month}"


def _job(loaded: Loaded, database: Database, export: str) -> Job:
    rule, first, following = every(LOOK_EVERY)
    waiting: dict[str, datetime] = {}

    def run(at: datetime) -> str | None:
        accounts = compose.accounts(loaded, database, at)
        for month in _settled(accounts, database, export, at):
            if waiting.get(month, at) > at:
                continue
            with database.begin() as connection:
                due.put(connection, Due(_to_write(month), at, every(ASK_AGAIN_AFTER)[0]))
            outcomes = close_month(
                database, accounts, month, [export], approve=False, actor=ACTOR, since=_installed(database)
            )
            _tell(loaded, database, outcomes, at)
            if any(outcome.state in ("held", "to review") for outcome in outcomes):
                waiting[month] = at + ASK_AGAIN_AFTER
            writing(loaded, database, month).run(at)
        return None

    return Job(f"close {export}", rule, first, following, run)


def _settled(accounts: Accounts, database: Database, export: str, at: datetime) -> list[str]:
    """The months of which a statement can be closed now, and is not; those that ended since the installation."""
    created = _installed(database)
    return [
        month
        for month in _months(created, at)
        if any(
            accounts.event_cutoff(key) > created and accounts.closable_from(key) <= at
            for key in not_closed(database, accounts, month, [export])
        )
    ]


def _installed(database: Database) -> datetime:
    """When the installation was made. Statements of what ended before are for `tallywatch close`."""
    with database.connect() as connection:
        created: datetime = connection.execute(select(tables.installation.c.created_at)).scalar_one()
    return created


def _months(first: datetime, last: datetime) -> Iterator[str]:
    """The calendar months from the one before `first` to that of `last`: those whose periods can end in between."""
    number = first.year * 12 + first.month - 2
    while number <= last.year * 12 + last.month - 1:
        yield f"{number // 12:04}-{number % 12 + 1:02}"
        number += 1


def _tell(loaded: Loaded, database: Database, outcomes: tuple[Outcome, ...], at: datetime) -> None:
    """Tells operations of what waits for them."""
    headlines = {"held": "is held", "to review": "is to be reviewed"}
    for outcome in outcomes:
        log.info("closing", statement=str(outcome.key), state=outcome.state, sentence=outcome.sentence)
        if outcome.state in headlines:
            _tell_of(loaded, database, outcome.key, outcome.state, headlines[outcome.state], outcome.sentence, at)


def _tell_closed(loaded: Loaded, database: Database, item: SealedStatement, at: datetime) -> None:
    key = item.statement.key
    sentence = f"{key} is closed: {item.rows} customer{'' if item.rows == 1 else 's'}"
    _tell_of(loaded, database, key, "closed", "is closed", sentence, at)


def _tell_of(
    loaded: Loaded, database: Database, key: StatementKey, state: str, headline: str, sentence: str, at: datetime
) -> None:
    news.tell(
        database,
        loaded,
        about=f"close {key.export}",
        affair=f"{key}|{state}",
        headline=f"{key} {headline}",
        paragraphs=[sentence],
        at=at,
    )
