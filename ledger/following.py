"""What pick-up has followed: contents in stretches, the files that hold them, and what keeps a file from being read.

A content is known by its bytes and not by a path, because logs are renamed, copied and compressed. Its stretches lie
end to end; each was registered together with the parts that it became, so what is a stretch was counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, delete, insert, select

from ledger.parts import SourceFile
from ledger.tables import content, followed, problem, source, stretch
from ledger.upsert import upsert

State = Literal["new", "read", "more", "waiting", "cut", "copy", "refused", "denied"]
"""`new`: seen, not looked into yet; `read`: everything is in; `more`: there is more to read; `waiting`: what is left is
not whole yet; `cut`: a beginning of what another file held, which is gone: cut off, or being made again; `copy`: the
same as another file that is still there; `refused`: cannot be taken in until it changes; `denied`: may not be
opened."""

START_BYTES: Final = 64
"""How many bytes of a content are kept as they are, for files that are too short to be known by the hash of more."""

_FOLLOWED: Final = ("path", "content_id", "bytes", "sources", "size", "changed_ns", "since", "state")


@dataclass(frozen=True, slots=True)
class Stretch:
    """So many bytes of a content from `start`, and how many lines; with the parts that they became, if any."""

    start: int
    bytes: int
    lines_before: int
    lines: int
    sha256: str
    tail_sha256: str
    messages_id: int | None = None
    duplicates_id: int | None = None

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.start + self.bytes

    @property
    def lines_through(self) -> int:
        """How many lines the content has up to its end."""
        return self.lines_before + self.lines


@dataclass(frozen=True, slots=True)
class Followed:
    """A file that pick-up has looked at: `file` is its device and inode, `bytes` how far it is known.

    `size` and `changed_ns` are the file's own, `since` when it was first seen with them; `sources` says up to which row
    of files that were taken in by hand it was compared.
    """

    file: str
    path: str
    content_id: int | None
    bytes: int
    sources: int
    size: int
    changed_ns: int
    since: datetime
    state: State


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps a file, or a folder of files, from being read, and since when."""

    path: str
    sentence: str
    since: datetime


def files(connection: Connection, store: str) -> dict[str, Followed]:
    """Every file that is followed, by device and inode."""
    rows = connection.execute(select(followed).where(followed.c.store == store))
    return {row.file: Followed(row.file, *(getattr(row, name) for name in _FOLLOWED)) for row in rows}


def put_file(connection: Connection, store: str, one: Followed) -> None:
    """Notes how a file is now."""
    row = {"store": store, "file": one.file, **{name: getattr(one, name) for name in _FOLLOWED}}
    connection.execute(upsert(connection, followed, _FOLLOWED), row)


def leave(connection: Connection, store: str, of: Collection[str]) -> None:
    """Follows these files no more; their contents stay known."""
    connection.execute(delete(followed).where(followed.c.store == store, followed.c.file.in_(of)))


def beginning_with(connection: Connection, store: str, head: bytes) -> tuple[int, ...]:
    """The contents whose first bytes are the first of these, the latest first; as many as they are known by."""
    lengths = connection.scalars(select(content.c.head_bytes).where(content.c.store == store).distinct())
    alike = {length: hashlib.sha256(head[:length]).hexdigest() for length in lengths if length <= len(head)}
    rows = connection.execute(
        select(content.c.id, content.c.head_bytes, content.c.head_sha256)
        .where(content.c.store == store, content.c.head_bytes.in_(alike), content.c.head_sha256.in_(alike.values()))
        .order_by(content.c.id.desc())
    )
    return tuple(row.id for row in rows if alike[row.head_bytes] == row.head_sha256)


def stretches(connection: Connection, content_id: int) -> Iterator[Stretch]:
    """A content's stretches from its beginning."""
    rows = connection.execute(select(stretch).where(stretch.c.content_id == content_id).order_by(stretch.c.start))
    return (_stretch(row) for row in rows)


def last(connection: Connection, content_id: int) -> Stretch:
    """A content's last stretch; every content has one."""
    rows = select(stretch).where(stretch.c.content_id == content_id).order_by(stretch.c.start.desc()).limit(1)
    return _stretch(connection.execute(rows).one())


def longer_than(connection: Connection, of: Collection[int], beginning: bytes) -> tuple[int, ...]:
    """Those of some contents that may go on after a beginning which is too short to know them by."""
    rows = connection.execute(
        select(content.c.id, content.c.start)
        .where(content.c.id.in_(of), content.c.head_bytes > len(beginning))
        .order_by(content.c.id.desc())
    )
    return tuple(row.id for row in rows if row.start.startswith(beginning[:START_BYTES].hex()))


def begin(connection: Connection, store: str, head: bytes, at: datetime) -> int:
    """A new content, which begins with these bytes; gives its id."""
    row = {
        "store": store,
        "head_bytes": len(head),
        "head_sha256": hashlib.sha256(head).hexdigest(),
        "start": head[:START_BYTES].hex(),
        "since": at,
    }
    key = connection.execute(insert(content).values(row)).inserted_primary_key
    if key is None:
        raise AssertionError("an insert without a key")
    return int(key[0])


def extend(connection: Connection, content_id: int, by: Stretch, at: datetime) -> None:
    """Adds a stretch to a content."""
    row = {name: getattr(by, name) for name in Stretch.__dataclass_fields__}
    connection.execute(insert(stretch).values(row | {"content_id": content_id, "read_at": at}))


def sources_after(connection: Connection, store: str, row: int) -> tuple[int, tuple[SourceFile, ...]]:
    """The files that were taken in by hand after that row of their table, and the last row."""
    rows = connection.execute(
        select(source).where(source.c.store == store, source.c.id > row).order_by(source.c.id)
    ).all()
    found = tuple(SourceFile(one.path, one.bytes, one.lines, one.sha256) for one in rows)
    return (rows[-1].id if rows else row), found


def troubles(connection: Connection, store: str) -> dict[str, Trouble]:
    """What kept files from being read when they were last looked at, by path."""
    rows = connection.execute(select(problem).where(problem.c.store == store))
    return {row.path: Trouble(row.path, row.sentence, row.since) for row in rows}


def put_troubles(connection: Connection, store: str, new: Sequence[Trouble], over: Collection[str]) -> None:
    """Notes what keeps files from being read, and forgets what is over."""
    if over:
        connection.execute(delete(problem).where(problem.c.store == store, problem.c.path.in_(over)))
    for one in new:
        row = {"store": store, "path": one.path, "sentence": one.sentence, "since": one.since}
        connection.execute(upsert(connection, problem, ("sentence", "since")), row)


def _stretch(row: object) -> Stretch:
    return Stretch(**{name: getattr(row, name) for name in Stretch.__dataclass_fields__})
