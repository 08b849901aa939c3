"""Taking files of logs into Elasticsearch, for whoever has no shipper: each message once, under its own id.

All lines of a file are checked before anything of it is sent. Sending may be interrupted anywhere: whoever repeats the
command completes it, because an id that is there is not written again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import duckdb

from config.models import ElasticsearchStore
from logviews.elastic import target as targets
from logviews.elastic import template
from logviews.elastic.mapped import MappedFields
from logviews.elastic.session import Session
from logviews.elastic.target import Target
from logviews.elastic.writing import BATCH_BYTES, BATCH_MESSAGES, RefusedError, Writing
from logviews.elastic.written import ID_BYTES, Written, mentions, to_be_written, unstaged, without
from logviews.embedded import engine
from logviews.intake import failures, files, refusals, strict
from logviews.intake.csvfile import csv_to_lines
from logviews.intake.files import Format, IngestError, IngestPlaceError, LogFile
from logviews.intake.ingest import IngestReport
from logviews.intake.parquetfile import parquet_to_lines
from logviews.intake.refusals import SetApart
from logviews.intake.scratch import scratch
from logviews.intake.strict import LineRules, column_of
from logviews.messages import BLANKS, BadLine, Message, raw_text, values
from logviews.store import StoreUnavailable

Tell = Callable[[str], None]
"""Is told now and then how far the work has come, in words."""

_LOG: Final = logging.getLogger("tallywatch.logviews.elastic.ingest")
_TOLD_EVERY: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Rules:
    """What a line must be: what the store's configuration says, and what the index holds as it is.

    What it says in the field `ingested` does not matter, because that is overwritten.
    """

    lines: LineRules
    fields: MappedFields
    id_field: str
    ingested: str

    def check(self, line: str) -> Message:
        """The message of a line that is fit to be written.

        Raises:
            BadLine: with column and reason.
        """
        message = self.lines.check(line)
        if len(raw_text(values(message, self.id_field)[0]).encode()) > ID_BYTES:
            reason = f"{self.id_field} is longer than {ID_BYTES} bytes, which no id in Elasticsearch is"
            raise BadLine(reason, column_of(line, self.id_field))
        self.fields.check(line, without(message, self.ingested) if mentions(message, self.ingested) else message)
        return message


@dataclass(frozen=True, slots=True)
class ElasticIngest:
    """A store in Elasticsearch that takes files in. `now` is the clock: it says when each message was written."""

    name: str
    store: ElasticsearchStore
    session: Session
    now: Callable[[], datetime]
    _warned: set[str] = field(default_factory=set)

    def take(
        self,
        path: Path,
        skip_bad: Path | None = None,
        name: str | None = None,
        format_: Format | None = None,
        tell: Tell = lambda _: None,
    ) -> IngestReport:
        """Takes one file in. Costs a pass over its lines and its size on disk, and a request for some 5 MB.

        Args:
            path: the file; JSON lines, CSV or Parquet, plain or compressed.
            skip_bad: where bad lines are written instead of refusing the file.
            name: what the file is called in reports, when it is a copy of something else (standard input).
            format_: how it is written, where its name and first bytes do not tell.
            tell: is told how far the work has come.

        Raises:
            UsageError: when the configuration does not say where to write, or by which field a message is known again.
            NotAFileError: when there is no file at that path.
            IngestError: for a bad line, with file, line and column; nothing of the file is sent. Or for a message that
                the server refuses; then it says how many were written.
            IngestPlaceError: when the index is not fit to hold messages as they are, or the disk is full.
            StoreUnavailable: when the cluster does not answer.
        """
        file = files.recognise(path, name, format_)
        with scratch() as folder:
            try:
                return self._take(file, folder, skip_bad, tell)
            except duckdb.Error as error:
                raise failures.of_engine(file.name, folder, error) from error
            except OSError as error:
                raise failures.of_system(f"{file.name}: cannot be taken in", folder, error) from error

    def _take(self, file: LogFile, folder: Path, skip_bad: Path | None, tell: Tell) -> IngestReport:
        target = self._target()
        apart = SetApart(folder / "refused", skip_bad) if skip_bad else None
        lines, unfinished = self._plain_lines(file, folder, apart)
        staged = folder / "messages"
        number = self._check(file, lines, target, apart, staged, tell)
        if apart:
            apart.keep()
        targets.add_fields(self.session, target)
        writing = Writing(self.session, target.index, template.ingested_field(self.store), self.now)
        self._write(file, staged, number, writing, tell)
        return IngestReport(
            file.name,
            writing.new,
            writing.duplicates,
            writing.conflicts,
            tuple(writing.conflicting_ids),
            apart.lines if apart else 0,
            resumed=0,
            unfinished=unfinished,
        )

    def _target(self) -> Target:
        """The index to write to; what it changes in messages of others is told once."""
        target = targets.open_target(self.session, self.name, self.store)
        if target.warning is not None and target.warning not in self._warned:
            self._warned.add(target.warning)
            _LOG.warning("%s", target.warning)
        return target

    def _plain_lines(self, file: LogFile, folder: Path, apart: SetApart | None) -> tuple[Path, int | None]:
        """The file as plain JSON lines, and the line of a last row that is not finished."""
        target = folder / "lines"
        if file.format == "csv":
            rows = csv_to_lines(file, target, self.store, refused=apart.staged if apart else None)
            if apart:
                apart.lines += rows.refused
            return target, rows.unfinished
        if file.format == "parquet":
            with engine.connection(spill=folder) as connection:
                parquet_to_lines(connection, file, target)
            return target, None
        if file.compression is None:
            return file.path, None
        with files.opened(file) as stream:
            files.copy(stream, target)
        return target, None

    def _check(
        self, file: LogFile, lines: Path, target: Target, apart: SetApart | None, staged: Path, tell: Tell
    ) -> int:
        """Writes the good lines, ready to be sent, to a file; gives how many there are."""
        id_field, ingested = self.store.fields.id or "", template.ingested_field(self.store)
        rules = _Rules(strict.rules_of(self.store), target.fields, id_field, ingested)
        number = 0
        with staged.open("wb") as out:
            for line in refusals.good_lines(file, lines, 0, rules, apart):
                text = line.content.decode().strip(BLANKS)
                out.write(to_be_written(line.number, text, line.message or {}, id_field, ingested).staged())
                number += 1
                if number % _TOLD_EVERY == 0:
                    tell(f"{number:,} messages checked")
        return number

    def _write(self, file: LogFile, staged: Path, number: int, writing: Writing, tell: Tell) -> None:
        done = 0
        try:
            for batch in _batches(staged):
                writing.write(batch)
                done += len(batch)
                tell(f"{done:,} of {number:,} messages written")
            targets.refresh(self.session, writing.index)
        except RefusedError as error:
            kind = IngestError if error.status == 400 else IngestPlaceError
            place = refusals.place(file, error.message.number)
            raise kind(f"{place}: {error}; {_so_far(writing, number)}") from error
        except (StoreUnavailable, IngestPlaceError) as error:
            raise IngestPlaceError(f"{file.name}: {error}; {_so_far(writing, number)}") from error


def _so_far(writing: Writing, number: int) -> str:
    there = f"{writing.new:,} of {number:,} messages were written"
    return f"{there}, and the command may be repeated: an id counts once"


def _batches(staged: Path) -> Iterator[list[Written]]:
    batch: list[Written] = []
    size = 0
    with staged.open("rb") as stream:
        for line in stream:
            batch.append(unstaged(line))
            size += len(line)
            if size >= BATCH_BYTES or len(batch) == BATCH_MESSAGES:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch
