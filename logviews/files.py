"""Files of logs as they come: JSON lines, CSV or Parquet, plain, gzip or zstd; told apart by their first bytes.

Whatever it was, what leaves this module is a plain file of JSON lines, the form in which messages are checked and kept.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal, cast

import zstandard
from duckdb import DuckDBPyConnection
from duckdb import Error as DuckDBError

from config.errors import TallywatchError
from config.models import EmbeddedStore, FieldType
from logviews.messages import MAX_LINE_BYTES
from logviews.sqltext import quote, text

_CHUNK: Final = 4 * 1024 * 1024
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_CSV_SUFFIXES: Final = (".csv", ".tsv")

Format = Literal["jsonl", "csv", "parquet"]


class IngestError(TallywatchError):
    """A file that cannot be taken in. Nothing of it was."""

    exit_status = 1


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file of logs: where it is, and how it is written."""

    path: Path
    format: Format
    compression: Literal["gzip", "zstd"] | None
    size: int

    @property
    def is_plain(self) -> bool:
        """Whether its lines can be read as they are."""
        return self.format == "jsonl" and self.compression is None


def recognise(path: Path) -> LogFile:
    """What a file is.

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
        return LogFile(path, "parquet", None, size)
    name = re.sub(r"\.(gz|zst|zstd)$", "", path.name.lower())
    return LogFile(path, "csv" if name.endswith(_CSV_SUFFIXES) else "jsonl", compression, size)


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
                with _WholeZstd(raw) as stream:
                    yield cast("BinaryIO", stream)
            else:
                yield raw
    except EOFError as error:
        raise IngestError(f"{file.path}: the compressed file ends too early; it was cut off") from error
    except (gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise IngestError(f"{file.path}: the compressed file is damaged: {error}") from error


class _WholeZstd:
    """A zstd file as a stream of lines that notices when the last frame is cut off (the library's reader does not)."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._decompressor = zstandard.ZstdDecompressor().decompressobj(read_across_frames=False)
        self._buffer = b""
        self._rest = b""
        self._begun = False

    def __enter__(self) -> _WholeZstd:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def _more(self) -> bool:
        chunk = self._rest or self._raw.read(_CHUNK)
        self._rest = b""
        if self._decompressor.eof:
            if not chunk:
                return False
            self._decompressor = zstandard.ZstdDecompressor().decompressobj(read_across_frames=False)
        elif not chunk:
            raise EOFError
        self._buffer += self._decompressor.decompress(chunk)
        if self._decompressor.eof:
            self._rest = self._decompressor.unused_data
        return True

    def read(self, size: int) -> bytes:
        """Up to so many bytes; none at the end."""
        while len(self._buffer) < size and self._more():
            pass
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def readline(self, limit: int) -> bytes:
        """The next line with its end, cut at the limit; none at the end."""
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0 and len(self._buffer) < limit:
            start = len(self._buffer)
            if not self._more():
                break
        size = min(end + 1 if end >= 0 else len(self._buffer), limit)
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found


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


def csv_to_lines(file: LogFile, target: Path, store: EmbeddedStore) -> None:
    """Writes a CSV file with a header as JSON lines; a row that does not fit is refused here, where its line is known.

    A JSON number is a number, empty is missing, everything else is text; customer and id are always text, and where a
    type is declared, it decides. A column `a.b` becomes a nested field.

    Raises:
        IngestError: for a row that does not fit the header, with its line.
    """
    csv.field_size_limit(MAX_LINE_BYTES)
    start = 1
    with opened(file) as stream, target.open("w", encoding="utf-8", newline="") as out:
        lines = (line.decode("utf-8-sig" if number == 0 else "utf-8") for number, line in enumerate(_lines(stream)))
        try:
            header_line = next(lines, "")
            delimiter = max(",;\t", key=header_line.count)
            header = next(csv.reader([header_line], delimiter=delimiter, strict=True), [])
            _check_header(file.path, header)
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            cells = [_CellType(name, store) for name in header]
            start = 2
            for row in reader:
                if row and len(row) != len(header):
                    raise IngestError(f"{file.path}:{start}: {len(row)} cells, but the header has {len(header)}")
                if row:
                    out.write(_message(cells, row) + "\n")
                start = reader.line_num + 2
        except csv.Error as error:
            raise IngestError(f"{file.path}:{start}: not CSV: {error}") from error
        except UnicodeDecodeError as error:
            raise IngestError(f"{file.path}: not UTF-8 text: {error.reason}") from error


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(MAX_LINE_BYTES):
        yield line


def _check_header(path: Path, header: list[str]) -> None:
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


def parquet_to_lines(connection: DuckDBPyConnection, file: LogFile, target: Path) -> None:
    """Writes a Parquet file as JSON lines. Timestamps become RFC 3339 texts, with `Z` where the column has a zone.

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
                    raise IngestError(f"{file.path}: {segment!r} cannot be a column beside columns inside it")
                node = child
            node[last] = _parquet_value(file.path, quote(str(name)), str(type_))
        rows = f"SELECT CAST({_json_object(tree)} AS VARCHAR) AS line FROM {source}"
        connection.execute(
            f"COPY ({rows}) TO {text(str(target))} (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER E'\x01')"
        )
    except DuckDBError as error:
        raise IngestError(f"{file.path}: the Parquet file cannot be read: {str(error).splitlines()[0]}") from error


def _parquet_value(path: Path, column: str, type_: str) -> str:
    if type_ == "TIMESTAMP WITH TIME ZONE":
        return f"strftime({column} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"
    if type_.startswith("TIMESTAMP"):
        return f"strftime(CAST({column} AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%f')"
    if "TIMESTAMP" in type_:
        raise IngestError(f"{path}: column {column} holds times inside {type_}; give them a column of their own")
    if "BLOB" in type_:
        raise IngestError(f"{path}: column {column} holds bytes, not text")
    return column


def _json_object(tree: _Tree) -> str:
    members = (f"{text(key)}, {node if isinstance(node, str) else _json_object(node)}" for key, node in tree.items())
    return f"json_object({', '.join(members)})"
