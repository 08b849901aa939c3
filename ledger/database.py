"""The database that the ledger lives in: opened, created and brought up to date here, and nowhere else.

SQLite in WAL mode, so that other commands work beside the running service. A write transaction takes its lock when it
begins (BEGIN IMMEDIATE), because a reader that turns writer half-way is refused at once where a writer waits its turn.
`synchronous` is FULL: what was decided survives a power failure.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from config.errors import TallywatchError, UsageError
from ledger import tables

REVISIONS: Final = ("0001",)
"""Every revision of the schema that this program knows, oldest first. Alembic is imported only to reach the last."""

PATIENCE_SECONDS: Final = 10.0
"""How long a transaction waits for another process's lock."""

_WRITING: Final = "tallywatch_writing"


class LedgerError(TallywatchError):
    """The ledger's database cannot be read or written; nothing of the transaction was kept."""


class LedgerChoiceError(LedgerError, UsageError):
    """The configuration names a database that cannot be its own: of another kind, or simulated where it is not."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Database:
    """An open ledger. `simulation` tells whether time may be made up in it; that is fixed when it is created."""

    engine: Engine
    path: Path
    simulation: bool

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A connection in a write transaction: committed at the end of the block, rolled back when it raises.

        Raises:
            LedgerError: for whatever the database refuses; waits `PATIENCE_SECONDS` for another writer first.
        """
        with _told(self.path), self.engine.execution_options(**{_WRITING: True}).begin() as connection:
            yield connection

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection for reading: one consistent snapshot for the whole block, which no writer waits for.

        Raises:
            LedgerError: for whatever the database refuses.
        """
        with _told(self.path), self.engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Gives all connections back."""
        self.engine.dispose()


def open_database(url: str, *, simulation: bool, now: datetime) -> Database:
    """The ledger at that URL, created or brought up to date when needed; safe beside other processes doing the same.

    Costs three reads when the schema is up to date; creating imports Alembic (0.3 s).

    Raises:
        LedgerChoiceError: when the URL is not one of SQLite, or the database was created with another `simulation`.
        LedgerError: when the database cannot be opened, is not ours, or is of a newer program.
    """
    path = _path(url)
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": PATIENCE_SECONDS})
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    database = Database(engine, path, simulation)
    try:
        with database.connect() as connection:
            revision = _revision(connection, path)
        if revision != REVISIONS[-1]:
            with _told(path):
                _use_wal(engine)
            _migrate(database, now)
        with database.connect() as connection:
            simulated = connection.execute(select(tables.installation.c.simulation)).scalar_one()
        _check_simulation(path, simulated, wanted=simulation)
    except BaseException:
        engine.dispose()
        raise
    return database


def _path(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise LedgerChoiceError(
            f"settings.database is no database URL: {url!r}; write one such as sqlite:///tallywatch.db"
        ) from error
    if parsed.get_backend_name() != "sqlite":
        raise LedgerChoiceError(
            f"settings.database names {parsed.get_backend_name()}; the ledger is kept in SQLite: sqlite:///tallywatch.db"
        )
    if parsed.database in (None, "", ":memory:"):
        raise LedgerChoiceError("settings.database names no file; write one such as sqlite:///tallywatch.db")
    path = Path(str(parsed.database)).absolute()
    if not path.parent.is_dir():
        raise LedgerError(f"{path}: the database's folder does not exist; create it, or change settings.database")
    if path.is_dir():
        raise LedgerError(f"{path} is a folder; settings.database must name a file in it")
    return path


def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
    # The driver would begin transactions by itself, later than we ask and not before every statement.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    # else INSERT OR REPLACE deletes a row without asking the append-only trigger
    connection.execute("PRAGMA recursive_triggers = ON")


def _on_begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _revision(connection: Connection, path: Path) -> str | None:
    """The schema's revision; None for a database with nothing in it."""
    names = set(inspect(connection).get_table_names())
    if not names:
        return None
    revision = None
    if {"alembic_version", "installation"} <= names:
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if revision is None:
        raise LedgerError(f"{path} is a database of another program; let settings.database name a file of its own")
    if revision not in REVISIONS:
        raise LedgerError(
            f"{path} was written by a newer tallywatch (schema {revision}, this one knows {REVISIONS[-1]}); "
            "install that version again"
        )
    return str(revision)


def _use_wal(engine: Engine) -> None:
    """Switches to WAL, which the file remembers. The switch does not wait for a lock by itself, hence the loop."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    connection = engine.raw_connection()
    try:
        while True:
            try:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if not _name(error).startswith("SQLITE_BUSY") or time.monotonic() > give_up:
                    raise
                time.sleep(0.02)
            else:
                return
    finally:
        connection.close()


def _migrate(database: Database, now: datetime) -> None:
    """Everything in one transaction: whoever waited for it finds the work done and leaves it alone."""
    from alembic import command  # noqa: PLC0415  # 0.3 s, and needed when the schema changes only
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with database.begin() as connection:
        revision = _revision(connection, database.path)
        if revision == REVISIONS[-1]:
            return
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if revision is None:
            connection.execute(
                tables.installation.insert().values(id=1, created_at=now, simulation=database.simulation)
            )


def _check_simulation(path: Path, simulated: bool, *, wanted: bool) -> None:
    if simulated and not wanted:
        raise LedgerChoiceError(
            f"{path} was created with settings.simulation: true, and that is permanent, because its notices tell of "
            "made-up times; set simulation: true again, or let settings.database name a new file"
        )
    if wanted and not simulated:
        raise LedgerChoiceError(
            f"{path} was created without settings.simulation, and stays so; remove simulation: true, or let "
            "settings.database name a new file to simulate in"
        )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turns what the database refuses into a sentence."""
    try:
        yield
    except SQLAlchemyError as error:
        raise LedgerError(_sentence(path, getattr(error, "orig", None) or error)) from error
    except sqlite3.Error as error:
        raise LedgerError(_sentence(path, error)) from error


def _name(error: Any) -> str:
    return str(getattr(error, "sqlite_errorname", ""))


def _sentence(path: Path, error: BaseException) -> str:
    sentences = {
        "SQLITE_BUSY": (
            f"is in use by another process, for more than {PATIENCE_SECONDS:.0f} seconds; try again when that is done"
        ),
        "SQLITE_LOCKED": "is in use by another connection; try again when that is done",
        "SQLITE_FULL": "cannot grow, because the disk is full; make room and try again (nothing was half written)",
        "SQLITE_READONLY": "cannot be written; check the permissions of the file and its folder",
        "SQLITE_CANTOPEN": "cannot be opened; check the permissions of the file and its folder",
        "SQLITE_PERM": "cannot be opened; check the permissions of the file and its folder",
        "SQLITE_NOTADB": "is not a SQLite database; let settings.database name another file",
        "SQLITE_CORRUPT": "is damaged; restore it from a backup",
        "SQLITE_IOERR": "cannot be read or written, because the disk reports an error",
    }
    # extended names say more after the first word: SQLITE_READONLY_DIRECTORY, SQLITE_BUSY_SNAPSHOT
    name = "_".join(_name(error).split("_")[:2])
    return f"{path} {sentences[name]}" if name in sentences else f"{path}: the database refuses: {error}"
