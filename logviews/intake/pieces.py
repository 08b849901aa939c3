"""Cutting what is new in a file: whole lines from where it was read to, as JSON lines that can be taken in.

A piece is copied before it is looked at, and the file's bytes around it are compared afterwards, because a log may be
truncated or written anew while it is being read.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from duckdb import DuckDBPyConnection

from config.models import EmbeddedStore
from ledger.following import Stretch
from logviews.intake import files
from logviews.intake.contents import TAIL_BYTES, read_exactly, sha256, skip
from logviews.intake.csvfile import csv_to_lines
from logviews.intake.files import IngestError, LogFile
from logviews.intake.parquetfile import parquet_to_lines
from logviews.intake.sightings import Sighting, of_stat, sight
from logviews.messages import MAX_LINE_BYTES

_CHUNK: Final = 1 << 20
_UNENDED: Final = "unexpected end of data"


class ChangedMeanwhileError(IngestError):
    """The file is not what it was when the look at it began; the next look sees it as it is then."""


@dataclass(frozen=True, slots=True)
class Piece:
    """New lines: `lines` is the file of them as JSON lines, before which the log has `passed` lines; `raw` as they are.

    `more` says that the log went on when the piece was as long as a piece may be.
    """

    raw: Path
    lines: Path
    passed: int
    stretch: Stretch
    more: bool


@dataclass(frozen=True, slots=True)
class Cut:
    """How a file is cut: where pieces are staged, how long one may be, by which settings CSV is read.

    `finished` says that a last line without a line end is whole.
    """

    log: LogFile
    seen: Sighting
    folder: Path
    store: EmbeddedStore
    limit: int
    finished: bool

    def piece(self, connection: DuckDBPyConnection, start: int, lines: int, tail: str | None = None) -> Piece | None:
        """What is new from a place on, up to which the file has so many lines; None when it has no whole line more.

        `tail` is the hash of what has to stand before that place.

        Raises:
            ChangedMeanwhileError: when the file was renamed, truncated or written anew.
            IngestError: when it cannot be read, or a row of CSV does not fit.
        """
        raw = self.folder / "piece"
        before, ended = self._copy(raw, start)
        if tail is not None and sha256(before) != tail:
            raise ChangedMeanwhileError(f"{self.log.name}: it was written anew before it was read")
        if self.log.format == "csv" and not (self.finished and ended):
            _keep_whole_rows(raw, self._delimiter(), ended=ended)
        stretch = _measured(raw, start, lines, before)
        if not stretch.bytes:
            return None
        passed = max(lines - 1, 0) if self.log.format == "csv" else lines  # a header comes with each piece
        return Piece(raw, self._json_lines(connection, raw, stretch), passed, stretch, more=not ended)

    def _copy(self, raw: Path, start: int) -> tuple[bytes, bool]:
        """Copies the piece; gives the bytes before it, and whether the file ended in it."""
        with files.opened(self.log) as stream:
            if self.log.compression is None:
                if of_stat(self.log.path, os.fstat(stream.fileno())).file != self.seen.file:
                    raise ChangedMeanwhileError(f"{self.log.name}: it was renamed while it was looked at")
                stream.seek(max(0, start - TAIL_BYTES))
            else:
                skip(stream, max(0, start - TAIL_BYTES))
            before = read_exactly(stream, min(start, TAIL_BYTES))
            whole = self.finished or self.log.format == "parquet"
            ended = _copy_lines(stream, raw, self.limit, whole=whole)
            if self.log.compression is None and not still_there(stream, start, before, raw):
                raise ChangedMeanwhileError(f"{self.log.name}: it was written anew while it was read")
        if self.log.compression is not None and sight(self.log.path) != self.seen:
            raise ChangedMeanwhileError(f"{self.log.name}: it was replaced while it was looked at")
        return before, ended

    def _json_lines(self, connection: DuckDBPyConnection, raw: Path, stretch: Stretch) -> Path:
        if self.log.format == "jsonl":
            return raw
        target, staged = self.folder / "piece.jsonl", replace(self.log, path=raw, compression=None)
        if self.log.format == "parquet":
            parquet_to_lines(connection, staged, target)
            return target
        skipped = 0
        if stretch.start:
            staged = replace(staged, path=self._with_header(raw))
            skipped = stretch.lines_before - 1
        csv_to_lines(staged, target, self.store, skipped=skipped)
        return target

    def _header(self) -> bytes:
        with files.opened(self.log) as stream:
            return stream.readline(MAX_LINE_BYTES)

    def _delimiter(self) -> str:
        header = self._header().decode("latin-1")
        return max(",;\t", key=header.count)

    def _with_header(self, raw: Path) -> Path:
        staged = self.folder / "piece.csv"
        with staged.open("wb") as out, raw.open("rb") as rows:
            out.write(self._header())
            while chunk := rows.read(_CHUNK):
                out.write(chunk)
        return staged


def _copy_lines(stream: BinaryIO, target: Path, limit: int, *, whole: bool) -> bool:
    """Copies whole lines, some `limit` bytes of them; whether the stream ended. With `whole` its last line is one.

    What has no line end within the longest line allowed is copied as it is, so that it is refused as too long.
    """
    end = total = 0
    ended = False
    with target.open("wb") as out:
        while not ended and (total < limit or not end) and total < limit + MAX_LINE_BYTES + _CHUNK:
            chunk = stream.read(min(_CHUNK, limit - total if total < limit else 4096))
            ended = not chunk
            out.write(chunk)
            found = chunk.rfind(b"\n")
            end = total + found + 1 if found >= 0 else end
            total += len(chunk)
        if not (ended and whole) and (end or ended):
            out.truncate(end)
    return ended


def still_there(stream: BinaryIO, start: int, before: bytes, raw: Path) -> bool:
    """Whether a file still has the bytes before a piece, and the piece's first and last ones, where they were.

    A piece that was read while the file was emptied and written anew may be of both; then one of these differs.
    """
    stream.seek(max(0, start - TAIL_BYTES))
    if read_exactly(stream, len(before)) != before:
        return False
    length = raw.stat().st_size
    with raw.open("rb") as copied:
        for place in (0, max(0, length - TAIL_BYTES)):
            copied.seek(place)
            stream.seek(start + place)
            wanted = read_exactly(copied, min(TAIL_BYTES, length - place))
            if read_exactly(stream, len(wanted)) != wanted:
                return False
    return True


def _measured(raw: Path, start: int, lines: int, before: bytes) -> Stretch:
    digest, length, found, tail = hashlib.sha256(), 0, 0, before
    with raw.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            length, found, tail = length + len(chunk), found + chunk.count(b"\n"), (tail + chunk)[-TAIL_BYTES:]
    return Stretch(start, length, lines, found, digest.hexdigest(), hashlib.sha256(tail).hexdigest())


def _keep_whole_rows(raw: Path, delimiter: str, *, ended: bool) -> None:
    """Cuts a stretch of CSV after its last whole row: a quoted cell may go on over line ends.

    What is wrong with a row is not told here, but when the rows are read; nor is a row without an end.
    """
    length = _whole_rows(raw, delimiter)
    if length or ended:
        with raw.open("r+b") as stream:
            stream.truncate(length)


def _whole_rows(raw: Path, delimiter: str) -> int:
    with raw.open("rb") as stream:
        if sum(chunk.count(b'"') for chunk in iter(lambda: stream.read(_CHUNK), b"")) % 2 == 0:
            return raw.stat().st_size
    end = whole = 0

    def lines() -> Iterator[str]:
        nonlocal end
        with raw.open("rb") as stream:
            while line := stream.readline(MAX_LINE_BYTES):
                end += len(line)
                yield line.decode("latin-1")

    csv.field_size_limit(MAX_LINE_BYTES)
    try:
        for _ in csv.reader(lines(), delimiter=delimiter, strict=True):
            whole = end
    except csv.Error as error:
        return whole if str(error) == _UNENDED else raw.stat().st_size
    return raw.stat().st_size
