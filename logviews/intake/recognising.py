"""Which content a file holds, and how much of it was counted before: by its bytes, whatever the file is called.

While another file still holds the content, one that is the same or a beginning of it is a copy (of `copytruncate`, or a
compression that is not done), and is not read; one that differs is a file of its own, and counts as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from duckdb import DuckDBPyConnection

from config.models import EmbeddedStore
from ledger import following, parts
from ledger.database import Database
from ledger.following import Followed, Stretch
from logviews.embedded import engine
from logviews.embedded.scan import parquet
from logviews.embedded.sqltext import text
from logviews.intake import contents, files
from logviews.intake.contents import HEAD_BYTES, Match
from logviews.intake.files import IngestError, LogFile
from logviews.intake.pieces import ChangedMeanwhileError, Piece
from logviews.intake.sightings import Sighting, recognise, sight
from logviews.messages import MAX_LINE_BYTES


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a file: its content, how many of its bytes and lines were counted, and whether it is a copy.

    Without a content but with bytes, so much of it was counted as the beginning of another content, `like`.
    """

    content_id: int | None = None
    bytes: int = 0
    lines: int = 0
    copy: bool = False
    like: Match | None = None

    @property
    def cut(self) -> bool:
        """Whether the file is but a beginning of that other content."""
        return self.like is not None and self.like.ended


@dataclass(frozen=True, slots=True)
class Recognising:
    """Recognises the files of a store; `rows` are the files that are followed, `seen` those of this look."""

    name: str
    store: EmbeddedStore
    database: Database
    rows: Mapping[str, Followed]
    seen: Mapping[str, Sighting]

    def grown(self, log: LogFile, row: Followed) -> Known | None:
        """What is known of a file that was read before, when it still begins with that; costs one look at its tail."""
        if row.content_id is None or row.state == "copy":
            return None
        with self.database.connect() as reading:
            last = following.last(reading, row.content_id)
        if not _ends_alike(log, last):
            return None
        return Known(row.content_id, last.end, last.lines_through)

    def recognise(self, seen: Sighting, log: LogFile, rest: Callable[[int, int, int], Piece | None],
                  connection: DuckDBPyConnection, but: int | None = None) -> Known:  # fmt: skip
        """What is known of a file at its first sight, or after it was written anew; a pass for each content alike.

        `rest` gives the new whole lines of the file from a place on, up to which it has so many lines, and so many
        bytes of them at most; `but` is a content that it is not compared with.
        """
        matches = (one for one in self._matches(log) if one.content_id != but)
        found = sorted(matches, key=lambda one: (one.ended, one.bytes, one.whole), reverse=True)
        for one in found:
            holder = self._holder(one.content_id, seen)
            if holder is not None:
                if one.whole or one.ended:
                    if self._is_copy(log, holder, one):
                        return Known(one.content_id, one.bytes if one.whole else 0, one.lines, copy=True)
                    if self._holder(one.content_id, seen) is None:
                        raise ChangedMeanwhileError(f"{holder.name}: it was written anew while it was compared")
                    if one.whole and self._is_copy(holder, log, one):  # the holder is the copy, which is being made
                        return Known(one.content_id, one.bytes, one.lines)
                continue
            if one.whole:
                return Known(one.content_id, one.bytes, one.lines)
            if one.ended and one.following is not None:
                piece = rest(one.bytes, one.lines, one.following.bytes)  # as the whole of it was one, this is, too
                if piece is None:
                    if one.bytes:  # it ends with a stretch, or in the line after it
                        return Known(None, one.bytes, one.lines, like=one)
                    continue
                if self._counted(connection, piece, one.following):
                    return Known(None, piece.stretch.end, piece.stretch.lines_through, like=one)
            if one.bytes and self._same_place(one.content_id, seen):
                return Known(None, one.bytes, one.lines, like=one)
        return Known()

    def _matches(self, log: LogFile) -> Iterator[Match]:
        with files.opened(log) as stream:
            head = contents.read_exactly(stream, HEAD_BYTES)
        with self.database.connect() as reading:
            alike = following.beginning_with(reading, self.name, head)
            if len(head) < HEAD_BYTES:  # it may be the beginning of what another file holds, or what is left of it
                near = {row.content_id for row in self.rows.values() if row.content_id is not None}
                alike += following.longer_than(reading, near, head)
            for content_id in alike:
                with files.opened(log) as stream:
                    yield contents.match(stream, content_id, following.stretches(reading, content_id))

    def _holder(self, content_id: int, but: Sighting) -> LogFile | None:
        """The other file that holds a content now."""
        for row in self.rows.values():
            if row.content_id == content_id and row.state != "copy" and row.file != but.file:
                path = self.seen[row.file].path if row.file in self.seen else Path(row.path)
                try:
                    now = sight(path)
                    if now is None or now.file != row.file:
                        continue
                    log = recognise(path)
                    if log.compression is not None or log.format == "parquet":
                        if row.bytes and (now.size, now.changed_ns) == (row.size, row.changed_ns):
                            return log
                    elif self.grown(log, row) is not None:
                        return log
                except (IngestError, OSError):
                    continue
        return None

    def holds(self, content_id: int, but: Sighting) -> bool:
        """Whether another file holds a content now."""
        return self._holder(content_id, but) is not None

    def _is_copy(self, log: LogFile, holder: LogFile, found: Match) -> bool:
        with ExitStack() as stack:
            one, other = stack.enter_context(files.opened(log)), stack.enter_context(files.opened(holder))
            return contents.within(one, other, found.bytes)

    def _same_place(self, content_id: int, seen: Sighting) -> bool:
        """Whether the file stands where the content was: it was edited, cut off, or mended."""
        return any(
            row.content_id == content_id and (row.file == seen.file or row.path == str(seen.path))
            for row in self.rows.values()
        )

    def _counted(self, connection: DuckDBPyConnection, piece: Piece, within: Stretch) -> bool:
        """Whether each line of a piece is among those that a stretch became."""
        ids = [id_ for id_ in (within.messages_id, within.duplicates_id) if id_ is not None]
        if not ids:
            return False
        with self.database.connect() as reading:
            paths = [self.store.folder / parts.present(reading, id_).path for id_ in ids]
        lines = (
            f"SELECT CAST(json AS VARCHAR) AS line FROM read_json_objects({text(str(piece.lines))}, "
            f"format = 'newline_delimited', compression = 'uncompressed', maximum_object_size = {MAX_LINE_BYTES})"
        )
        others = engine.number(
            connection, f"SELECT count(*) FROM ({lines} EXCEPT ALL SELECT line FROM {parquet(paths)})"
        )
        return others == 0


def _ends_alike(log: LogFile, last: Stretch) -> bool:
    with files.opened(log) as stream:
        return contents.tail_sha256(stream, last.end) == last.tail_sha256
