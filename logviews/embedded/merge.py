"""Merging: many small parts become one, and no reader notices.

The new part takes the place of the old ones in one transaction of the ledger; whoever listed the old ones before still
finds their files, which are removed an hour later. Each row keeps the instant at which it was taken in.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Final

import duckdb
from duckdb import DuckDBPyConnection
from sqlalchemy import Connection

from config.models import EmbeddedStore
from ledger import parts
from ledger.database import Database
from ledger.parts import Part
from logviews.embedded import engine
from logviews.embedded.sqltext import text
from logviews.intake import strict
from logviews.intake.files import IngestPlaceError
from logviews.intake.scribe import Scribe
from logviews.intake.staging import Staging, StoreBusyError, writing
from logviews.intake.taking import placed
from logviews.times import milliseconds

SMALL_BYTES: Final = 64 * 1024 * 1024
"""A part of at least so many bytes is left as it is."""

MERGED_BYTES: Final = 256 * 1024 * 1024
"""How large a merged part may become, by the bytes of what it is made of."""

MORE_THAN: Final = 10
"""So many small parts that lie together are left as they are."""

AT_ONCE: Final = 200
"""How many parts become one at most: the engine reads them all at once."""

PATIENCE_SECONDS: Final = 1.0
"""How long merging waits for whoever takes files in."""

KEPT_FOR: Final = timedelta(hours=1)
"""How long the file of a merged part stays, for a reader that listed it before."""


@dataclass(frozen=True, slots=True)
class MergeReport:
    """How many parts became how many, and how many files of parts that were merged earlier are gone now."""

    merged: int
    made: int
    removed: int


def merge_small(
    name: str, store: EmbeddedStore, database: Database, at: datetime, small_bytes: int = SMALL_BYTES
) -> MergeReport:
    """Merges the small parts of a store where more than `MORE_THAN` lie together in time. Holds the store's lock.

    Costs reading and writing the small parts, and none of the others.

    Raises:
        IngestPlaceError: when the folder cannot be written, or the disk is full; nothing is merged then.
        LedgerError: when the ledger cannot be read or written.
    """
    runs = _runs_of(name, store, database, small_bytes)
    old = _files_of_merged(name, store.folder, database, at)
    if not runs and not old:
        return MergeReport(0, 0, 0)
    try:
        with writing(store.folder, PATIENCE_SECONDS) as staging:
            staging.sweep(name, database)
            runs = _runs_of(name, store, database, small_bytes)  # another process may have merged them meanwhile
            merging = _Merging(store, database, staging, at)
            for run in runs:
                merging.merge(run)
            for path in old:
                _remove(store.folder, path)
            if old:
                with database.begin() as writing_:
                    parts.forget_kinds(writing_, name, old)
    except StoreBusyError:  # the next time does it
        return MergeReport(0, 0, 0)
    except duckdb.Error as error:
        raise IngestPlaceError(f"{store.folder}: parts cannot be merged: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise IngestPlaceError(f"{store.folder}: parts cannot be merged: {error.strerror or error}") from error
    return MergeReport(sum(len(run) for run in runs), len(runs), len(old))


@dataclass(frozen=True, slots=True)
class _Merging:
    store: EmbeddedStore
    database: Database
    staging: Staging
    at: datetime

    def merge(self, run: Sequence[Part]) -> None:
        """Makes one part of several, all of one role, with the same columns, and read by the same rules."""
        target, first = self.staging.path("merged.parquet"), run[0]
        with engine.connection(spill=self.staging.folder) as connection:
            connection.execute("SET preserve_insertion_order = true")
            scribe = Scribe(connection, self.store, first.fields, strict.rules_of(self.store))
            scribe.write(_rows(connection, self.store.folder, run), target)
            found = scribe.describe(target)
        if found.rows != sum(part.rows for part in run):
            raise AssertionError("a merged part has other rows than the parts that it was made of")
        like = replace(
            first,
            conflicts=sum(part.conflicts for part in run),
            ingested_at=max(part.ingested_at for part in run),
            source=f"{len(run)} merged parts",
        )
        part, _ = placed(self.staging, target, found, like, "-merged")
        with self.database.begin() as writing_:
            parts.merge(writing_, part, run, _union(writing_, run) | dict(found.kinds), self.at)
        self.staging.registered()


def _runs_of(name: str, store: EmbeddedStore, database: Database, small_bytes: int) -> list[list[Part]]:
    with database.connect() as reading:
        known = [parts.of_store(reading, name, role) for role in parts.ROLES]
    return [run for of_role in known for run in _runs(store.folder, of_role, small_bytes)]


def _runs(folder: Path, known: Sequence[Part], small_bytes: int) -> Iterator[list[Part]]:
    """The parts to merge, as runs of neighbours in time: small, with the same columns, read by the same rules."""
    alike: dict[tuple[str, tuple[str, ...]], list[Part]] = {}
    for part in sorted(known, key=lambda part: (part.min_time, part.id)):
        alike.setdefault((part.read_as, part.fields), []).append(part)
    for group in alike.values():
        run: list[Part] = []
        size = 0
        for part in group:
            bytes_ = _size(folder / part.path)
            if bytes_ is None or bytes_ >= small_bytes or size + bytes_ > MERGED_BYTES or len(run) == AT_ONCE:
                yield from _enough(run)
                run, size = [], 0
            if bytes_ is not None and bytes_ < small_bytes:
                run.append(part)
                size += bytes_
        yield from _enough(run)


def _enough(run: list[Part]) -> Iterator[list[Part]]:
    if len(run) > MORE_THAN:
        yield run


def _size(path: Path) -> int | None:
    """A part's size; None when it is missing, which a count will say."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _rows(connection: DuckDBPyConnection, folder: Path, run: Sequence[Part]) -> str:
    """A SELECT of all rows of some parts, one part after the other, each row with when it was taken in."""
    selects = []
    for part in run:
        source = f"read_parquet({text(str(folder / part.path))})"
        columns = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
        arrived = "" if "ingested" in columns else f", make_timestamp_ms({milliseconds(part.ingested_at)}) AS ingested"
        selects.append(f"SELECT *{arrived} FROM {source}")
    return " UNION ALL BY NAME ".join(selects)


def _union(connection: Connection, run: Sequence[Part]) -> dict[str, int]:
    """The kinds of value in fields that are known of every part, in columns of their own or not."""
    known = list(parts.all_kinds(connection, [part.id for part in run]).values())
    if len(known) < len(run):
        return {}
    fields = set.intersection(*(set(of) for of in known))
    return {field: reduce(int.__or__, (of[field] for of in known)) for field in fields}


def _files_of_merged(name: str, folder: Path, database: Database, at: datetime) -> list[str]:
    """The files of parts that were merged long enough ago, as far as they are still there."""
    try:
        there = sorted(f"parts/{entry.name}" for entry in os.scandir(folder / "parts"))
    except OSError:
        return []
    with database.connect() as reading:
        return [
            path
            for start in range(0, len(there), AT_ONCE)
            for path in parts.merged_before(reading, name, there[start : start + AT_ONCE], at - KEPT_FOR)
        ]


def _remove(folder: Path, path: str) -> None:
    """Removes a file, and the columns that were taken out of it."""
    stem = Path(path).stem
    for columns in (folder / "columns").glob(f"{glob.escape(stem)}-*.parquet"):
        with suppress(FileNotFoundError):
            columns.unlink()
    with suppress(FileNotFoundError):
        (folder / path).unlink()
