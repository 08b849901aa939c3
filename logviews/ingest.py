"""Taking files of logs into an embedded store: all of a file or nothing, each message once.

A file becomes one immutable Parquet part in the store's folder: written beside, checked, moved into place, registered
in the ledger in one transaction. What the ledger does not know does not exist, so a crash leaves at most files that the
next ingest sweeps away. One process at a time writes to a store's folder; readers need no lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import duckdb
from duckdb import DuckDBPyConnection

from config.models import EmbeddedStore, FieldType
from ledger import parts
from ledger.database import Database
from logviews import engine, extract, files, identity, kinds, messages, strict
from logviews.files import IngestError, LogFile
from logviews.messages import MAX_LINE_BYTES
from logviews.resume import Continuation, continuation
from logviews.sqltext import quote, text
from logviews.strict import LineRules
from logviews.times import from_milliseconds, unquoted_sql

LOCK_PATIENCE_SECONDS: Final = 60.0
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
        file = files.recognise(path)
        with _writing(self.store.folder) as staging:
            self._sweep()
            try:
                return self._take(file, shown, staging, at, skip_bad)
            except duckdb.Error as error:
                if engine.is_disk_full(error):
                    raise _disk_full(self.store.folder) from error
                raise IngestError(f"{shown}: cannot be taken in: {str(error).splitlines()[0]}") from error
            except OSError as error:
                if error.errno in (28, 27, 122):  # no space, file too large, quota
                    raise _disk_full(self.store.folder) from error
                raise IngestError(f"{shown}: cannot be taken in: {error.strerror or error}") from error

    def _take(self, file: LogFile, shown: str, staging: Path, at: datetime, skip_bad: Path | None) -> IngestReport:
        with engine.connection(spill=staging) as connection:
            lines, resume = self._plain_lines(connection, file, shown, staging)
            rules = strict.rules_of(self.store)
            scribe = _Scribe(connection, self.store, self.fields, rules)
            extract.register(connection, scribe.fields)
            engine.add_function(connection, "of_type", _of_type, ["VARCHAR", "VARCHAR"], "BOOLEAN")
            part, skipped = staging / "part.parquet", 0
            try:
                scribe.write_lines(lines, part)
            except duckdb.Error as error:
                if engine.is_disk_full(error):
                    raise
                lines, skipped = _scanned(lines, shown, resume.lines, rules, staging, skip_bad)
                scribe.write_lines(lines, part)
            sorted_ = identity.separate(
                connection,
                self._registered(),
                part,
                self.store.fields.id is not None,
                scribe.write,
                lambda: scribe.write_in_order(lines, part),
            )
            self._publish(scribe, sorted_, resume, shown, at)
        return IngestReport(
            shown, sorted_.new, sorted_.duplicates, sorted_.conflicts, sorted_.conflicting_ids, skipped, resume.lines
        )

    def _plain_lines(
        self, connection: DuckDBPyConnection, file: LogFile, shown: str, staging: Path
    ) -> tuple[Path, Continuation]:
        """The file as plain JSON lines, without those that were read before."""
        lines = file.path
        if file.format == "parquet":
            lines = staging / "rows.jsonl"
            files.parquet_to_lines(connection, file, lines)
        elif file.format == "csv":
            lines = staging / "rows.jsonl"
            files.csv_to_lines(file, lines, self.store)
        plain = LogFile(lines, "jsonl", file.compression if lines == file.path else None, file.size)
        if self.store.fields.id is None:
            with self.database.connect() as reading:
                known = parts.sources(reading, self.name)
            return continuation(plain, shown, known, staging / "lines.jsonl")
        if plain.compression is not None:
            with files.opened(plain) as stream:
                files.copy(stream, staging / "lines.jsonl")
            lines = staging / "lines.jsonl"
        return lines, Continuation(0, None)

    def _registered(self) -> list[Path]:
        with self.database.connect() as reading:
            return [self.store.folder / part.path for part in parts.of_store(reading, self.name)]

    def _sweep(self) -> None:
        """Removes files that a crash left behind: those in our folders that the ledger does not know."""
        with self.database.connect() as reading:
            known = {
                self.store.folder / part.path
                for role in parts.ROLES
                for part in parts.of_store(reading, self.name, role)
            }
        for path in (self.store.folder / "parts").glob("*.parquet"):
            if path not in known:
                path.unlink()

    def _publish(
        self,
        scribe: _Scribe,
        sorted_: identity.Separated,
        resume: Continuation,
        shown: str,
        at: datetime,
    ) -> None:
        ready: list[tuple[parts.Part, dict[str, int]]] = []
        for role, path in sorted_.files:
            found = scribe.describe(path)
            digest = _sha256(path)
            first = found.min_time.strftime("%Y%m%dT%H%M%S")
            target = (
                f"parts/{first}-{digest[:16]}{'-duplicates' if role == 'duplicates' else ''}-{time_token(at)}.parquet"
            )
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
            )
            ready.append((part, found.kinds))
        if not ready and resume.source is None:
            return
        with self.database.begin() as writing:
            for part, part_kinds in ready:
                parts.add(writing, part, part_kinds)
            if resume.source is not None:
                parts.add_source(writing, self.name, resume.source, at)


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
        own = [store.fields.time, store.fields.customer, *([store.fields.id] if store.fields.id else [])]
        self.fields: tuple[str, ...] = tuple(dict.fromkeys([*own, *used, *store.types]))

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
            FROM (SELECT *, {self._rules.time.sql(self._value(self._rules.time_field))} AS ms,
                    {_customer_sql(self._value(self._rules.customer_field))} AS customer, {id_} AS id
                  FROM ({extract.values_sql("line", objects, self.fields)}))
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
    several = f"list_distinct(json_extract({value}, '$[*]'))"
    single = f"CASE WHEN len({several}) = 1 THEN CAST({several}[1] AS VARCHAR) END"
    scalar = f"CASE WHEN starts_with({value}, '[') THEN {single} ELSE {value} END"
    return f"nullif(list_transform([{scalar}], lambda c: {_plain_text('c')})[1], '')"


def _scanned(
    lines: Path, shown: str, passed: int, rules: LineRules, staging: Path, skip_bad: Path | None
) -> tuple[Path, int]:
    """Reads the lines again, strictly: raises for the first bad one, or writes good and bad ones apart."""
    clean, refused, skipped = staging / "clean.jsonl", staging / "refused.jsonl", 0
    with lines.open("rb") as stream, clean.open("wb") as good, refused.open("wb") as bad:
        for line in strict.scan(stream, rules):
            if line.problem is None:
                good.write(line.content.strip() + b"\n")
            elif skip_bad is None:
                raise IngestError(f"{shown}:{passed + line.number}:{line.problem.column}: {line.problem.reason}")
            else:
                bad.write(line.content + b"\n")
                skipped += 1
    if skip_bad is not None:
        _copy_durably(refused, skip_bad)
    return clean, skipped


@contextmanager
def _writing(folder: Path) -> Iterator[Path]:
    """The store's folder, locked for us, with an empty staging folder in it."""
    try:
        (folder / "parts").mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("wb")
    except OSError as error:
        raise IngestError(f"{folder}: the store's folder cannot be written: {error.strerror}") from error
    with lock:
        _lock(lock.fileno(), folder)
        staging = folder / "staging"
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
                raise IngestError(
                    f"{folder}: another ingest has been writing here for {LOCK_PATIENCE_SECONDS:.0f} s; try again later"
                ) from None
            time.sleep(0.05)
        else:
            return


def _empty(staging: Path) -> None:
    staging.mkdir(exist_ok=True)
    for path in staging.iterdir():
        path.unlink()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _move_durably(path: Path, target: Path) -> None:
    with path.open("rb") as written:
        os.fsync(written.fileno())
    path.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _copy_durably(path: Path, target: Path) -> None:
    beside = target.with_name(target.name + ".partial")
    try:
        with path.open("rb") as stream:
            files.copy(stream, beside)
        _move_durably(beside, target)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise IngestError(f"{target}: the refused lines cannot be written there: {error.strerror}") from error


def time_token(at: datetime) -> str:
    """An instant as a short token of a file name, so that taking the same content in again gives another file."""
    return format(int(at.timestamp() * 1000), "x")


def _disk_full(folder: Path) -> IngestError:
    error = IngestError(f"{folder}: the disk is full; nothing was taken in")
    error.exit_status = 3
    return error
