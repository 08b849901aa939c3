"""The database that the ledger lives in: opened, created and brought up to date here, and nowhere else.

SQLite in a file (`ledger.sqlite`) or PostgreSQL on a server (`ledger.postgresql`). On both, one write transaction runs
at a time, and a reading one sees one snapshot.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ledger import tables
from ledger.backend import WRITING, Backend, LedgerChoiceError, LedgerError
from ledger.postgresql import PostgreSQL
from ledger.sqlite import SQLite

__all__ = ["Database", "LedgerChoiceError", "LedgerError", "open_database", "schema_of"]

REVISIONS: Final = ("0001", "0002", "0003", "0004")
"""Every revision of the schema that this program knows, oldest first. Alembic is imported only to reach the last."""


@dataclass(frozen=True, slots=True)
class Database:
    """An open ledger. `simulation` tells whether time may be made up in it; that is fixed when it is created."""

    engine: Engine
    backend: Backend
    simulation: bool

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A connection in a write transaction: committed at the end of the block, rolled back when it raises.

        Raises:
            LedgerError: for whatever the database refuses; waits `PATIENCE_SECONDS` for another writer first.
        """
        with _told(self.backend), self.engine.execution_options(**{WRITING: True}).begin() as connection:
            yield connection

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection for reading: one consistent snapshot for the whole block, which no writer waits for.

        Raises:
            LedgerError: for whatever the database refuses.
        """
        with _told(self.backend), self.engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Gives all connections back."""
        self.engine.dispose()


def open_database(url: str, *, simulation: bool, now: datetime) -> Database:
    """The ledger at that URL, created or brought up to date when needed; safe beside other processes doing the same.

    Costs three reads when the schema is up to date; creating imports Alembic (0.3 s).

    Raises:
        LedgerChoiceError: when the URL is of neither SQLite nor PostgreSQL, or the database was created with another
            `simulation`.
        LedgerError: when the database cannot be opened, is not ours, or is of a newer program.
    """
    backend = backend_of(url)
    engine = backend.engine()
    database = Database(engine, backend, simulation)
    try:
        with database.connect() as connection:
            revision = _revision(connection, backend.name)
        with _told(backend):
            backend.prepare(engine)
        if revision != REVISIONS[-1]:
            _migrate(database, now)
        with database.connect() as connection:
            simulated = connection.execute(select(tables.installation.c.simulation)).scalar_one()
        _check_simulation(backend.name, simulated, wanted=simulation)
    except BaseException:
        engine.dispose()
        raise
    return database


def schema_of(url: str) -> str | None:
    """The schema's revision in the database at that URL, None where there is nothing yet. Changes and creates nothing.

    Raises as `open_database` does.
    """
    backend = backend_of(url)
    if isinstance(backend, SQLite) and not backend.path.exists():
        return None
    database = Database(backend.engine(), backend, simulation=False)
    try:
        with database.connect() as connection:
            return _revision(connection, backend.name)
    finally:
        database.close()


def backend_of(url: str) -> Backend:
    """The engine and place that a database URL names. Opens nothing.

    Raises:
        LedgerChoiceError: when it is no URL, or of neither SQLite nor PostgreSQL.
        LedgerError: when there can be no file where it says.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise LedgerChoiceError(
            f"settings.database is no database URL: {url!r}; write one such as sqlite:///tallywatch.db"
        ) from error
    match parsed.get_backend_name():
        case "sqlite":
            return SQLite.of(parsed)
        case "postgresql":
            return PostgreSQL.of(parsed)
        case other:
            raise LedgerChoiceError(
                f"settings.database names {other}; the ledger is kept in SQLite (sqlite:///tallywatch.db) or "
                "PostgreSQL (postgresql://USER@HOST/DATABASE)"
            )


def _revision(connection: Connection, name: str) -> str | None:
    """The schema's revision; None for a database with nothing in it."""
    names = set(inspect(connection).get_table_names())
    if not names:
        return None
    revision = None
    if {"alembic_version", "installation"} <= names:
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if revision is None:
        raise LedgerError(f"{name} is a database of another program; let settings.database name one of its own")
    if revision not in REVISIONS:
        raise LedgerError(
            f"{name} was written by a newer tallywatch (schema {revision}, this one knows {REVISIONS[-1]}); "
            "install that version again"
        )
    return str(revision)


def _migrate(database: Database, now: datetime) -> None:
    """Everything in one transaction: whoever waited for it finds the work done and leaves it alone."""
    from alembic import command  # noqa: PLC0415  # 0.3 s, and needed when the schema changes only
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with database.begin() as connection:
        revision = _revision(connection, database.backend.name)
        if revision == REVISIONS[-1]:
            return
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if revision is None:
            connection.execute(
                tables.installation.insert().values(id=1, created_at=now, simulation=database.simulation)
            )


def _check_simulation(name: str, simulated: bool, *, wanted: bool) -> None:
    if simulated and not wanted:
        raise LedgerChoiceError(
            f"{name} was created with settings.simulation: true, and that is permanent, because its notices tell of "
            "made-up times; set simulation: true again, or let settings.database name a new one"
        )
    if wanted and not simulated:
        raise LedgerChoiceError(
            f"{name} was created without settings.simulation, and stays so; remove simulation: true, or let "
            "settings.database name a new one to simulate in"
        )


@contextmanager
def _told(backend: Backend) -> Iterator[None]:
    """Turns what the database refuses into a sentence."""
    try:
        yield
    except SQLAlchemyError as error:
        raise LedgerError(backend.sentence(getattr(error, "orig", None) or error)) from error
    except sqlite3.Error as error:  # of the raw connection that `prepare` uses
        raise LedgerError(backend.sentence(error)) from error
