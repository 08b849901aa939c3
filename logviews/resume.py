"""Where to go on in a file whose messages have no id of their own: after its beginning that was read before.

A file is known again by its content, not its name, because logs are rotated and compressed. It is the same when its
beginning is what was read, and it either has the same path or the old path no longer holds that content: a copy beside
the original is another file, and every line of it counts.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.parts import SourceFile
from logviews import files
from logviews.files import Beginning, LogFile


@dataclass(frozen=True, slots=True)
class Continuation:
    """How many lines had been read before, and what is to be noted about the file once it is taken in."""

    lines: int
    source: SourceFile | None


def _has_a_name(file: LogFile) -> bool:
    """Whether it is no copy of something without a name of its own, such as standard input."""
    return file.name == str(file.path)


def continuation(file: LogFile, known: Sequence[SourceFile], target: Path) -> tuple[Path, Continuation]:
    """For JSON lines: copies what has not been read yet to `target`; costs two passes over the file.

    The copy is what is taken in, so that a file that grows meanwhile is read up to exactly what is noted.
    """
    if not _has_a_name(file):
        with files.opened(file) as stream:
            files.copy(stream, target)
        return target, Continuation(0, None)
    path = str(file.path.resolve())
    before = _read_before(file, path, known)
    with files.opened(file) as stream:
        whole = files.copy(stream, target, skip=before.bytes if before else 0)
    passed = before.lines if before else 0
    return target, Continuation(passed, SourceFile(path, whole.bytes, passed + _lines_of(target), whole.sha256))


def continuation_of_rows(
    file: LogFile, known: Sequence[SourceFile], rows: Path, digest: Beginning, target: Path
) -> tuple[Path, Continuation]:
    """For CSV and Parquet: copies the rows that have not been read yet from `rows`, where each row is on its own line.

    `digest` is of the file's content as it was when the rows were made.

    A Parquet file does not grow: it was read whole, or it is another one.
    """
    if not _has_a_name(file):
        return rows, Continuation(0, None)
    path = str(file.path.resolve())
    before = _read_before(file, path, known)
    if before is not None and file.format == "parquet" and before.bytes != digest.bytes:
        before = None
    passed = before.lines if before else 0
    with rows.open("rb") as stream, target.open("wb") as out:
        for _ in range(passed):
            stream.readline()
        shutil.copyfileobj(stream, out)
    return target, Continuation(passed, SourceFile(path, digest.bytes, _lines_of(rows), digest.sha256))


def _read_before(file: LogFile, path: str, known: Sequence[SourceFile]) -> SourceFile | None:
    if not known:
        return None
    with files.opened(file) as stream:
        found = files.beginnings(stream, [source.bytes for source in known])
    matching = [source for source in known if source.bytes and found.get(source.bytes) == source.sha256]
    own = [source for source in matching if source.path == path]
    # Only the longest counts: shorter ones are what the same file was before it was renamed or grew.
    longest = max(own or matching, key=lambda source: source.bytes, default=None)
    return longest if own or (longest and not _still_there(longest)) else None


def _still_there(source: SourceFile) -> bool:
    try:
        with files.opened(files.recognise(Path(source.path))) as stream:
            return files.beginnings(stream, [source.bytes]).get(source.bytes) == source.sha256
    except files.IngestError:
        return False


def _lines_of(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b""))
