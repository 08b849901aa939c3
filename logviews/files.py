"""Files of logs as they come: JSON lines, CSV or Parquet, plain, gzip or zstd; told apart by their first bytes.

Whatever it was, what leaves this module is a plain file of JSON lines, the form in which messages are checked and kept.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, cast

import zstandard
from duckdb import DuckDBPyConnection
from duckdb import Error as DuckDBError

from config.errors import TallywatchError
from config.models import EmbeddedStore, FieldType
from logviews.messages import MAX_LINE_BYTES
from logviews.sqltext import quote, text

_CHUNK: Final = 4 * 1024 * 1024
_COMPRESSED_CHUNK: Final = 16 * 1024  # small, because it can become ten thousand times as much
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_CSV_SUFFIXES: Final = (".csv", ".tsv")

Format = Literal["jsonl", "csv", "parquet"]


class IngestError(TallywatchError):
    """A file that cannot be taken in. Nothing of it was."""

    exit_status = 1


class IngestPlaceError(IngestError):
    """The place that a file was to be taken into fails: its disk, folder or lock. Nothing of the file was kept."""

    exit_status = 3


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file of logs: where it is, and how it is written."""

    path: Path
    format: Format
    compression: Literal["gzip", "zstd"] | None
    size: int
    name: str  # what it is called in sentences

    @property
    def is_plain(self) -> bool:
        """Whether its lines can be read as they are."""
        return self.format == "jsonl" and self.compression is None


def recognise(path: Path, name: str | None = None) -> LogFile:
    """What a file is; `name` is what sentences call it.

    Raises:
        IngestError: when it is missing, a folder, or cannot be read.
    """
    if path.is_dir():
        raise IngestError(f"{path} is a folder; name the files in it")
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise IngestError(f"{path}: there is no such file") from error
    except OSError as error:
        raise IngestError(f"{path}: cannot be read: {error.strerror}") from error
    compression: Literal["gzip", "zstd"] | None = None
    if head[:2] == b"\x1f\x8b":
        compression = "gzip"
    elif head == b"\x28\xb5\x2f\xfd":
        compression = "zstd"
    if head == b"PAR1":
        return LogFile(path, "parquet", None, size, name or str(path))
    bare = re.sub(r"\.(gz|zst|zstd)$", "", path.name.lower())
    return LogFile(path, "csv" if bare.endswith(_CSV_SUFFIXES) else "jsonl", compression, size, name or str(path))


