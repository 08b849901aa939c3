"""One look at the files of a store: which have something new, how it is taken in, and what is noted of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import duckdb
from duckdb import DuckDBPyConnection
from sqlalchemy import Connection

from ledger import following
from ledger.following import Followed, State, Stretch, Trouble
from ledger.parts import Role
from logviews.embedded import engine
from logviews.intake import contents, failures, files, resume
from logviews.intake.files import IngestError, IngestPlaceError, LogFile, NotAFileError
from logviews.intake.noting import News
from logviews.intake.pieces import ChangedMeanwhileError, Cut, Piece
from logviews.intake.recognising import Known, Recognising
from logviews.intake.rows import QUIET, seen_now, unchanged, worth_a_look
from logviews.intake.sightings import Sighting, Sightings, recognise
from logviews.intake.taking import Taking

FORGOTTEN_AFTER: Final = timedelta(days=7)
"""How long a file that is gone is remembered by its inode; its content is known for good."""

_COMPRESSED_PIECES: Final = 4  # a compressed file is read from its beginning for each piece, so there are fewer
_LEAST_BYTES: Final = 1 << 20
_EVERYTHING: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class FileTaken:
    """What became of the new messages of a file: new, there before, there before with other content."""

    path: str
    new: int
    duplicates: int
    conflicts: int


@dataclass(slots=True)
class Look:
    """One look at work, while the store's folder is ours. `rows` are the files that are followed."""

    taking: Taking
    seen: Sightings
    rows: dict[str, Followed]
    piece_bytes: int
    at: datetime
    taken: list[FileTaken] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    """The rows that are to be noted yet."""
    more: bool = False
    """Whether something is left to be read at once."""
    _refused: dict[str, str] = field(default_factory=dict)  # path -> sentence
    _names_before: dict[str, str] = field(default_factory=dict)  # path -> what it was when it was refused
    _by_file: dict[str, Sighting] = field(default_factory=dict)
    _left: int = 0

    def work(self) -> None:
        """Looks into each file that may have something new.

        Known ones first that still hold what was read of them, the shortest rest first; then the others, the longest
        first: a copy that is being made is shorter than what it is made of, and must not be taken for the original.
        """
        self._left = self.piece_bytes
        self._by_file.update((one.file, one) for one in self.seen.files)
        for one in sorted(self.seen.files, key=self._order):
            row = self.rows.get(one.file)
            if row is not None and self._only_renamed(one, row):
                self._names_before[str(one.path)] = row.path
                self._put(replace(row, path=str(one.path)))
            elif worth_a_look(one, row, self.at) or self._was_a_copy(one, row):
                if self._left <= 0:
                    self.more = True
                    return
                self._try(one, row)

    def troubles(self, known: Mapping[str, Trouble]) -> dict[str, Trouble]:
        """What is wrong now, by path: what this look found, and what has not changed since an earlier one."""
        sentences = dict(self.seen.hidden)
        found: dict[str, Trouble] = {}
        for one in self.seen.files:
            row, path = self.rows.get(one.file), str(one.path)
            before = known.get(self._names_before.get(path, path))
            if path in self._refused:
                sentences[path] = self._refused[path]
            elif before is not None and row is not None and row.state in ("refused", "denied"):
                found[path] = replace(before, path=path)
        for path, sentence in sentences.items():
            before = known.get(path)
            same = before is not None and before.sentence == sentence
            found[path] = before if before is not None and same else Trouble(path, sentence, self.at)
        return found

    def forgotten(self) -> list[str]:
        """The files that have been gone for long."""
        old = (row for row in self.rows.values() if self.at - row.since > FORGOTTEN_AFTER)
        return [row.file for row in old if row.file not in self._by_file]

    def _try(self, one: Sighting, row: Followed | None) -> None:
        try:
            self._look_into(one, row)
        except (ChangedMeanwhileError, NotAFileError, FileNotFoundError):
            self.more = True
        except IngestPlaceError:
            raise
        except IngestError as error:
            denied = isinstance(error.__cause__, PermissionError)
            self._refuse(one, row, str(error), "denied" if denied else "refused")
        except OSError as error:
            if failures.is_disk_full(error) or str(error.filename or "").startswith(str(self.taking.store.folder)):
                raise
            self._refuse(one, row, f"{one.path}: cannot be read: {error.strerror or error}", "denied")

    def _refuse(self, one: Sighting, row: Followed | None, sentence: str, state: State) -> None:
        self._refused[str(one.path)] = sentence
        self._put(seen_now(one, row, self.at, state))

    def _order(self, one: Sighting) -> tuple[bool, int]:
        row = self.rows.get(one.file)
        if row is None or row.content_id is None or row.state == "copy" or not self._still_holds(one, row):
            return True, -one.size
        return False, one.size - row.bytes

    def _still_holds(self, one: Sighting, row: Followed) -> bool:
        """Whether a file still begins with what was read of it: an inode may be another file's by now, a copy's too."""
        if unchanged(one, row):
            return True
        try:
            log = recognise(one.path)
            return log.compression is None and self._recognising().grown(log, row) is not None
        except (IngestError, OSError):
            return False

    def _only_renamed(self, one: Sighting, row: Followed) -> bool:
        return row.path != str(one.path) and unchanged(one, row) and row.state in ("read", "cut", "refused")

    def _was_a_copy(self, one: Sighting, row: Followed | None) -> bool:
        """Whether a file was a copy of another one, which is gone by now."""
        if row is None or row.state != "copy":
            return False
        if row.content_id is None or not self._recognising().holds(row.content_id, one):
            return True
        with self.taking.database.connect() as reading:  # what follows in it may not be what followed in the original
            return 0 < row.bytes != following.last(reading, row.content_id).end

    def _recognising(self) -> Recognising:
        return Recognising(self.taking.name, self.taking.store, self.taking.database, self.rows, self._by_file)

    def _look_into(self, one: Sighting, row: Followed | None) -> None:
        log = recognise(one.path)
        whole = log.compression is not None or log.format == "parquet"
        if whole and not (
            row is not None and unchanged(one, row)
        ):  # it may be being written: it is read when two looks see it alike
            self._put(replace(seen_now(one, row, self.at, "new"), bytes=0))  # who knows whether it still holds that
            self.more = True
            return
        with engine.connection(spill=self.taking.staging.folder) as connection:
            try:
                self._read(connection, one, log, row, finished=whole or self._quiet(one, row))
            except IngestError:
                if not whole or self._quiet(one, row):
                    raise
                self._put(seen_now(one, row, self.at, "waiting"))  # it may still be being written
            except duckdb.Error as error:
                raise failures.of_engine(log.name, self.taking.store.folder, error) from error

    def _quiet(self, one: Sighting, row: Followed | None) -> bool:
        return row is not None and unchanged(one, row) and self.at - row.since >= QUIET

    def _read(
        self, connection: DuckDBPyConnection, one: Sighting, log: LogFile, row: Followed | None, *, finished: bool
    ) -> None:
        cut = Cut(log, one, self.taking.staging.folder, self.taking.store, self._limit(log), finished)
        known = self._known(connection, one, log, row, cut)
        after = seen_now(one, row, self.at, "read")
        if known.copy:
            self._put(replace(after, content_id=known.content_id, bytes=known.bytes, state="copy"))
            return
        known, beginning, asked = self._with_sources(log, known, row)
        after = replace(after, content_id=known.content_id, bytes=known.bytes, sources=asked)
        if known.cut or (row is not None and row.state == "cut" and row.content_id == known.content_id):
            after = replace(after, state="cut")
        piece = cut.piece(connection, known.bytes, known.lines, self._tail(known, beginning))
        news = News(after, beginning, piece, finished)
        head = news.head(log)

        def noted(writing: Connection, part_ids: Mapping[Role, int]) -> None:
            self.rows[one.file] = news.write(writing, self.taking.name, head, part_ids, self.at)

        if piece is not None:
            found = self.taking.take(
                connection, self.taking.registered(), log, piece.lines, piece.passed, self.at, noted
            )
            self._left -= piece.stretch.bytes
            self.more |= piece.more
            if found.new or found.duplicates:
                self.taken.append(FileTaken(log.name, found.new, found.duplicates, found.conflicts))
        elif beginning:
            with self.taking.database.begin() as writing:
                noted(writing, {})
        else:
            state: State = "read" if known.bytes >= one.size or finished else "waiting"
            self._put(after if after.state == "cut" else replace(after, state=state))

    def _tail(self, known: Known, beginning: tuple[Stretch, ...]) -> str | None:
        """The hash of the bytes that have to stand before what is new."""
        if beginning or known.content_id is None:
            return beginning[-1].tail_sha256 if beginning else None
        with self.taking.database.connect() as reading:
            return following.last(reading, known.content_id).tail_sha256

    def _limit(self, log: LogFile) -> int:
        if log.format == "parquet":
            return _EVERYTHING
        if log.compression is not None:
            return self.piece_bytes * _COMPRESSED_PIECES
        return max(self._left // 2, min(self.piece_bytes, _LEAST_BYTES))  # so that others get their turn, too

    def _known(
        self, connection: DuckDBPyConnection, one: Sighting, log: LogFile, row: Followed | None, cut: Cut
    ) -> Known:
        """How much of the file was counted before."""
        recognising = self._recognising()

        def rest(start: int, lines: int, limit: int) -> Piece | None:
            return replace(cut, limit=limit).piece(connection, start, lines)

        if row is not None and row.content_id is not None and row.state != "copy":
            if log.compression is None and log.format != "parquet":
                known = recognising.grown(log, row)
                if known is not None and row.state == "cut":  # it may become again what it is a beginning of
                    again = recognising.recognise(one, log, rest, connection, but=row.content_id)
                    return again if again.copy or again.bytes > known.bytes else known
                if known is not None:
                    return known
            elif row.state == "more":
                with self.taking.database.connect() as reading:
                    last = following.last(reading, row.content_id)
                if last.end == row.bytes:
                    return Known(row.content_id, last.end, last.lines_through)
        if not one.size:
            return Known()
        return recognising.recognise(one, log, rest, connection)

    def _with_sources(self, log: LogFile, known: Known, row: Followed | None) -> tuple[Known, tuple[Stretch, ...], int]:
        """What is known together with what was taken in by hand, the stretches to note, the last row asked."""
        beginning = list(self._counted_as(log, known)) if known.like is not None else []
        after = row.sources if row is not None and row.content_id == known.content_id is not None else 0
        with self.taking.database.connect() as reading:
            asked, sources = following.sources_after(reading, self.taking.name, after)
        longer = [one for one in sources if one.bytes > known.bytes]
        taken = resume.read_before(log, longer) if longer else None
        if taken is not None:
            with files.opened(log) as stream:
                beginning.append(contents.measure(stream, known.bytes, known.lines, taken.bytes - known.bytes))
            known = Known(known.content_id, taken.bytes, beginning[-1].lines_through)
        return known, tuple(beginning), asked

    def _counted_as(self, log: LogFile, known: Known) -> Iterator[Stretch]:
        """The stretches of another content that a file begins with, the last one as far as the file has it."""
        like = known.like
        if like is None:
            return
        with self.taking.database.connect() as reading:
            for one in following.stretches(reading, like.content_id):
                if one.end <= like.bytes:
                    yield one
        if known.bytes > like.bytes and like.following is not None:
            with files.opened(log) as stream:
                rest = contents.measure(stream, like.bytes, like.lines, known.bytes - like.bytes)
            of = like.following
            yield replace(rest, messages_id=of.messages_id, duplicates_id=of.duplicates_id)

    def _put(self, row: Followed) -> None:
        self.rows[row.file] = row
        self.changed.add(row.file)
