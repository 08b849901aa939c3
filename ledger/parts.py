"""What the embedded store has registered: its parts, the kinds of value in their fields, and the files read so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, delete, func, insert, select

from ledger.tables import listed, merged, part, part_field, source

Role = Literal["messages", "duplicates"]
ROLES: Final[tuple[Role, ...]] = ("messages", "duplicates")


@dataclass(frozen=True, slots=True)
class Part:
    """One immutable Parquet file of messages. `path` is relative to the store's folder; times are inclusive."""

    store: str
    sha256: str
    path: str
    role: Role
    rows: int
    conflicts: int
    min_time: datetime
    max_time: datetime
    ingested_at: datetime
    source: str
    fields: tuple[str, ...]
    read_as: str  # by which fields and rules time, customer and id were taken
    id: int = 0


@dataclass(frozen=True, slots=True)
class SourceFile:
    """How far a file was read: so many bytes and lines of its uncompressed content, with their hash."""

    path: str
    bytes: int
    lines: int
    sha256: str


def add(connection: Connection, new: Part, kinds: Mapping[str, int]) -> int:
    """Registers a part with the kinds of its fields; gives its id."""
    values = {name: getattr(new, name) for name in Part.__dataclass_fields__ if name != "id"}
    id_ = connection.execute(insert(part).values(values | {"fields": list(new.fields)})).inserted_primary_key
    if id_ is None:
        raise AssertionError("an insert without a key")
    connection.execute(insert(listed).values(part_id=id_[0], store=new.store))
    put_kinds(connection, id_[0], kinds)
    return int(id_[0])


def put_kinds(connection: Connection, part_id: int, kinds: Mapping[str, int]) -> None:
    """Notes which kinds of value a part has in fields it was not asked for before."""
    known = set(connection.scalars(select(part_field.c.field).where(part_field.c.part_id == part_id)))
    rows = [{"part_id": part_id, "field": name, "kinds": bits} for name, bits in kinds.items() if name not in known]
    if rows:
        connection.execute(insert(part_field), rows)


def of_store(connection: Connection, store: str, role: Role = "messages") -> tuple[Part, ...]:
    """All parts of a store that were not merged into others, oldest registration first."""
    rows = connection.execute(
        select(part).join(listed).where(listed.c.store == store, part.c.role == role).order_by(part.c.id)
    )
    return tuple(Part(**{**row, "fields": tuple(row["fields"])}) for row in rows.mappings())


def arrived(connection: Connection, store: str, since: int) -> tuple[Part, ...]:
    """The parts of messages that were registered after the part `since`, merged or not, but none made by merging."""
    rows = connection.execute(
        select(part)
        .where(part.c.store == store, part.c.role == "messages", part.c.id > since)
        .where(part.c.id.not_in(select(merged.c.into_id).where(merged.c.into_id > since)))
        .order_by(part.c.id)
    )
    return tuple(Part(**{**row, "fields": tuple(row["fields"])}) for row in rows.mappings())


def last_id(connection: Connection, store: str) -> int:
    """The number of the part that was registered last; 0 where there is none."""
    return connection.scalar(select(func.max(part.c.id)).where(part.c.store == store)) or 0


def merge(connection: Connection, into: Part, of: Sequence[Part], kinds: Mapping[str, int], at: datetime) -> int:
    """Registers a part that holds what these parts held, in their place; gives its id."""
    id_ = add(connection, into, kinds)
    connection.execute(insert(merged), [{"part_id": one.id, "into_id": id_, "at": at} for one in of])
    connection.execute(delete(listed).where(listed.c.part_id.in_([one.id for one in of])))
    return id_


def merged_before(connection: Connection, store: str, paths: Sequence[str], at: datetime) -> tuple[str, ...]:
    """Which of these paths are of parts that were merged before `at`."""
    rows = connection.scalars(
        select(part.c.path)
        .join(merged, merged.c.part_id == part.c.id)
        .where(part.c.store == store, part.c.path.in_(paths), merged.c.at < at)
    )
    return tuple(rows)


def forget_kinds(connection: Connection, store: str, paths: Sequence[str]) -> None:
    """Removes what is known of the fields of parts that nobody reads any more."""
    of = select(part.c.id).where(part.c.store == store, part.c.path.in_(paths))
    connection.execute(delete(part_field).where(part_field.c.part_id.in_(of)))


def present(connection: Connection, part_id: int) -> Part:
    """The part that holds a part's rows now: itself, or the last one that it was merged into."""
    while (into := connection.scalar(select(merged.c.into_id).where(merged.c.part_id == part_id))) is not None:
        part_id = into
    row = connection.execute(select(part).where(part.c.id == part_id)).mappings().one()
    return Part(**{**row, "fields": tuple(row["fields"])})


def kinds(connection: Connection, part_ids: Iterable[int], fields: Sequence[str]) -> dict[int, dict[str, int]]:
    """Part id -> field -> kind bits, for what is known of these parts and fields."""
    wanted = set(part_ids)
    found: dict[int, dict[str, int]] = {}
    query = select(part_field.c.part_id, part_field.c.field, part_field.c.kinds).where(part_field.c.field.in_(fields))
    for part_id, field, bits in connection.execute(query):
        if part_id in wanted:
            found.setdefault(part_id, {})[field] = bits
    return found


def all_kinds(connection: Connection, part_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Part id -> field -> kind bits, for everything that is known of these parts."""
    found: dict[int, dict[str, int]] = {}
    query = select(part_field.c.part_id, part_field.c.field, part_field.c.kinds)
    for part_id, field, bits in connection.execute(query.where(part_field.c.part_id.in_(part_ids))):
        found.setdefault(part_id, {})[field] = bits
    return found


def add_source(connection: Connection, store: str, read: SourceFile, at: datetime) -> None:
    """Notes how far a file was read."""
    row = {name: getattr(read, name) for name in SourceFile.__dataclass_fields__}
    connection.execute(insert(source).values(row | {"store": store, "read_at": at}))


def sources(connection: Connection, store: str) -> tuple[SourceFile, ...]:
    """How far each file of a store was read, the latest reading of each path last."""
    rows = connection.execute(
        select(source.c.path, source.c.bytes, source.c.lines, source.c.sha256)
        .where(source.c.store == store)
        .order_by(source.c.id)
    )
    return tuple(SourceFile(**row) for row in rows.mappings())


def newest_ingest(connection: Connection, store: str) -> datetime | None:
    """When the store's newest part was registered."""
    wanted = select(func.max(part.c.ingested_at)).join(listed).where(listed.c.store == store)
    newest: datetime | None = connection.scalar(wanted)
    return newest
