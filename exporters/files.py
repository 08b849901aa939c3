"""Files: a statement's lines as CSV, written whole or not at all, and written again from the ledger byte for byte."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Connection

from config.errors import TallywatchError, UsageError
from exporters import manifest
from exporters.layouts import layout_named
from exporters.statements import Draft, figures
from ledger import statements
from ledger.database import Database
from ledger.statements import Line, SealedFile, SealedStatement, StatementKey

FOLDER: Final = "exports"
PROVISIONAL: Final = "provisional"


class FilesError(TallywatchError):
    """A file for finance could not be written; what was there before is still there."""


class SealError(TallywatchError):
    """The ledger gives other bytes for a statement than it was sealed with, so no file may be made from it."""

    exit_status = 1


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one file: there as it should be, absent and written, or with other content and restored."""

    path: Path
    state: Literal["unchanged", "written", "restored"]


def file_name(key: StatementKey) -> str:
    """`billing.csv`; `billing-day15.csv` for customers of another billing day than the first."""
    return f"{key.export}.csv" if key.billing_day == 1 else f"{key.export}-day{key.billing_day}.csv"


def render(layout: str, lines: Iterable[Line]) -> bytes:
    """The lines as CSV of a layout: RFC 4180, UTF-8, CRLF, cells quoted only where they must be.

    The csv module quotes whatever holds a comma, a quote, CR or LF. 100,000 lines take well under a second.
    """
    chosen = layout_named(layout)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow(chosen.columns)
    writer.writerows(map(chosen.row, lines))
    return text.getvalue().encode("utf-8")


def seal_of(key: StatementKey, content: bytes) -> SealedFile:
    """What the ledger keeps of a statement's file."""
    path = f"{FOLDER}/{key.month}/{file_name(key)}"
    return SealedFile(path, hashlib.sha256(content).hexdigest(), len(content))


def write_month(database: Database, base: Path, month: str) -> tuple[Written, ...]:
    """Brings a month's folder in step with the ledger: every closed file, then the manifest. Nothing else is touched.

    It holds the ledger's write lock meanwhile, so that of two processes the later one sees what the earlier one closed.

    Raises:
        FilesError: when the disk refuses; the statements in the ledger remain, and the next run writes the files.
        SealError: when the ledger no longer gives what was sealed.
    """
    with database.begin() as connection:
        closed = statements.of_month(connection, month)
        return _write_closed(connection, base / FOLDER / month, month, closed)


def write_copies(database: Database, folder: Path, month: str, chosen: Sequence[StatementKey]) -> tuple[Written, ...]:
    """Writes closed files into a folder of somebody's choice; the manifest also lists the month's files already there.

    Raises as `write_month`, and:

    Raises:
        UsageError: when the folder holds other files of ours, which would be overwritten.
    """
    with _told(folder):
        _refuse_occupied(folder, month, provisional=False)
    with database.begin() as connection:
        closed = [
            item
            for item in statements.of_month(connection, month)
            if item.statement.key in chosen or (folder / file_name(item.statement.key)).exists()
        ]
        return _write_closed(connection, folder, month, closed)


def write_provisional(folder: Path, month: str, drafts: Sequence[Draft], counted_to: datetime) -> tuple[Written, ...]:
    """Writes drafts into `folder`, with a manifest that calls them provisional. Raises as `write_copies`."""
    written, entries = [], []
    with _told(folder):
        _refuse_occupied(folder, month, provisional=True)
        folder.mkdir(parents=True, exist_ok=True)
    for draft in drafts:
        content = render(draft.layout, draft.lines)
        seal = seal_of(draft.key, content)
        written.append(_replace(folder / file_name(draft.key), content))
        entries.append(
            manifest.Entry(
                path=file_name(draft.key),
                sha256=seal.sha256,
                bytes=seal.bytes,
                rows=len(draft.lines),
                key=draft.key,
                layout=draft.layout,
                currency=draft.currency,
                event_cutoff=draft.event_cutoff,
                ingest_cutoff=draft.ingest_cutoff,
                definitions={item.label: item.hash for item in draft.definitions},
                integrity={item.view: figures(item) for item in draft.integrity},
                counted_to=min(counted_to, draft.event_cutoff),
            )
        )
    written.append(_replace(folder / manifest.NAME, manifest.render(month, entries, provisional=True)))
    return tuple(written)


def write_atomically(path: Path, content: bytes) -> None:
    """Puts a file in place as a whole: a reader, or a crash, finds the old content or the new.

    Raises:
        FilesError: with the reason in a sentence.
    """
    beside = path.with_name(f".{path.name}.part")
    with _told(path):
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            with suppress(OSError):
                beside.unlink()  # it is there only when something failed
        _sync_folder(path.parent)


def _write_closed(
    connection: Connection, folder: Path, month: str, closed: Sequence[SealedStatement]
) -> tuple[Written, ...]:
    if not closed:
        return ()
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    written = []
    for item in closed:
        path = folder / file_name(item.statement.key)
        found = _hash(path)
        if found == item.file.sha256:
            written.append(Written(path, "unchanged"))
            continue
        content = render(item.statement.layout, statements.lines_of(connection, item.id))
        if hashlib.sha256(content).hexdigest() != item.file.sha256:
            raise SealError(
                f"{item.statement.key}: the ledger gives other bytes than the file was sealed with, so {path} was not "
                "written; the ledger was changed, or another version of tallywatch closed the month: restore the file "
                "from a backup"
            )
        write_atomically(path, content)
        written.append(Written(path, "written" if found is None else "restored"))
    entries = [manifest.entry_of(item) for item in closed]
    written.append(_replace(folder / manifest.NAME, manifest.render(month, entries, provisional=False)))
    return tuple(written)


def _replace(path: Path, content: bytes) -> Written:
    if _hash(path) == hashlib.sha256(content).hexdigest():
        return Written(path, "unchanged")
    write_atomically(path, content)
    return Written(path, "written")


def _hash(path: Path) -> str | None:
    """The SHA-256 of a file; None when there is none."""
    with _told(path):
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest()
        except FileNotFoundError:
            return None


def _refuse_occupied(folder: Path, month: str, *, provisional: bool) -> None:
    found = manifest.occupant(folder, month, provisional=provisional)
    if found is not None:
        raise UsageError(f"{folder} holds {found}, which would be overwritten; choose another folder with --out")


def _sync_folder(folder: Path) -> None:
    """Makes a rename last. Not every system can open a folder; there the rename lasts without."""
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turns what the disk refuses into a sentence."""
    try:
        yield
    except OSError as error:
        raise FilesError(f"{path} {_reason(error)}; run the command again when that is mended") from error


def _reason(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "cannot be written, because the disk is full (or a limit on file sizes is reached)"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "cannot be read or written; check the permissions of the file and its folder"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return "cannot be written, because a file stands where a folder is needed"
    if error.errno == errno.EISDIR:
        return "cannot be written, because a folder stands where the file belongs"
    return f"cannot be read or written: {error.strerror or error}"
