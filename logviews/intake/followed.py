"""What pick-up has read of a file that is taken in by hand: so that neither counts what the other has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from config.models import EmbeddedStore
from ledger import following
from ledger.database import Database
from ledger.following import Followed
from ledger.parts import SourceFile
from logviews.intake import contents, files
from logviews.intake.contents import HEAD_BYTES
from logviews.intake.files import LogFile


def read_by_pickup(name: str, store: EmbeddedStore, database: Database, file: LogFile) -> tuple[SourceFile, ...]:
    """The contents that a file begins with, each as if it had been taken in by hand at the path where it is now.

    Costs a pass over the file for each content that begins as it does; nothing where nothing is picked up.
    """
    if not store.read or not file.has_a_name:
        return ()
    with files.opened(file) as stream:
        head = contents.read_exactly(stream, HEAD_BYTES)
    found = []
    with database.connect() as reading:
        rows = following.files(reading, name)
        for content_id in following.beginning_with(reading, name, head):
            with files.opened(file) as stream:
                match = contents.match(stream, content_id, following.stretches(reading, content_id))
            with files.opened(file) as stream:
                sha256 = files.beginnings(stream, [match.bytes]).get(match.bytes)
            if sha256 is not None and match.bytes:
                path = _place(file, [row for row in rows.values() if row.content_id == content_id])
                found.append(SourceFile(path, match.bytes, match.lines, sha256))
    return tuple(found)


def _place(file: LogFile, rows: Sequence[Followed]) -> str:
    """Where a content is now: in the file itself, if that holds it, else in another one that is no copy."""
    held = [str(Path(row.path).resolve()) for row in rows if row.state != "copy"]
    own = str(file.path.resolve())
    return own if own in held else next(iter(held), "")
