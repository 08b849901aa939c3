"""SQLite as the ledger's database: one file in WAL mode, so that other commands work beside the running service.

A write transaction takes its lock when it begins (BEGIN IMMEDIATE), because a reader that turns writer half-way is
refused at once where a writer waits its turn. `synchronous` is FULL: what was decided survives a power failure.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event

from ledger.backend import PATIENCE_SECONDS, WRITING, LedgerChoiceError, LedgerError

_SENTENCES: Final = {
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


@dataclass(frozen=True, slots=True)
class SQLite:
    """A ledger in one file."""

    path: Path

    @property
    def name(self) -> str:
        """What sentences call the database."""
        return str(self.path)

    @classmethod
    def of(cls, url: URL) -> SQLite:
        """The file that a URL names.

        Raises:
            LedgerChoiceError: when it names none, such as `:memory:`.
            LedgerError: when it cannot be a file there.
        """
        if url.database in (None, "", ":memory:"):
            raise LedgerChoiceError("settings.database names no file; write one such as sqlite:///tallywatch.db")
        path = Path(str(url.database)).absolute()
        if not path.parent.is_dir():
            raise LedgerError(f"{path}: the database's folder does not exist; create it, or change settings.database")
        if path.is_dir():
            raise LedgerError(f"{path} is a folder; settings.database must name a file in it")
        return cls(path)

    def engine(self) -> Engine:
        """Connections to the file, with the transactions that the module describes."""
        made = create_engine(URL.create("sqlite", database=str(self.path)), connect_args={"timeout": PATIENCE_SECONDS})
        event.listen(made, "connect", _on_connect)
        event.listen(made, "begin", _on_begin)
        return made

    def prepare(self, engine: Engine) -> None:
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

    def sentence(self, error: BaseException) -> str:
        """What the driver's error means to an operator."""
        # extended names say more after the first word: SQLITE_READONLY_DIRECTORY, SQLITE_BUSY_SNAPSHOT
        name = "_".join(_name(error).split("_")[:2])
        if name in _SENTENCES:
            return f"{self.path} {_SENTENCES[name]}"
        return f"{self.path}: the database refuses: {error}"


def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
    # The driver would begin transactions by itself, later than we ask and not before every statement.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    # else INSERT OR REPLACE deletes a row without asking the append-only trigger
    connection.execute("PRAGMA recursive_triggers = ON")


def _on_begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get(WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _name(error: Any) -> str:
    return str(getattr(error, "sqlite_errorname", ""))