@contextmanager
def opened(file: LogFile) -> Iterator[BinaryIO]:
    """The file's uncompressed bytes.

    Raises:
        IngestError: when the file cannot be read, or its compressed content ends too early or is damaged.
    """
    try:
        with file.path.open("rb") as raw:
            if file.compression == "gzip":
                with gzip.GzipFile(fileobj=raw) as stream:
                    yield cast("BinaryIO", stream)
            elif file.compression == "zstd":
                with io.BufferedReader(_WholeZstd(raw), _CHUNK) as stream:
                    yield stream
            else:
                yield raw
    except EOFError as error:
        raise IngestError(f"{file.name}: the compressed file ends too early; it was cut off") from error
    except (gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise IngestError(f"{file.name}: the compressed file is damaged: {error}") from error


class _WholeZstd(io.RawIOBase):
    """A zstd file's content, which notices when the last frame is cut off (the library's reader does not)."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._decompressor = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False
        self._rest = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, target: Any) -> int:
        """The next bytes, 0 at the end; EOFError when a frame is not whole."""
        while not self._ready and self._more():
            pass
        size = min(len(target), len(self._ready))
        target[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _more(self) -> bool:
        chunk = self._rest or self._raw.read(_COMPRESSED_CHUNK)
        self._rest = b""
        if not chunk:
            if self._begun and not self._decompressor.eof:
                raise EOFError
            return False
        if self._decompressor.eof:
            self._decompressor = zstandard.ZstdDecompressor().decompressobj()
        self._begun = True
        self._ready = memoryview(self._decompressor.decompress(chunk))
        if self._decompressor.eof:
            self._rest = self._decompressor.unused_data
        return True


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first so many bytes of a file's content, by their hash."""

    bytes: int
    sha256: str


def copy(stream: BinaryIO, target: Path, skip: int = 0) -> Beginning:
    """Writes a stream to a file without its first `skip` bytes; the hash and length are those of the whole stream."""
    digest, total = hashlib.sha256(), 0
    with target.open("wb") as out:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            start = min(max(skip - total, 0), len(chunk))
            out.write(chunk[start:])
            total += len(chunk)
    return Beginning(total, digest.hexdigest())


def beginnings(stream: BinaryIO, lengths: list[int]) -> dict[int, str]:
    """The hashes of a stream's beginnings of the given lengths, in one pass; lengths beyond its end are left out."""
    digest, total, found = hashlib.sha256(), 0, {}
    for length in sorted(set(lengths)):
        while total < length and (chunk := stream.read(min(_CHUNK, length - total))):
            digest.update(chunk)
            total += len(chunk)
        if total < length:
            break
        found[length] = digest.hexdigest()
    return found


def csv_to_lines(file: LogFile, target: Path, store: EmbeddedStore) -> Beginning:
    """Writes a CSV file with a header as JSON lines, each on the line of the same number as its row starts on.

    Gives the length and hash of exactly what was read, because the file may be growing.

    A JSON number is a number, empty is missing, all else is text; customer and id are always text, and a declared type
    decides where there is one. A column `a.b` becomes a nested field.

    Raises:
        IngestError: for a row that does not fit the header, with its line.
    """
    csv.field_size_limit(MAX_LINE_BYTES)
    start, read = 1, _Hashed()
    with opened(file) as stream, target.open("w", encoding="utf-8", newline="") as out:
        lines = _lines(file, stream, read)
        try:
            header_line = next(lines, "")
            delimiter = max(",;\t", key=header_line.count)
            header = next(csv.reader([header_line], delimiter=delimiter, strict=True), [])
            _check_header(file.name, header)
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            cells = [_CellType(name, store) for name in header]
            start = 2
            out.write("\n")
            for row in reader:
                if row and len(row) != len(header):
                    raise IngestError(f"{file.name}:{start}: {len(row)} cells, but the header has {len(header)}")
                following = reader.line_num + 2
                # an empty line for the header, for an empty row and for each further line of a row
                out.write((_message(cells, row) if row else "") + "\n" * (following - start))
                start = following
        except csv.Error as error:
            raise IngestError(f"{file.name}:{start}: not CSV: {error}") from error
    return Beginning(read.size, read.digest.hexdigest())


class _Hashed:
    def __init__(self) -> None:
        self.size, self.digest = 0, hashlib.sha256()


def _lines(file: LogFile, stream: BinaryIO, read: _Hashed) -> Iterator[str]:
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        read.size += len(line)
        read.digest.update(line)
        if len(line) > MAX_LINE_BYTES:
            raise IngestError(f"{file.name}:{number}: the line is longer than {MAX_LINE_BYTES // 1024 // 1024} MiB")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            column = len(line[: error.start].decode()) + 1
            raise IngestError(f"{file.name}:{number}:{column}: not UTF-8 text") from error


def _check_header(path: str, header: list[str]) -> None:
    if not header:
        raise IngestError(f"{path}:1: the file has no header row with the names of its columns")
    for number, name in enumerate(header):
        if not name:
            raise IngestError(f"{path}:1: column {number + 1} has no name")
        if name in header[:number]:
            raise IngestError(f"{path}:1: two columns are named {name!r}")
        if any(other.startswith(name + ".") for other in header):
            raise IngestError(f"{path}:1: {name!r} cannot be a column beside columns inside it ({name}.…)")


class _CellType:
    """How the cells of one column are read."""

    def __init__(self, name: str, store: EmbeddedStore) -> None:
        self.path = name.split(".")
        declared = store.types.get(name)
        if name in (store.fields.customer, store.fields.id) or declared in ("string", "time", "ip"):
            self.type: FieldType | None = "string"
        else:
            self.type = declared

    def json(self, cell: str) -> str:
        """The cell as JSON text; a number stays as it was written."""
        if self.type == "boolean" and cell in ("true", "false"):
            return cell
        if self.type != "string" and _NUMBER.fullmatch(cell):
            return cell
        return json.dumps(cell, ensure_ascii=False)


_Tree = dict[str, "str | _Tree"]


def _message(cells: list[_CellType], row: list[str]) -> str:
    tree: _Tree = {}
    for cell, written in zip(cells, row, strict=True):
        if written:
            node = tree
            for segment in cell.path[:-1]:
                node = cast("_Tree", node.setdefault(segment, {}))
            node[cell.path[-1]] = cell.json(written)
    return _json(tree)


def _json(tree: _Tree) -> str:
    members = (
        f"{json.dumps(key, ensure_ascii=False)}:{node if isinstance(node, str) else _json(node)}"
        for key, node in tree.items()
    )
    return "{" + ",".join(members) + "}"


def parquet_to_lines(connection: DuckDBPyConnection, file: LogFile, target: Path) -> Beginning:
    """Writes a Parquet file as JSON lines, in its order. Timestamps become RFC 3339, with `Z` where they have a zone.

    Gives the length and hash of the file.

    Raises:
        IngestError: when the file cannot be read, or has a column of bytes.
    """
    source = f"read_parquet({text(str(file.path))})"
    try:
        columns = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        tree: _Tree = {}
        for name, type_, *_ in columns:
            node = tree
            *parents, last = str(name).split(".")
            for segment in parents:
                child = node.setdefault(segment, {})
                if isinstance(child, str):
                    raise IngestError(f"{file.name}: {segment!r} cannot be a column beside columns inside it")
                node = child
            if last in node:
                raise IngestError(f"{file.name}: {last!r} cannot be a column beside columns inside it")
            node[last] = _parquet_value(file.name, quote(str(name)), str(type_))
        rows = f"SELECT CAST({_json_object(tree)} AS VARCHAR) AS line FROM {source}"
        connection.execute("SET preserve_insertion_order = true")
        connection.execute(
            f"COPY ({rows}) TO {text(str(target))} (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER E'\x01')"
        )
        connection.execute("SET preserve_insertion_order = false")
    except DuckDBError as error:
        raise IngestError(f"{file.name}: the Parquet file cannot be read: {str(error).splitlines()[0]}") from error
    with opened(file) as stream:
        return copy(stream, Path(os.devnull))


def _parquet_value(path: str, column: str, type_: str) -> str:
    if type_ == "TIMESTAMP WITH TIME ZONE":
        return f"strftime({column} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"
    if type_ == "TIMESTAMP_NS":  # a cast to microseconds would round
        return f"strftime({column}, '%Y-%m-%dT%H:%M:%S.%n')"
    if type_ in ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"):
        return f"strftime(CAST({column} AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%f')"
    if "TIMESTAMP" in type_:
        raise IngestError(f"{path}: column {column} holds times inside {type_}; give them a column of their own")
    if "BLOB" in type_:
        raise IngestError(f"{path}: column {column} holds bytes, not text")
    return column


def _json_object(tree: _Tree) -> str:
    members = (f"{text(key)}, {node if isinstance(node, str) else _json_object(node)}" for key, node in tree.items())
    return f"json_object({', '.join(members)})"
