"""The manifest: which files lie in a folder, what they were made from, and their SHA-256; its bytes follow from it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from config.errors import UsageError
from ledger.clock import cut
from ledger.statements import SealedStatement, StatementKey

NAME: Final = "manifest.json"
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a folder. `closed_at` and `approved` are None, and `counted_to` is given, while it is provisional.

    `path` is relative to the manifest's folder.
    """

    path: str
    sha256: str
    bytes: int
    rows: int
    key: StatementKey
    layout: str
    currency: str
    event_cutoff: datetime
    ingest_cutoff: datetime
    definitions: Mapping[str, str]
    integrity: Mapping[str, Mapping[str, Any]]
    closed_at: datetime | None = None
    approved: str | None = None
    counted_to: datetime | None = None


def entry_of(sealed: SealedStatement) -> Entry:
    """The entry of a closed statement's file."""
    head = sealed.statement
    return Entry(
        path=sealed.file.path.rpartition("/")[2],
        sha256=sealed.file.sha256,
        bytes=sealed.file.bytes,
        rows=sealed.rows,
        key=head.key,
        layout=head.layout,
        currency=head.currency,
        event_cutoff=head.event_cutoff,
        ingest_cutoff=head.ingest_cutoff,
        definitions=head.definitions,
        integrity=head.integrity,
        closed_at=head.closed_at,
        approved=head.approved,
    )


def render(month: str, entries: Sequence[Entry], *, provisional: bool) -> bytes:
    """The manifest of these files: JSON with sorted keys, the files by path, UTF-8."""
    document: dict[str, Any] = {
        "files": [_document(entry) for entry in sorted(entries, key=lambda entry: entry.path.encode())],
        "month": month,
        "provisional": provisional,
        "version": VERSION,
    }
    counted = [entry.counted_to for entry in entries if entry.counted_to is not None]
    if provisional and counted:
        document["counted_to"] = _instant(max(counted))
    return _text(document)


def listed(content: bytes) -> dict[str, str]:
    """The files that a manifest lists, with their hashes; nothing when it is not of this form."""
    try:
        return {str(entry["path"]): str(entry["sha256"]) for entry in json.loads(content)["files"]}
    except (ValueError, KeyError, TypeError):
        return {}


def without(content: bytes, paths: Collection[str]) -> bytes | None:
    """A manifest for which `listed` finds files, without these; None when it would list none."""
    document = json.loads(content)
    document["files"] = [entry for entry in document["files"] if entry["path"] not in paths]
    if not document["files"]:
        return None
    counted = [str(entry["counted_to"]) for entry in document["files"] if "counted_to" in entry]
    if counted:
        document["counted_to"] = max(counted)  # texts of one form, and so in the order of their instants
    return _text(document)


def refuse_occupied(folder: Path, month: str, *, provisional: bool) -> None:
    """Does nothing when files of that month, provisional or not, may be written into the folder.

    Raises:
        UsageError: when its manifest is of other files.
        OSError: when the manifest is there and cannot be read.
    """
    found = occupant(folder, month, provisional=provisional)
    if found is not None:
        raise UsageError(f"{folder} holds {found}, which would be overwritten; choose another folder with --out")


def occupant(folder: Path, month: str, *, provisional: bool) -> str | None:
    """What a folder's manifest says that it holds, when that is not what is to be written there; None when it fits.

    Raises:
        OSError: when the manifest is there and cannot be read.
    """
    try:
        content = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return None
    try:
        document = json.loads(content)
        held = str(document["month"]), bool(document["provisional"])
    except (ValueError, KeyError, TypeError):
        return f"a {NAME} that tallywatch did not write"
    if held == (month, provisional):
        return None
    return f"the {'provisional' if held[1] else 'closed'} files of {held[0]}"


def _document(entry: Entry) -> dict[str, Any]:
    document: dict[str, Any] = {
        "approved": entry.approved,
        "billing_day": entry.key.billing_day,
        "bytes": entry.bytes,
        "closed_at": None if entry.closed_at is None else _instant(entry.closed_at),
        "currency": entry.currency,
        "definitions": dict(entry.definitions),
        "event_cutoff": _instant(entry.event_cutoff),
        "export": entry.key.export,
        "ingest_cutoff": _instant(entry.ingest_cutoff),
        "integrity": {view: dict(figures) for view, figures in entry.integrity.items()},
        "layout": entry.layout,
        "path": entry.path,
        "rows": entry.rows,
        "sha256": entry.sha256,
    }
    if entry.counted_to is not None:
        document["counted_to"] = _instant(entry.counted_to)
    return document


def _text(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _instant(at: datetime) -> str:
    return cut(at).isoformat(timespec="milliseconds")
