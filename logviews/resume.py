"""Where to go on in a file whose messages have no id of their own: after its beginning that was read before.

A file is known again by its content, not its name, because logs are rotated and compressed. It is the same when its
beginning is what was read, and it either has the same path or the old path no longer holds that content: a copy beside
the original is another file, and every line of it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.parts import SourceFile
from logviews import files
from logviews.files import LogFile


@dataclass(frozen=True, slots=True)
class Continuation:
    """How many lines had been read before, and what is to be noted about the file once it is taken in."""

    lines: int
    source: SourceFile | None


def continuation(file: LogFile, shown: str, known: Sequence[SourceFile], target: Path) -> tuple[Path, Continuation]:
    """Copies what has not been read yet to `target`; costs two passes over the file.

    The copy is what is taken in, so that a file that grows meanwhile is read up to exactly what is noted.
    """
    if shown != str(file.path):  # a copy of something without a name of its own, such as standard input
        with files.opened(file) as stream:
            files.copy(stream, target)
        return target, Continuation(0, None)
    path = str(file.path.resolve())
    before = _read_before(file, path, known)
    with files.opened(file) as stream:
        whole = files.copy(stream, target, skip=before.bytes if before else 0)
    passed = before.lines if before else 0
    return target, Continuation(passed, SourceFile(path, whole.bytes, passed + _lines_of(target), whole.sha256))


def _read_before(file: LogFile, path: str, known: Sequence[SourceFile]) -> SourceFile | None:
    if not known:
        return None
    with files.opened(file) as stream:
        found = files.beginnings(stream, [source.bytes for source in known])
    matching = [source for source in known if source.bytes and found.get(source.bytes) == source.sha256]
    for source in sorted(matching, key=lambda source: source.bytes, reverse=True):
        if source.path == path or not _still_there(source):
            return source
    return None


def _still_there(source: SourceFile) -> bool:
    try:
        with files.opened(files.recognise(Path(source.path))) as stream:
            return files.beginnings(stream, [source.bytes]).get(source.bytes) == source.sha256
    except files.IngestError:
        return False


def _lines_of(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b""))
