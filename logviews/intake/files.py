"""Files of logs as they come: JSON lines, CSV or Parquet, plain, gzip or zstd; and their uncompressed bytes.

Compression and Parquet are told by the first bytes, CSV by the file's name, because no bytes are certainly CSV. What
cannot be told can be said (`--as`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, cast

import zstandard

from config.errors import TallywatchError

_CHUNK: Final = 4 * 1024 * 1024
_COMPRESSED_CHUNK: Final = 16 * 1024  # small, because it can become ten thousand times as much
_CSV_SUFFIXES: Final = (".csv", ".tsv")

Format = Literal["jsonl", "csv", "parquet"]


class IngestError(TallywatchError):
    """A file that cannot be taken in. Nothing of it was."""

    exit_status = 1


class NotAFileError(IngestError):
    """What was named is no file that can be read."""

    exit_status = 2


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
    def has_a_name(self) -> bool:
        """Whether it is no copy of something without a name of its own, such as standard input."""
        return self.name == str(self.path)

    @property
    def may_grow(self) -> bool:
        """Whether more may be written to it: what is compressed or came through a pipe is whole."""
        return self.has_a_name and self.compression is None


def refuse_no_file(path: Path) -> None:
    """Raises NotAFileError, with the reason, unless there is a file at that path."""
    if path.is_dir():
        raise NotAFileError(f"{path} is a folder; name the files in it")
    if not path.exists():
        raise NotAFileError(f"{path}: there is no such file")
    if not path.is_file():
        raise NotAFileError(f"{path} is a pipe or a device, which can be read only once; pipe it to standard input, -")


def recognise(path: Path, name: str | None = None, format_: Format | None = None) -> LogFile:
    """What a file is; `name` is what sentences call it, `format_` what somebody who knows says it is.

    Raises:
        NotAFileError: when it is missing or a folder.
        IngestError: when it cannot be read.
    """
    try:
        refuse_no_file(path)
        with path.open("rb") as stream:
            head = stream.read(4)
        size = path.stat().st_size
    except OSError as error:
        raise IngestError(f"{path}: cannot be read: {error.strerror}") from error
    compression: Literal["gzip", "zstd"] | None = None
    if head[:2] == b"\x1f\x8b":
        compression = "gzip"
    elif head == b"\x28\xb5\x2f\xfd":
        compression = "zstd"
    if format_ is None:
        bare = re.sub(r"\.(gz|zst|zstd)$", "", path.name.lower())
        format_ = "parquet" if head == b"PAR1" else "csv" if bare.endswith(_CSV_SUFFIXES) else "jsonl"
    return LogFile(path, format_, compression, size, name or str(path))


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
