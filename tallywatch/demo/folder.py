"""The demo's folder: which one may be used, and what an earlier demo left there that may go.

A marker names the demo's own files. Nothing else in the folder is ever touched, and neither is what was edited since.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from config.errors import TallywatchError, UsageError

MARKER: Final = ".tallywatch-demo.json"
CONFIGURATION: Final = "tallywatch.yaml"
ROSTER: Final = "customers.csv"
LOGS: Final = "logs"
_DATABASE: Final = "tallywatch.db"
_FOLDERS: Final = ("events", "mail", "exports/2026-10")


class FolderError(TallywatchError):
    """The demo's folder cannot be written: the disk, or its permissions."""


def prepare(folder: Path, texts: Mapping[str, str]) -> bool:
    """Makes the folder ready, with these texts as its files, and says whether an earlier demo was removed from it.

    Raises:
        UsageError: when the folder is not the demo's to use: it holds other files, or a file that was edited.
        FolderError: when it cannot be written.
    """
    try:
        earlier = _earlier(folder)
        if earlier is not None:
            _refuse_edited(folder, earlier)
        folder.mkdir(parents=True, exist_ok=True)
        hashes = {name: _sha256(text.encode()) for name, text in texts.items()}
        # first of all, so that a demo that is stopped half-way is known as one, with the old files or the new ones
        _mark(folder, {name: [hashes[name], *(earlier or {}).get(name, [])] for name in texts})
        if earlier is not None:
            _remove(folder, list(earlier))
        (folder / LOGS).mkdir(exist_ok=True)
        for name, text in texts.items():
            _write(folder / name, text)
        _mark(folder, {name: [hashes[name]] for name in texts})
    except OSError as error:
        raise FolderError(f"{error.filename or folder} cannot be written: {error.strerror or error}") from error
    return earlier is not None


def _earlier(folder: Path) -> Mapping[str, list[str]] | None:
    """The files that an earlier demo wrote, with their hashes; None in a new or empty folder."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder")
    if not folder.exists() or not any(folder.iterdir()):
        return None
    marker = folder / MARKER
    if not marker.is_file():
        raise UsageError(f"{folder} holds files that are not an earlier demo's; name an empty or a new folder")
    try:
        files = json.loads(marker.read_text(encoding="utf-8"))["files"]
        return {name: [str(one) for one in files[name]] for name in (CONFIGURATION, ROSTER) if name in files}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{marker} cannot be read as an earlier demo's; name an empty or a new folder") from error


def _refuse_edited(folder: Path, earlier: Mapping[str, list[str]]) -> None:
    for name, hashes in earlier.items():
        path = folder / name
        if path.exists() and _sha256(path.read_bytes()) not in hashes:
            raise UsageError(f"{path} was changed since the demo wrote it; name another folder, or move the file away")


def _remove(folder: Path, files: list[str]) -> None:
    for name in _FOLDERS:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
    for path in (*_logs(folder), *folder.glob(f"{_DATABASE}*"), *(folder / name for name in files)):
        path.unlink(missing_ok=True)


def _logs(folder: Path) -> Iterator[Path]:
    yield from (folder / LOGS).glob("2026-*.jsonl*")
    yield from (folder / LOGS).glob(".2026-*.part")


def _mark(folder: Path, files: Mapping[str, list[str]]) -> None:
    _write(folder / MARKER, json.dumps({"files": files}))


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8", newline="")
    beside.replace(path)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
