"""Taking files of logs into an embedded store: all of a file or nothing, each message once.

A file becomes one immutable Parquet part in the store's folder: written beside, checked, moved into place, registered
in the ledger in one transaction. What the ledger does not know does not exist, so a crash leaves at most files that the
next ingest sweeps away. One process at a time writes to a store's folder; readers need no lock.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import duckdb
from duckdb import DuckDBPyConnection

from config.models import EmbeddedStore
from ledger import parts
from ledger.database import Database, LedgerError
from ledger.parts import Part
from logviews.embedded import engine
from logviews.fields import fixed_reading, read_as
from logviews.intake import files, identity, refusals, resume, strict
from logviews.intake.csvfile import csv_to_lines
from logviews.intake.files import Beginning, Format, IngestError, IngestPlaceError, LogFile
from logviews.intake.followed import read_by_pickup
from logviews.intake.parquetfile import parquet_to_lines
from logviews.intake.resume import Continuation
from logviews.intake.scribe import Scribe
from logviews.intake.staging import Staging, copy_durably, writing

_INTERRUPTED_FUNCTION: Final = (
    "Invalid Input Error: Python exception occurred while executing the UDF: KeyboardInterrupt"
)
_OUTSIDE: Final = (duckdb.IOException, duckdb.OutOfMemoryException)


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of a file's messages. `resumed` lines had been read before and were passed over."""

    file: str
    new: int
    duplicates: int
    conflicts: int
    conflicting_ids: tuple[str, ...]  # at most ten
    skipped: int
    resumed: int
    unfinished: int | None = None  # the line of a last CSV row without a line end, which was left for the next time


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A file as plain JSON lines, without those that were read before or were refused already."""

    lines: Path
    resume: Continuation
    refused: int = 0
    unfinished: int | None = None


@dataclass(frozen=True, slots=True)
class Ingest:
    """A store that takes files in."""

    name: str
    store: EmbeddedStore
    fields: tuple[str, ...]  # those that get a column of their own, see `logviews.fields.used_fields`
    database: Database

    def take(
        self,
        path: Path,
        at: datetime,
        skip_bad: Path | None = None,
        name: str | None = None,
        format_: Format | None = None,
    ) -> IngestReport:
        """Takes one file in. Costs one pass over its lines, and one over the ids that the store has.

        Args:
            path: the file; JSON lines, CSV or Parquet, plain or compressed.
            at: when it is taken in.
            skip_bad: where bad lines are written instead of refusing the file.
            name: what the file is called in reports, when it is a copy of something else (standard input).
            format_: how it is written, where its name and first bytes do not tell.

        Raises:
            NotAFileError: when there is no file at that path.
            IngestError: for a bad line, with file, line and column; nothing of the file is kept.
            TallywatchError: when the disk is full, the folder is not writable or the ledger cannot be written.
            KeyboardInterrupt: when Ctrl-C came while the engine worked; nothing of the file is kept.
        """
        file = files.recognise(path, name, format_)
        with writing(self.store.folder) as staging:
            try:
                staging.sweep(self._paths)
                staging.sweep_columns()
                return self._take(file, staging, at, skip_bad)
            except duckdb.Error as error:
                raise self._refusal(file, error) from error
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
                    raise _disk_full(self.store.folder) from error
                raise IngestPlaceError(f"{file.name}: cannot be taken in: {error.strerror or error}") from error
            finally:
                with suppress(LedgerError):  # then the next ingest does it
                    staging.sweep(self._paths)

    def _refusal(self, file: LogFile, error: duckdb.Error) -> BaseException:
        if engine.is_disk_full(error):
            return _disk_full(self.store.folder)
        if _is_interrupt(error):
            return KeyboardInterrupt()
        kind = IngestPlaceError if isinstance(error, _OUTSIDE) else IngestError
        return kind(f"{file.name}: cannot be taken in: {str(error).splitlines()[0]}")

    def _take(self, file: LogFile, staging: Staging, at: datetime, skip_bad: Path | None) -> IngestReport:
        registered = self._registered()
        refused = staging.path("refused") if skip_bad else None
        with engine.connection(spill=staging.folder) as connection:
            prepared = self._plain_lines(connection, file, staging, refused)
            rules = strict.rules_of(self.store)
            scribe = Scribe(connection, self.store, self.fields, rules)
            scribe.register()
            part, lines, skipped = staging.path("part.parquet"), prepared.lines, prepared.refused
            try:
                scribe.write_lines(lines, part)
            except duckdb.Error as error:
                if engine.is_disk_full(error) or _is_interrupt(error):
                    raise
                lines = staging.path("clean.jsonl")
                skipped += refusals.sift(file, prepared.lines, prepared.resume.lines, rules, lines, refused)
                scribe.write_lines(lines, part)
            if skip_bad and refused and skipped:
                copy_durably(refused, skip_bad)
            sorted_ = identity.separate(
                connection,
                [self.store.folder / known.path for known in registered],
                part,
                self.store.fields.id is not None,
                scribe.write,
                lambda: scribe.write_in_order(lines, part),
            )
            self._publish(scribe, sorted_, prepared.resume, file, at, staging)
        return IngestReport(
            file.name,
            sorted_.new,
            sorted_.duplicates,
            sorted_.conflicts,
            sorted_.conflicting_ids,
            skipped,
            prepared.resume.lines,
            prepared.unfinished,
        )

    def _registered(self) -> tuple[Part, ...]:
        """The store's parts of messages, all read by the fields that the configuration states.

        Raises:
            IngestError: otherwise. Messages told apart by other fields cannot be in one store: some would count twice
                or not at all.
        """
        with self.database.connect() as reading:
            registered = parts.of_store(reading, self.name)
        ours = read_as(self.store)
        other = next((part for part in registered if part.read_as != ours), None)
        if other is not None:
            raise IngestError(fixed_reading(self.name, other.read_as, ours))
        return registered

    def _paths(self) -> Collection[str]:
        with self.database.connect() as reading:
            return {part.path for role in parts.ROLES for part in parts.of_store(reading, self.name, role)}

    def _plain_lines(
        self, connection: DuckDBPyConnection, file: LogFile, staging: Staging, refused: Path | None
    ) -> _Prepared:
        """The file as plain JSON lines, without those that were read before; rows that do not fit go to `refused`."""
        target, known = staging.path("lines.jsonl"), self._sources(file)
        if file.format == "csv":
            before = resume.read_before(file, known)
            passed = before.lines if before else 0
            rows = csv_to_lines(file, target, self.store, passed, refused)
            source = resume.noted(file, rows.read, rows.lines) if self._noted else None
            return _Prepared(target, Continuation(passed, source), rows.refused, rows.unfinished)
        if file.format == "parquet":
            before = resume.read_before(file, known)
            if before is not None and before.bytes == file.size:  # such a file does not grow
                target.touch()
                source = resume.noted(file, Beginning(before.bytes, before.sha256), before.lines)
                return _Prepared(target, Continuation(before.lines, source))
            read = parquet_to_lines(connection, file, target)
            source = resume.noted(file, read, resume.lines_of(target)) if self._noted else None
            return _Prepared(target, Continuation(0, source))
        if self._noted:
            return _Prepared(target, resume.continuation(file, known, target))
        if file.compression is None:
            return _Prepared(file.path, Continuation(0, None))
        with files.opened(file) as stream:
            files.copy(stream, target)
        return _Prepared(target, Continuation(0, None))

    @property
    def _every_line_counts(self) -> bool:
        return self.store.fields.id is None

    @property
    def _noted(self) -> bool:
        """Whether it is noted how far a file was read: pick-up, too, goes on after that."""
        return self._every_line_counts or bool(self.store.read)

    def _sources(self, file: LogFile) -> Sequence[parts.SourceFile]:
        if not self._every_line_counts:
            return ()
        with self.database.connect() as reading:
            known = parts.sources(reading, self.name)
        return (*known, *read_by_pickup(self.name, self.store, self.database, file))

    def _publish(
        self,
        scribe: Scribe,
        sorted_: identity.Separated,
        continued: Continuation,
        file: LogFile,
        at: datetime,
        staging: Staging,
    ) -> None:
        ready: list[tuple[Part, dict[str, int]]] = []
        for role, path in sorted_.files:
            found = scribe.describe(path)
            digest = _sha256(path)
            first = found.min_time.strftime("%Y%m%dT%H%M%S")
            kind = "-duplicates" if role == "duplicates" else ""
            target = self._free(f"parts/{first}-{digest[:16]}{kind}-{time_token(at)}")
            staging.move(path, target)
            part = Part(
                store=self.name,
                sha256=digest,
                path=target,
                role=role,
                rows=found.rows,
                conflicts=sorted_.conflicts if role == "duplicates" else 0,
                min_time=found.min_time,
                max_time=found.max_time,
                ingested_at=at,
                source=file.name,
                fields=self.fields,
                read_as=read_as(self.store),
            )
            ready.append((part, found.kinds))
        if not ready and continued.source is None:
            return
        with self.database.begin() as writing_:
            for part, part_kinds in ready:
                parts.add(writing_, part, part_kinds)
            if continued.source is not None:
                parts.add_source(writing_, self.name, continued.source, at)
        staging.registered()

    def _free(self, stem: str) -> str:
        """A name for a part that no part has: the same content can come in twice at one instant."""
        numbers = ("", *(f"-{number}" for number in range(2, 1000)))
        names = (f"{stem}{number}.parquet" for number in numbers)
        return next(name for name in names if not (self.store.folder / name).exists())


def _is_interrupt(error: duckdb.Error) -> bool:
    """Whether Ctrl-C came while the engine worked, or while it called a function of ours."""
    return isinstance(error, duckdb.InterruptException) or str(error).startswith(_INTERRUPTED_FUNCTION)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def time_token(at: datetime) -> str:
    """An instant as a short token of a file name, so that taking the same content in again gives another file."""
    return format(int(at.timestamp() * 1000), "x")


def _disk_full(folder: Path) -> IngestPlaceError:
    return IngestPlaceError(f"{folder}: the disk is full; nothing was taken in")
