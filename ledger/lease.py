"""The lease: one service works on a ledger at a time. Whoever holds it keeps it until its process ends.

Beside a SQLite file lies `FILE.run`, locked by the running process; in PostgreSQL it is an advisory lock of a
connection of its own. Neither needs tidying up after a crash.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, Protocol

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from ledger.backend import LedgerError
from ledger.database import Database
from ledger.postgresql import PostgreSQL
from ledger.sqlite import SQLite

_MOMENT_SECONDS: Final = 3.0
_SERVICE_LOCK: Final = 0x74616C6C7A  # beside `ledger.postgresql.WRITER_LOCK`
# a lock of 64 bits stands there in two halves: https://www.postgresql.org/docs/current/view-pg-locks.html
_HELD: Final = (
    "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
    "AND classid::bigint = :high AND objid::bigint = :low "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)


class LeaseTakenError(LedgerError):
    """Another service works on this ledger."""


class LeaseLostError(LedgerError):
    """The lease is gone, with the connection that held it; another service may have it by now."""


class Lease(Protocol):
    """The right to be the one service of a ledger."""

    def check(self) -> None:
        """Raises LeaseLostError when the lease is not held any more."""
        ...


@contextmanager
def lease(database: Database) -> Iterator[Lease]:
    """Holds the ledger's lease for the block.

    Raises:
        LeaseTakenError: when another service holds it.
        LedgerError: when it cannot be asked for.
    """
    match database.backend:
        case SQLite() as file:
            with _of_file(file) as held:
                yield held
        case PostgreSQL():
            with _of_server(database) as held:
                yield held
        case other:
            raise AssertionError(f"no lease for {other}")


def is_held(database: Database) -> bool:
    """Whether a service works on the ledger now. Asking a file takes its lock for an instant, where it is free.

    Raises:
        LedgerError: when it cannot be found out.
    """
    match database.backend:
        case SQLite() as file:
            return _is_locked(file)
        case PostgreSQL():
            with database.connect() as connection:
                halves = {"high": _SERVICE_LOCK >> 32, "low": _SERVICE_LOCK & 0xFFFF_FFFF}
                return bool(connection.execute(text(_HELD), halves).scalar())
        case other:
            raise AssertionError(f"no lease for {other}")


def _is_locked(database: SQLite) -> bool:
    path = database.path.with_name(database.path.name + ".run")
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LedgerError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


class _FileLease:
    def check(self) -> None:
        """A lock of a file is lost only with the process."""


@contextmanager
def _of_file(database: SQLite) -> Iterator[Lease]:
    path = database.path.with_name(database.path.name + ".run")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise LedgerError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = os.read(handle, 32).decode("ascii", "replace").strip()
            raise LeaseTakenError(
                f"another `tallywatch run` (process {other or 'unknown'}) works on {database.path}; one service to a "
                "database, because two would fetch the same logs. Other commands work beside it"
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield _FileLease()
    finally:
        os.close(handle)  # and with it goes the lock; the file stays, for removing it would race with the next holder


class _ServerLease:
    def __init__(self, connection: Connection, name: str) -> None:
        self._connection, self._name = connection, name

    def check(self) -> None:
        """Asks over the connection that holds the lock: if that is gone, so is the lock."""
        try:
            self._connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            raise LeaseLostError(
                f"{self._name}: the connection that held the service's lock was lost; start the service again"
            ) from error


@contextmanager
def _of_server(database: Database) -> Iterator[Lease]:
    name = database.backend.name
    engine = database.backend.engine().execution_options(isolation_level="AUTOCOMMIT")
    with database.connect():  # says in a sentence why the server cannot be reached
        pass
    connection = engine.connect()
    try:
        if not _locked(connection):
            raise LeaseTakenError(
                f"another `tallywatch run` works on {name}; one service to a database. Other commands work beside it"
            )
        yield _ServerLease(connection, name)
        with suppress(SQLAlchemyError):  # then the lock went with the connection
            connection.execute(text(f"SELECT pg_advisory_unlock({_SERVICE_LOCK})"))
    finally:
        connection.close()
        engine.dispose()


def _locked(connection: Connection) -> bool:
    """Asks for the lock, and again for a moment: a server takes one to see that a process has died that held it."""
    until = time.monotonic() + _MOMENT_SECONDS
    while not connection.execute(text(f"SELECT pg_try_advisory_lock({_SERVICE_LOCK})")).scalar():
        if time.monotonic() >= until:
            return False
        time.sleep(0.1)
    return True
