"""Files: closed statements as CSV, written whole or not at all, and written again from the ledger byte for byte."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection

from config.errors import TallywatchError, UsageError
from exporters import manifest, provisional
from exporters.disk import Written, hash_of, told, write_atomically
from exporters.seal import FOLDER, file_name, render
from ledger import statements
from ledger.database import Database
from ledger.statements import SealedStatement, StatementKey


class SealError(TallywatchError):
    """The ledger gives other bytes for a statement than it was sealed with, so no file may be made from it."""

    exit_status = 1


def write_month(database: Database, base: Path, month: str) -> tuple[Written, ...]:
    """Brings a month's folder in step with the ledger: every closed file, then the manifest. Then what was provisional
    of these statements is removed. Nothing else is touched.

    It holds the ledger's write lock meanwhile, so that of two processes the later one sees what the earlier one closed.

    Raises:
        FilesError: when the disk refuses; the statements in the ledger remain, and the next run writes the files.
        SealError: when the ledger no longer gives what was sealed.
    """
    folder = base / FOLDER / month
    with database.begin() as connection:
        closed = statements.of_month(connection, month)
        written = _write_closed(connection, folder, month, closed)
        return (*written, *provisional.clear(folder, month, [item.statement.key for item in closed]))


def write_copies(database: Database, folder: Path, month: str, chosen: Sequence[StatementKey]) -> tuple[Written, ...]:
    """Writes closed files into a folder of somebody's choice; the manifest also lists the month's files already there.

    Raises as `write_month`, and:

    Raises:
        UsageError: when the folder holds other files, ours or somebody else's, which would be overwritten.
    """
    with told(folder):
        manifest.refuse_occupied(folder, month, provisional=False)
    with database.begin() as connection:
        ours = _listed(folder)
        closed = []
        for item in statements.of_month(connection, month):
            name = file_name(item.statement.key)
            found = hash_of(folder / name)
            known = name in ours or found == item.file.sha256
            if item.statement.key in chosen and found is not None and not known:
                raise UsageError(
                    f"{folder / name} is not ours and would be overwritten; choose another folder with --out"
                )
            if item.statement.key in chosen or (found is not None and known):
                closed.append(item)
        return _write_closed(connection, folder, month, closed)


def _write_closed(
    connection: Connection, folder: Path, month: str, closed: Sequence[SealedStatement]
) -> tuple[Written, ...]:
    if not closed:
        return ()
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    written = []
    for item in closed:
        path = folder / file_name(item.statement.key)
        found = hash_of(path)
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
    written.append(_write_manifest(folder, month, closed))
    return tuple(written)


def _write_manifest(folder: Path, month: str, closed: Sequence[SealedStatement]) -> Written:
    path, entries = folder / manifest.NAME, [manifest.entry_of(item) for item in closed]
    content = manifest.render(month, entries, provisional=False)
    with told(path):
        before = path.read_bytes() if path.exists() else None
    if before == content:
        return Written(path, "unchanged")
    write_atomically(path, content)
    if before is None:
        return Written(path, "written")
    # rightly there before: the manifest of what was closed earlier, to which something has come
    listed = manifest.listed(before)
    earlier = [entry for entry in entries if entry.path in listed]
    untouched = before == manifest.render(month, earlier, provisional=False)
    return Written(path, "written" if untouched else "restored")


def _listed(folder: Path) -> frozenset[str]:
    """The files that the folder's manifest lists."""
    path = folder / manifest.NAME
    with told(path):
        return frozenset(manifest.listed(path.read_bytes())) if path.exists() else frozenset()
