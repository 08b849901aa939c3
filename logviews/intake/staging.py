"""Where an ingest works: the store's folder, locked for one writer, and the staging folder in it.

A part is written in the staging folder, noted as moving, moved into place and registered in the ledger, each of these
durably; so the next ingest knows which files a crash left that no ledger knows.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger import clock, parts
from ledger.database import Database
from logviews.intake import files
from logviews.intake.files import IngestPlaceError

LOCK_PATIENCE_SECONDS: Final = 60.0
ABANDONED_SECONDS: Final = 3600.0
"""A half-written file of columns that nobody has written to for so long was left by a count that was killed."""
_MOVING: Final = "moving"


@dataclass(frozen=True, slots=True)
class Staging:
    """The staging folder of a store's folder, which is ours until the ingest is done."""

    store: Path
    folder: Path

    def path(self, name: str) -> Path:
        """A file in the staging folder, which is gone when the ingest is done."""
        return self.folder / name

    def move(self, path: Path, target: str) -> None:
        """Moves a file to its place in the store's folder; until `registered`, `sweep` removes it again."""
        with (self.folder / _MOVING).open("a", encoding="utf-8") as stream:
            stream.write(target + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        _sync_folder(self.folder)
        move_durably(path, self.store / target)

    def registered(self) -> None:
        """Says that the ledger knows everything that was moved."""
        (self.folder / _MOVING).unlink(missing_ok=True)

    def sweep(self, name: str, database: Database) -> None:
        """Removes what was moved into place and never registered, by a crash or by a ledger that refused.

        Only what was noted before it was moved, because a folder that somebody opens with another ledger is full of
        parts that this ledger does not know. The ledger is asked what it knows of the store only when there is a note.
        """
        moving = self.folder / _MOVING
        if not moving.is_file():
            return
        with database.connect() as reading:
            known = {part.path for role in parts.ROLES for part in parts.of_store(reading, name, role)}
        for target in moving.read_text(encoding="utf-8").splitlines():
            if target not in known:
                (self.store / target).unlink(missing_ok=True)
        moving.unlink()

    def sweep_columns(self) -> None:
        """Removes columns that a killed count left half-written; they are a cache, so its failing is no failure."""
        for path in (self.store / "columns").glob("*.partial"):
            with suppress(OSError):
                if clock.now().timestamp() - path.stat().st_mtime > ABANDONED_SECONDS:
                    path.unlink()

    def empty(self) -> None:
        """Removes everything in the staging folder but the note of what was moved."""
        for path in self.folder.iterdir():
            if path.name != _MOVING:
                path.unlink()


class StoreBusyError(IngestPlaceError):
    """Somebody else has been writing to the store's folder for longer than we wait."""


@contextmanager
def writing(folder: Path, patience_seconds: float = LOCK_PATIENCE_SECONDS) -> Iterator[Staging]:
    """The store's folder, locked for us, made if it is not there; its staging folder is empty before and after.

    Raises:
        IngestPlaceError: when it cannot be written.
        StoreBusyError: when another process has held it for `patience_seconds`.
    """
    staging = Staging(folder, folder / "staging")
    try:
        for path in (folder / "parts", staging.folder):
            path.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("wb")
    except OSError as error:
        raise IngestPlaceError(f"{folder}: the store's folder cannot be written: {error.strerror}") from error
    with lock:
        _lock(lock.fileno(), folder, patience_seconds)
        staging.empty()
        try:
            yield staging
        finally:
            staging.empty()


def _lock(descriptor: int, folder: Path, patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StoreBusyError(
                    f"{folder}: another ingest has been writing here for {patience_seconds:.0f} s; try again later"
                ) from None
            time.sleep(0.05)
        else:
            return


def move_durably(path: Path, target: Path) -> None:
    """Moves a file so that it is whole at its target or not there, whatever happens to the machine."""
    with path.open("rb") as written:
        os.fsync(written.fileno())
    path.replace(target)
    _sync_folder(target.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def copy_durably(path: Path, target: Path) -> None:
    """Copies refused lines to where they were asked for, in the same way.

    Raises:
        IngestPlaceError: when they cannot be written there.
    """
    beside = target.with_name(target.name + ".partial")
    try:
        with path.open("rb") as stream:
            files.copy(stream, beside)
        move_durably(beside, target)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise IngestPlaceError(f"{target}: the refused lines cannot be written there: {error.strerror}") from error
