"""The embedded log store: immutable Parquet parts in a folder, registered in the ledger, queried with DuckDB."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import duckdb
from duckdb import DuckDBPyConnection

from config import models
from config.filters import fields as fields_of
from ledger import parts
from ledger.database import Database
from ledger.parts import Part, Role
from ledger.records import Freshness, Tally
from logviews import checks
from logviews.embedded import arrivals, engine, kindsql
from logviews.embedded.columns import ensure_columns
from logviews.embedded.scan import Scan, parquet
from logviews.fields import fixed_reading, read_as
from logviews.store import Changes, CountQuery, StoreUnavailable
from logviews.times import from_milliseconds, milliseconds

_REACHES: Final = (600_000, 86_400_000, 10**18)
"""How many milliseconds back the newest message is looked for, one after the other."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """An embedded store that can be asked."""

    name: str
    store: models.EmbeddedStore
    fields: tuple[str, ...]  # those that the configuration's views use, see `logviews.fields.used_fields`
    database: Database

    def count(self, query: CountQuery) -> Iterator[Tally]:
        """The tallies that answer the query: one scan of the parts that overlap its edges, in order of nothing.

        Raises:
            StoreUnavailable: when a field cannot be counted exactly, a part is missing, or DuckDB fails.
        """
        known = self._parts("messages")
        try:
            with engine.connection() as connection:
                scan = self._scan(connection, query, known)
                yield from scan.tallies() if scan else ()
        except duckdb.Error as error:
            raise engine.unavailable(self.name, error) from error

    def at_once(self) -> AbstractContextManager[None]:
        """Nothing is held: every question finds the parts that are registered then."""
        return nullcontext()

    def duplicates(self, query: CountQuery) -> int:
        """How many messages that the query's filter matches were refused because their id was there before."""
        refused = self._overlapping(self._parts("duplicates"), query)
        if not refused:
            return 0
        try:
            with engine.connection() as connection:
                found = self._kinds(connection, refused, _needed(query))
                return self._scan_of(connection, query, refused, found).number()
        except duckdb.Error as error:
            raise engine.unavailable(self.name, error) from error

    def freshness(self, at: datetime) -> Freshness:
        """The newest message before `at`, the last ingest, and whether the newest is older than `stale_after`."""
        with self.database.connect() as reading:
            known = parts.of_store(reading, self.name)
            ingested = parts.newest_ingest(reading, self.name)
        before = [part for part in known if part.min_time < at]
        newest = max((part.max_time for part in before if part.max_time < at), default=None)
        straddling = [part for part in before if part.max_time >= at]
        if straddling:
            latest = self._newest_before(straddling, at)
            newest = latest if newest is None else max(newest, latest)
        limit = self.store.stale_after
        stale = limit is not None and (newest is None or at - newest > limit)
        return Freshness(newest, ingested, stale)

    def changes(self, query: CountQuery, since: str | None, at: datetime) -> Changes:  # noqa: ARG002 (parts have no time)
        """The hours in which parts that were registered since have messages; `since` is the number of the last one.

        Costs reading the times of new parts, and nothing where there are none.

        Raises:
            StoreUnavailable: when a part is missing, or DuckDB fails.
        """
        first, last = query.edges[0], query.edges[-1]
        with self.database.connect() as reading:
            newest = parts.last_id(reading, self.name)
            arrived = parts.arrived(reading, self.name, int(since)) if since is not None else ()
            listed = {part.id for part in parts.of_store(reading, self.name)} if arrived else set()
        if since is None:
            return Changes(((first, last),), str(newest))
        within = [part for part in arrived if part.min_time < last and part.max_time >= first]
        stretches = [arrivals.span(part) for part in within if part.id not in listed]
        if new := [self._path(part) for part in within if part.id in listed]:
            try:
                with engine.connection() as connection:
                    stretches += arrivals.hours(connection, new, first, last)
            except duckdb.Error as error:
                raise engine.unavailable(self.name, error) from error
        return Changes(arrivals.joined(stretches, first, last), str(max(newest, int(since))))

    def check(self, query: CountQuery) -> None:
        """Refuses what `count` would refuse: missing parts, and fields that cannot be counted. Costs what is not known
        yet of the kinds of value in the parts.

        Raises:
            StoreUnavailable: with the reason.
        """
        known = self._parts("messages")
        relevant = self._overlapping(known, query)
        for part in relevant:
            self._path(part)
        found = self._known_kinds(relevant, _needed(query))
        if found is not None and all(found.values()):
            checks.refuse_uncountable(query, self.store.types, found)
            return
        try:
            with engine.connection() as connection:
                self._check(connection, query, known, relevant, self._kinds(connection, relevant, _needed(query)))
        except duckdb.Error as error:
            raise engine.unavailable(self.name, error) from error

    def _newest_before(self, straddling: Sequence[Part], at: datetime) -> datetime:
        """The newest message before `at` in parts that have messages before and after it.

        Looks at the last minutes first, because most parts are in order of time and DuckDB then reads little of them.
        """
        files = parquet([self._path(part) for part in straddling])
        try:
            with engine.connection() as connection:
                for reach in _REACHES:
                    start = max(milliseconds(at) - reach, milliseconds(min(part.min_time for part in straddling)))
                    (found,) = engine.row(
                        connection,
                        f"SELECT epoch_ms(max(time)) FROM {files} WHERE time >= make_timestamp_ms({start}) "
                        f"AND time < make_timestamp_ms({milliseconds(at)})",
                    )
                    if isinstance(found, int):
                        return from_milliseconds(found)
        except duckdb.Error as error:
            raise engine.unavailable(self.name, error) from error
        raise StoreUnavailable(f"store {self.name}: a part has not the times that are registered of it")

    def _path(self, part: Part) -> Path:
        path = self.store.folder / part.path
        if not path.is_file():
            raise StoreUnavailable(
                f"store {self.name}: the part {path} is missing; restore it from a backup, because its messages count"
            )
        return path

    def _parts(self, role: Role) -> tuple[Part, ...]:
        with self.database.connect() as reading:
            return parts.of_store(reading, self.name, role)

    def _overlapping(self, known: Sequence[Part], query: CountQuery) -> list[Part]:
        first, last = query.edges[0], query.edges[-1]
        found = [part for part in known if part.min_time < last and part.max_time >= first]
        for part in found:
            if part.read_as != read_as(self.store):
                raise StoreUnavailable(fixed_reading(self.name, part.read_as, read_as(self.store)))
        return found

    def _scan(self, connection: DuckDBPyConnection, query: CountQuery, known: Sequence[Part]) -> Scan | None:
        relevant = self._overlapping(known, query)
        found = self._kinds(connection, relevant, _needed(query))
        self._check(connection, query, known, relevant, found)
        return self._scan_of(connection, query, relevant, found) if relevant else None

    def _scan_of(
        self, connection: DuckDBPyConnection, query: CountQuery, of: Sequence[Part], found: dict[str, int]
    ) -> Scan:
        paths = [self._columns(connection, part, _needed(query)) for part in of]
        return Scan(connection, self.store.types, query, paths, found)

    def _columns(self, connection: DuckDBPyConnection, part: Part, needed: Sequence[str]) -> Path:
        """The file that has the part's time, customer, id and the needed columns: itself, or one derived from it."""
        path = self._path(part)
        if set(needed) <= set(part.fields):
            return path
        wanted = tuple(sorted({*self.fields, *needed}))
        token = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:16]
        target = self.store.folder / "columns" / f"{path.stem}-{token}.parquet"
        return ensure_columns(connection, path, target, wanted)

    def _kinds(self, connection: DuckDBPyConnection, of: Sequence[Part], fields: Sequence[str]) -> dict[str, int]:
        """Field -> kind bits over these parts; found out once for each part and field, and then kept in the ledger."""
        with self.database.connect() as reading:
            known = parts.kinds(reading, [part.id for part in of], fields)
        bits = dict.fromkeys(fields, 0)
        for part in of:
            have = known.get(part.id, {})
            if missing := [field for field in fields if field not in have]:
                path = self._columns(connection, part, fields)
                have = have | kindsql.of_columns(connection, parquet([path]), missing)
                with self.database.begin() as writing:
                    parts.put_kinds(writing, part.id, have)
            for field in fields:
                bits[field] |= have[field]
        return bits

    def _known_kinds(self, of: Sequence[Part], fields: Sequence[str]) -> dict[str, int] | None:
        """As `_kinds` where everything is in the ledger already, else None."""
        with self.database.connect() as reading:
            known = parts.kinds(reading, [part.id for part in of], fields)
        bits = dict.fromkeys(fields, 0)
        for part in of:
            have = known.get(part.id, {})
            if any(field not in have for field in fields):
                return None
            for field in fields:
                bits[field] |= have[field]
        return bits

    def _check(
        self,
        connection: DuckDBPyConnection,
        query: CountQuery,
        known: Sequence[Part],
        relevant: Sequence[Part],
        found: dict[str, int],
    ) -> None:
        """Refuses what would be a count of 0 for a reason that is not the messages'."""
        own = {self.store.fields.time, self.store.fields.customer, self.store.fields.id, *self.store.types}
        absent = [field for field, bits in found.items() if not bits and field not in own]
        if absent and known:
            elsewhere = [part for part in known if part not in relevant]
            ever = self._kinds(connection, elsewhere, absent)
            checks.refuse_never_seen(query.view, self.name, [field for field in absent if not ever[field]])
        checks.refuse_uncountable(query, self.store.types, found)


def _needed(query: CountQuery) -> tuple[str, ...]:
    """The fields that a query looks at."""
    return tuple(dict.fromkeys([*fields_of(query.where), *([query.field] if query.field else [])]))
