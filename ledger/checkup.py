"""Looking a database over: whether it can be written, how it keeps its files, and what time it is there."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import text

from ledger.database import Database
from ledger.postgresql import PostgreSQL
from ledger.sqlite import SQLite
from ledger.tables import suppression

OLDEST_POSTGRESQL: Final = 14
_MOUNTS: Final = Path("/proc/self/mounts")
_NETWORK: Final = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|ncpfs|afs|ceph|lustre|gfs2?|ocfs2|beegfs|fuse\.(sshfs|glusterfs|ceph|s3fs|rclone|gcsfuse)"
)


class _NotKeptError(Exception):
    """Rolls a transaction back."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The program that keeps a ledger: its name with the version; what is wrong with it, and the way out."""

    name: str
    problem: str | None = None
    remedy: str = ""


def prove_writable(database: Database) -> None:
    """Writes a row in a transaction and takes it back.

    Raises:
        LedgerError: when it cannot be written.
    """
    row = {"address": "doctor", "since": datetime(1970, 1, 1, tzinfo=UTC), "reason": "never kept"}
    with suppress(_NotKeptError), database.begin() as connection:
        connection.execute(suppression.delete().where(suppression.c.address == row["address"]))
        connection.execute(suppression.insert().values(**row))
        raise _NotKeptError


def engine_of(database: Database) -> Engine:
    """Which engine keeps the ledger, and whether it is one that can.

    Raises:
        LedgerError: when it cannot be asked.
    """
    with database.connect() as connection:
        if isinstance(database.backend, PostgreSQL):
            number = int(str(connection.execute(text("SHOW server_version_num")).scalar_one()))
            name = f"PostgreSQL {number // 10_000}.{number % 10_000}"
            if number // 10_000 < OLDEST_POSTGRESQL:
                return Engine(name, f"{name} is too old", f"upgrade the server: {OLDEST_POSTGRESQL} or later is needed")
            return Engine(name)
        name = f"SQLite {connection.execute(text('SELECT sqlite_version()')).scalar_one()}"
        mode = str(connection.execute(text("PRAGMA journal_mode")).scalar_one())
    if mode != "wal":
        return Engine(
            name,
            f"the journal mode is {mode} and not wal, so commands wait for one another",
            "stop the service, then: sqlite3 FILE 'PRAGMA journal_mode = WAL' (a copy by VACUUM INTO loses it)",
        )
    return Engine(name)


def network_file_system(database: Database) -> str | None:
    """The kind of network file system that a SQLite file lies on, where its locks cannot be trusted; None elsewhere."""
    if not isinstance(database.backend, SQLite):
        return None
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None  # not Linux
    kind = kind_of_mount(database.backend.path.resolve(), mounts)
    return kind if kind is not None and is_network(kind) else None


def is_network(kind: str) -> bool:
    """Whether a kind of file system is shared between machines."""
    return _NETWORK.fullmatch(kind) is not None


def kind_of_mount(path: Path, mounts: str) -> str | None:
    """The kind of file system that a path lies on, by the lines of /proc/self/mounts; of two on one place the later."""
    best: tuple[int, str] | None = None
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) < 3:
            continue
        place = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), words[1]))
        if path.is_relative_to(place) and (best is None or len(place.parts) >= best[0]):
            best = len(place.parts), words[2]
    return None if best is None else best[1]


def server_time(database: Database) -> datetime | None:
    """What time it is on the database's server; None where the database is a file.

    Raises:
        LedgerError: when it cannot be asked.
    """
    if not isinstance(database.backend, PostgreSQL):
        return None
    with database.connect() as connection:
        found: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found.astimezone(UTC)
