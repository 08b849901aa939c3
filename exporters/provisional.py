"""Provisional files: what a month comes to so far, apart from what is closed, and gone when it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from config.errors import UsageError
from exporters import manifest
from exporters.disk import Written, hash_of, remove, replace, told
from exporters.seal import file_name, render, seal_of
from exporters.statements import Draft
from ledger import statements
from ledger.database import Database
from ledger.statements import StatementKey

NAME: Final = "provisional"


def write(
    database: Database, folder: Path, month: str, drafts: Sequence[Draft], counted_to: datetime
) -> tuple[Written, ...]:
    """Writes drafts into `folder`, with a manifest that calls them provisional.

    It holds the ledger's write lock meanwhile, so that none is written of what another process just closed.

    Raises:
        FilesError: when the disk refuses.
        UsageError: when the folder holds other files of ours, or a draft was closed since it was counted.
    """
    with told(folder):
        manifest.refuse_occupied(folder, month, provisional=True)
    with database.begin() as connection:
        closed = {item.statement.key for item in statements.of_month(connection, month)}
        late = [str(draft.key) for draft in drafts if draft.key in closed]
        if late:
            raise UsageError(f"{', '.join(late)} was closed meanwhile; run the command without --provisional")
        with told(folder):
            folder.mkdir(parents=True, exist_ok=True)
        written, entries = [], []
        for draft in drafts:
            content = render(draft.layout, draft.lines)
            written.append(replace(folder / file_name(draft.key), content))
            entries.append(_entry(draft, content, counted_to))
        written.append(replace(folder / manifest.NAME, manifest.render(month, entries, provisional=True)))
    return tuple(written)


def clear(folder: Path, month: str, closed: Iterable[StatementKey]) -> tuple[Written, ...]:
    """Removes from a month's folder the provisional files of statements that are closed, and their manifest's entries.

    Only what that manifest lists with the very hash is removed; a file that was changed since is kept, and said so.
    The manifest goes with its last file, and so does the folder when nothing else is in it. A crash in between is
    harmless: the next call removes the rest.

    Raises:
        FilesError: when the disk refuses.
    """
    apart, names = folder / NAME, {file_name(key) for key in closed}
    path = apart / manifest.NAME
    with told(path):
        ours = path.is_file() and manifest.occupant(apart, month, provisional=True) is None
        content = path.read_bytes() if ours else b""
    done = []
    for name, sha256 in manifest.listed(content).items():
        found = hash_of(apart / name) if name in names else None
        if found == sha256:
            remove(apart / name)
        elif found is not None:
            names.remove(name)
        if found is not None:
            done.append(Written(apart / name, "removed" if found == sha256 else "kept"))
    return (*done, *_shorten(path, content, names))


def _shorten(path: Path, content: bytes, names: Set[str]) -> tuple[Written, ...]:
    """Takes files that are gone out of a manifest; it goes with the last of them, and then the folder."""
    if not names & manifest.listed(content).keys():
        return ()
    left = manifest.without(content, names)
    if left is not None:
        replace(path, left)
        return ()
    remove(path)
    with suppress(OSError):
        path.parent.rmdir()  # unless somebody keeps a file of their own in it
    return (Written(path, "removed"),)


def _entry(draft: Draft, content: bytes, counted_to: datetime) -> manifest.Entry:
    seal = seal_of(draft.key, content)
    return manifest.Entry(
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
        integrity=draft.figures,
        counted_to=min(counted_to, draft.event_cutoff),
    )
