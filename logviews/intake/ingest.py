"""Taking files of logs into an embedded store: all of a file or nothing, each message once.

A file becomes one immutable Parquet part in the store's folder: written beside, checked, moved into place, registered
in the ledger in one transaction. What the ledger does not know does not exist, so a crash leaves at most files that the
next ingest sweeps away. One process at a time writes to a store's folder; readers need no lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection
from sqlalchemy import Connection

from config.models import EmbeddedStore
from ledger import parts
from ledger.database import Database, LedgerError
from ledger.parts import Role, SourceFile
from logviews.embedded import engine
from logviews.intake import failures, files, resume
from logviews.intake.csvfile import csv_to_lines
from logviews.intake.files import Beginning, Format, LogFile
from logviews.intake.followed import read_by_pickup
from logviews.intake.parquetfile import parquet_to_lines
from logviews.intake.refusals import SetApart
from logviews.intake.resume import Continuation
from logviews.intake.staging import Staging, writing
from logviews.intake.taking import Noted, Taking


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
                staging.sweep(self.name, self.database)
                staging.sweep_columns()
                return self._take(file, staging, at, skip_bad)
            except duckdb.Error as error:
                raise failures.of_engine(file.name, self.store.folder, error) from error
            except OSError as error:
                raise failures.of_system(f"{file.name}: cannot be taken in", self.store.folder, error) from error
            finally:
                with suppress(LedgerError):  # then the next ingest does it
                    staging.sweep(self.name, self.database)

    def _take(self, file: LogFile, staging: Staging, at: datetime, skip_bad: Path | None) -> IngestReport:
        taking = Taking(self.name, self.store, self.fields, self.database, staging)
        registered = taking.registered()
        apart = SetApart(staging.path("refused"), skip_bad) if skip_bad else None
        with engine.connection(spill=staging.folder) as connection:
            prepared = self._plain_lines(connection, file, staging, apart)
            source = prepared.resume.source
            noted = self._noting(source, at) if source is not None else None
            found = taking.take(connection, registered, file, prepared.lines, prepared.resume.lines, at, noted, apart)
        return IngestReport(
            file.name,
            found.new,
            found.duplicates,
            found.conflicts,
            found.conflicting_ids,
            apart.lines if apart else 0,
            prepared.resume.lines,
            prepared.unfinished,
        )

    def _noting(self, source: SourceFile, at: datetime) -> Noted:
        def noted(writing_: Connection, _: Mapping[Role, int]) -> None:
            parts.add_source(writing_, self.name, source, at)

        return noted

    def _plain_lines(
        self, connection: DuckDBPyConnection, file: LogFile, staging: Staging, apart: SetApart | None
    ) -> _Prepared:
        """The file as plain JSON lines, without those that were read before; rows that do not fit are set apart."""
        target, known = staging.path("lines.jsonl"), self._sources(file)
        if file.format == "csv":
            before = resume.read_before(file, known)
            passed = before.lines if before else 0
            rows = csv_to_lines(file, target, self.store, passed, apart.staged if apart else None)
            if apart:
                apart.lines += rows.refused
            source = resume.noted(file, rows.read, rows.lines) if self._noted else None
            return _Prepared(target, Continuation(passed, source), rows.unfinished)
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
