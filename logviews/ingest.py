"""Taking files of logs into an embedded store: all of a file or nothing, each message once.

A file becomes one immutable Parquet part in the store's folder: written beside, checked, moved into place, registered
in the ledger in one transaction. What the ledger does not know does not exist, so a crash leaves at most files that the
next ingest sweeps away. One process at a time writes to a store's folder; readers need no lock.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

import duckdb
from duckdb import DuckDBPyConnection

from config.models import EmbeddedStore, FieldType
from ledger import parts
from ledger.database import Database, LedgerError
from logviews import engine, extract, files, identity, kinds, messages, strict
from logviews.fields import fixed_reading, read_as
from logviews.files import IngestError, IngestPlaceError, LogFile
from logviews.messages import MAX_LINE_BYTES
from logviews.resume import Continuation, continuation, continuation_of_rows
from logviews.sqltext import quote, text
from logviews.strict import LineRules
from logviews.times import from_milliseconds, unquoted_sql

LOCK_PATIENCE_SECONDS: Final = 60.0
_MOVING: Final = "moving"
"""A file in the staging folder: the parts that are being moved into place and are not registered yet."""
_OUTSIDE: Final = (duckdb.IOException, duckdb.OutOfMemoryException)
_ROWS_PER_GROUP: Final = (
    40_960  # a third of DuckDB's default: a row group of raw lines has to fit in memory, per thread
)
_COMPRESSION: Final = "COMPRESSION zstd, COMPRESSION_LEVEL 1"


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


@dataclass(frozen=True, slots=True)
class Ingest:
    """A store that takes files in."""

    name: str
    store: EmbeddedStore
    fields: tuple[str, ...]  # those that get a column of their own, see `logviews.fields.used_fields`
    database: Database

    def take(self, path: Path, at: datetime, skip_bad: Path | None = None, name: str | None = None) -> IngestReport:
        """Takes one file in. Costs one pass over its lines, and one over the ids that the store has.

        Args:
            path: the file; JSON lines, CSV or Parquet, plain or compressed.
            at: when it is taken in.
            skip_bad: where bad lines are written instead of refusing the file.
            name: what the file is called in reports, when it is a copy of something else (standard input).

        Raises:
            IngestError: for a bad line, with file, line and column; nothing of the file is kept.
            TallywatchError: when the disk is full, the folder is not writable or the ledger cannot be written.
        """
        shown = name or str(path)
        file = files.recognise(path, shown)
        with _writing(self.store.folder) as staging:
            try:
                self._sweep(staging)
                self._refuse_other_readings()
                return self._take(file, shown, staging, at, skip_bad)
            except duckdb.Error as error:
                if engine.is_disk_full(error):
                    raise _disk_full(self.store.folder) from error
                kind = IngestPlaceError if isinstance(error, _OUTSIDE) else IngestError
                raise kind(f"{shown}: cannot be taken in: {str(error).splitlines()[0]}") from error
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
                    raise _disk_full(self.store.folder) from error
                raise IngestPlaceError(f"{shown}: cannot be taken in: {error.strerror or error}") from error
            finally:
                with suppress(LedgerError):  # then the next ingest does it
                    self._sweep(staging)

    def _take(self, file: LogFile, shown: str, staging: Path, at: datetime, skip_bad: Path | None) -> IngestReport:
        with engine.connection(spill=staging) as connection:
            lines, resume = self._plain_lines(connection, file, staging)
            rules = strict.rules_of(self.store)
            scribe = _Scribe(connection, self.store, self.fields, rules)
            scribe.register()
            part, skipped = staging / "part.parquet", 0
            try:
                scribe.write_lines(lines, part)
            except duckdb.Error as error:
                if engine.is_disk_full(error) or isinstance(error, duckdb.InterruptException):
                    raise
                lines, skipped = _scanned(lines, file, resume.lines, rules, staging, skip_bad)
                scribe.write_lines(lines, part)
            sorted_ = identity.separate(
                connection,
                self._registered(),
                part,
                self.store.fields.id is not None,
                scribe.write,
                lambda: scribe.write_in_order(lines, part),
            )
            self._publish(scribe, sorted_, resume, shown, at, staging / _MOVING)
        return IngestReport(
            shown, sorted_.new, sorted_.duplicates, sorted_.conflicts, sorted_.conflicting_ids, skipped, resume.lines
        )

    def _plain_lines(self, connection: DuckDBPyConnection, file: LogFile, staging: Path) -> tuple[Path, Continuation]:
        """The file as plain JSON lines, without those that were read before."""
        known: Sequence[parts.SourceFile] = ()
        if self.store.fields.id is None:
            with self.database.connect() as reading:
                known = parts.sources(reading, self.name)
        target = staging / "lines.jsonl"
        if file.format != "jsonl":
            rows = staging / "rows.jsonl"
            if file.format == "parquet":
                digest = files.parquet_to_lines(connection, file, rows)
            else:
                digest = files.csv_to_lines(file, rows, self.store)
            if self.store.fields.id is None:
                return continuation_of_rows(file, known, rows, digest, target)
            return rows, Continuation(0, None)
        if self.store.fields.id is None:
            return continuation(file, known, target)
        if file.compression is None:
            return file.path, Continuation(0, None)
        with files.opened(file) as stream:
            files.copy(stream, target)
        return target, Continuation(0, None)

    def _refuse_other_readings(self) -> None:
        """Messages told apart by other fields cannot be in one store: some would count twice or not at all."""
        ours = read_as(self.store)
        with self.database.connect() as reading:
            other = next((part for part in parts.of_store(reading, self.name) if part.read_as != ours), None)
        if other is not None:
            raise IngestError(fixed_reading(self.name, other.read_as, ours))

    def _registered(self) -> list[Path]:
        with self.database.connect() as reading:
            return [self.store.folder / part.path for part in parts.of_store(reading, self.name)]

    def _sweep(self, staging: Path) -> None:
        """Removes what a crash left behind: parts that were moved into place and never registered.

        Only those that were noted before they were moved, because a folder that somebody opens with another ledger is
        full of parts that this ledger does not know.
        """
        moving = staging / _MOVING
        if not moving.is_file():
            return
        with self.database.connect() as reading:
            known = {
                self.store.folder / part.path
                for role in parts.ROLES
                for part in parts.of_store(reading, self.name, role)
            }
        for name in moving.read_text(encoding="utf-8").splitlines():
            if self.store.folder / name not in known:
                (self.store.folder / name).unlink(missing_ok=True)
        moving.unlink()

    def _free(self, stem: str) -> str:
        """A name for a part that no part has: the same content can come in twice at one instant."""
        numbers = ("", *(f"-{number}" for number in range(2, 1000)))
        names = (f"{stem}{number}.parquet" for number in numbers)
        return next(name for name in names if not (self.store.folder / name).exists())

    def _publish(
        self,
        scribe: _Scribe,
        sorted_: identity.Separated,
        resume: Continuation,
        shown: str,
        at: datetime,
        moving: Path,
    ) -> None:
        ready: list[tuple[parts.Part, dict[str, int]]] = []
        for role, path in sorted_.files:
            found = scribe.describe(path)
            digest = _sha256(path)
            first = found.min_time.strftime("%Y%m%dT%H%M%S")
            kind = "-duplicates" if role == "duplicates" else ""
            target = self._free(f"parts/{first}-{digest[:16]}{kind}-{time_token(at)}")
            _note_durably(moving, target)
            _move_durably(path, self.store.folder / target)
            conflicts = sorted_.conflicts if role == "duplicates" else 0
            part = parts.Part(
                self.name,
                digest,
                target,
                role,
                found.rows,
                conflicts,
                found.min_time,
                found.max_time,
                at,
                shown,
                self.fields,
                read_as(self.store),
            )
            ready.append((part, found.kinds))
        if not ready and resume.source is None:
            return
        with self.database.begin() as writing:
            for part, part_kinds in ready:
                parts.add(writing, part, part_kinds)
            if resume.source is not None:
                parts.add_source(writing, self.name, resume.source, at)
        moving.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Described:
    rows: int
    min_time: datetime
    max_time: datetime
    kinds: dict[str, int]


class _Scribe:
    """Writes checked lines as Parquet: time, customer, id, the raw line, and a column for each used field."""

    def __init__(
        self, connection: DuckDBPyConnection, store: EmbeddedStore, used: tuple[str, ...], rules: LineRules
    ) -> None:
        self._connection = connection
        self._rules = rules
        self._used = used
        self._verbatim = [store.fields.customer, *([store.fields.id] if store.fields.id else [])]
        own = [store.fields.time, *self._verbatim]
        self.fields: tuple[str, ...] = tuple(dict.fromkeys([*own, *used, *store.types]))

    def register(self) -> None:
        """Gives the connection what the SQL below calls."""
        extract.register(self._connection, self.fields)
        engine.add_function(self._connection, "of_type", _of_type, ["VARCHAR", "VARCHAR"], "BOOLEAN")
        engine.add_function(self._connection, "only_text", _only_text, ["VARCHAR"], "VARCHAR")
        engine.add_function(self._connection, "exact_time", self._rules.time.exact_milliseconds, ["VARCHAR"], "BIGINT")

    def write(self, select: str, target: Path) -> None:
        """Writes the rows of a SELECT as a part."""
        self._connection.execute(
            f"COPY ({select}) TO {text(str(target))} (FORMAT parquet, {_COMPRESSION}, ROW_GROUP_SIZE {_ROWS_PER_GROUP})"
        )

    def write_lines(self, lines: Path, target: Path) -> None:
        """Writes a part from lines, its rows in any order; raises duckdb.Error at the first bad line."""
        self.write(self._select(lines), target)

    def write_in_order(self, lines: Path, target: Path) -> None:
        """The same with its rows in the order of the lines, which takes longer."""
        self._connection.execute("SET preserve_insertion_order = true")
        self.write_lines(lines, target)
        self._connection.execute("SET preserve_insertion_order = false")

    def _select(self, lines: Path) -> str:
        objects = (
            f"SELECT CAST(json AS VARCHAR) AS line FROM read_json_objects({text(str(lines))}, "
            f"format = 'newline_delimited', compression = 'uncompressed', maximum_object_size = {MAX_LINE_BYTES})"
        )
        columns = ", ".join(f"{self._value(field)} AS {quote(extract.column(field))}" for field in self._used)
        id_ = _plain_text(self._value(self._rules.id_field)) if self._rules.id_field else "NULL"
        return f"""
            SELECT make_timestamp_ms(ms) AS time, customer, CAST(id AS VARCHAR) AS id,
                {columns + "," if columns else ""} line
            FROM (SELECT *, {self._rules.time.sql(self._value(self._rules.time_field), "exact_time")} AS ms,
                    {_customer_sql(self._value(self._rules.customer_field))} AS customer, {id_} AS id
                  FROM ({extract.values_sql("line", objects, self.fields, verbatim=self._verbatim)}))
            WHERE CASE WHEN {" OR ".join(self._faults())} THEN error('bad line') ELSE true END"""

    def _value(self, field: str) -> str:
        return f"v[{self.fields.index(field) + 1}]"

    def _faults(self) -> Iterator[str]:
        yield f"strlen(line) > {MAX_LINE_BYTES}"
        yield "v IS NULL"
        yield "NOT starts_with(ltrim(line), '{')"
        yield "ms IS NULL"
        yield f"coalesce(starts_with({self._value(self._rules.customer_field)}, '{{'), false)"
        if self._rules.id_field:
            yield "id IS NULL OR id = ''"
            yield f"substr({self._value(self._rules.id_field)}, 1, 1) IN ('[', '{{')"
        for field, type_ in self._rules.types.items():
            value = self._value(field)
            quick = _QUICK_TYPE.get(type_, "false").format(value=value)
            yield f"CASE WHEN {value} IS NULL OR {quick} THEN false ELSE NOT of_type({value}, {text(type_)}) END"

    def describe(self, part: Path) -> _Described:
        """The rows, times and kinds of a part that was written."""
        source = f"read_parquet({text(str(part))})"
        rows, first, last = (
            engine.number(self._connection, f"SELECT {what} FROM {source}")
            for what in ("count(*)", "epoch_ms(min(time))", "epoch_ms(max(time))")
        )
        return _Described(
            rows,
            from_milliseconds(first),
            from_milliseconds(last),
            kinds.of_columns(self._connection, source, self._used),
        )


# What is certainly of a declared type, told by cheap SQL; everything else is asked of `strict.is_of_type`.
_QUICK_TYPE: Final = {
    "string": "starts_with({value}, '\"')",
    "integer": "regexp_full_match({value}, '-?[0-9]{{1,18}}')",
    "boolean": "{value} IN ('true', 'false')",
    "ip": "regexp_full_match({value}, '\"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\\.|\"$)){{4}}')",
}


def _of_type(column: str, type_: FieldType) -> bool:
    message = messages.parse('{"v":' + column + "}")
    if messages.has_object(message, "v"):
        return False
    return all(strict.is_of_type(value, type_) for value in messages.values(message, "v"))


def _plain_text(value: str) -> str:
    return f"CASE WHEN starts_with({value}, '\"') THEN {unquoted_sql(value)} ELSE {value} END"


def _customer_sql(value: str) -> str:
    """SQL for the raw customer value; NULL (unattributed) when there is none, an empty one, or several."""
    return f"nullif(CASE WHEN starts_with({value}, '[') THEN only_text({value}) ELSE {_plain_text(value)} END, '')"


def _only_text(column: str) -> str | None:
    """The one text that all values of a column text are, None when they differ."""
    texts = {messages.raw_text(value) for value in messages.values(messages.parse('{"v":' + column + "}"), "v")}
    return texts.pop() if len(texts) == 1 else None


def _scanned(
    lines: Path, file: LogFile, passed: int, rules: LineRules, staging: Path, skip_bad: Path | None
) -> tuple[Path, int]:
    """Reads the lines again, strictly: raises for the first bad one, or writes good and bad ones apart."""
    clean, refused, skipped = staging / "clean.jsonl", staging / "refused.jsonl", 0
    with lines.open("rb") as stream, clean.open("wb") as good, refused.open("wb") as bad:
        for line in strict.scan(stream, rules):
            if line.problem is None:
                good.write(line.content.strip() + b"\n")  # neither a mark nor blanks, which DuckDB may refuse
            elif skip_bad is None:
                raise IngestError(f"{_place(file, passed + line.number, line.problem.column)}: {line.problem.reason}")
            else:
                _copy_span(lines, line.start, line.end, bad)
                skipped += 1
    if skip_bad is not None:
        _copy_durably(refused, skip_bad)
    return clean, skipped


def _place(file: LogFile, number: int, column: int) -> str:
    match file.format:
        case "jsonl":
            return f"{file.name}:{number}:{column}"
        case "csv":  # the column would be that of the line of JSON that was made of the row
            return f"{file.name}:{number}"
        case "parquet":
            return f"{file.name}: row {number}"


def _copy_span(path: Path, start: int, end: int, out: BinaryIO) -> None:
    """Copies a stretch of a file, byte for byte, and ends it with a line end if it has none."""
    last = b""
    with path.open("rb") as stream:
        stream.seek(start)
        while start < end and (chunk := stream.read(min(1 << 20, end - start))):
            out.write(chunk)
            start, last = start + len(chunk), chunk[-1:]
    if last != b"\n":
        out.write(b"\n")


@contextmanager
def _writing(folder: Path) -> Iterator[Path]:
    """The staging folder in the store's folder, which is locked for us; empty, but for a note of `_MOVING`."""
    try:
        staging = folder / "staging"
        for path in (folder / "parts", staging):
            path.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("wb")
    except OSError as error:
        raise IngestPlaceError(f"{folder}: the store's folder cannot be written: {error.strerror}") from error
    with lock:
        _lock(lock.fileno(), folder)
        _empty(staging)
        try:
            yield staging
        finally:
            _empty(staging)


def _lock(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise IngestPlaceError(
                    f"{folder}: another ingest has been writing here for {LOCK_PATIENCE_SECONDS:.0f} s; try again later"
                ) from None
            time.sleep(0.05)
        else:
            return


def _empty(staging: Path) -> None:
    for path in staging.iterdir():
        if path.name != _MOVING:
            path.unlink()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _move_durably(path: Path, target: Path) -> None:
    with path.open("rb") as written:
        os.fsync(written.fileno())
    path.replace(target)
    _sync_folder(target.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _note_durably(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    _sync_folder(path.parent)


def _copy_durably(path: Path, target: Path) -> None:
    beside = target.with_name(target.name + ".partial")
    try:
        with path.open("rb") as stream:
            files.copy(stream, beside)
        _move_durably(beside, target)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise IngestPlaceError(f"{target}: the refused lines cannot be written there: {error.strerror}") from error


def time_token(at: datetime) -> str:
    """An instant as a short token of a file name, so that taking the same content in again gives another file."""
    return format(int(at.timestamp() * 1000), "x")


def _disk_full(folder: Path) -> IngestPlaceError:
    return IngestPlaceError(f"{folder}: the disk is full; nothing was taken in")
