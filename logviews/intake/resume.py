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
from logviews.intake import files
from logviews.intake.files import Beginning, LogFile


@dataclass(frozen=True, slots=True)
class Continuation:
    """How many lines had been read before, and what is to be noted about the file once it is taken in."""

    lines: int
    source: SourceFile | None


def continuation(file: LogFile, known: Sequence[SourceFile], target: Path) -> Continuation:
    """For JSON lines: copies what has not been read yet to `target`; costs two passes over the file.

    The copy is what is taken in, so that a file that grows meanwhile is read up to exactly what is noted.
    """
    before = read_before(file, known)
    with files.opened(file) as stream:
        whole = files.copy(stream, target, skip=before.bytes if before else 0)
    passed = before.lines if before else 0
    return Continuation(passed, noted(file, whole, passed + lines_of(target)))


def noted(file: LogFile, read: Beginning, lines: int) -> SourceFile | None:
    """What is to be noted of a file that was read so far; None for what has no name, such as standard input."""
    return SourceFile(str(file.path.resolve()), read.bytes, lines, read.sha256) if file.has_a_name else None


def read_before(file: LogFile, known: Sequence[SourceFile]) -> SourceFile | None:
    """The longest beginning of the file that was read before; one pass over as much of it as the longest known."""
    if not known or not file.has_a_name:
        return None
    path = str(file.path.resolve())
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


def lines_of(path: Path) -> int:
    """How many line ends a file has."""
    with path.open("rb") as stream:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b""))
