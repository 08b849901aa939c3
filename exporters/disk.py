"""The disk: files put in place whole or not at all, and what it refuses told as a sentence."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from config.errors import TallywatchError


class FilesError(TallywatchError):
    """A file for finance could not be written; what was there before is still there."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one file.

    `unchanged`: there as it should be. `written`: absent, or rightly of an earlier state. `restored`: it had been
    changed, and has the right content again. `removed`: a provisional file of what is closed now. `kept`: such a file
    that somebody changed, so that it was left alone.
    """

    path: Path
    state: Literal["unchanged", "written", "restored", "removed", "kept"]


def write_atomically(path: Path, content: bytes) -> None:
    """Puts a file in place as a whole: a reader, or a crash, finds the old content or the new.

    Raises:
        FilesError: with the reason in a sentence.
    """
    beside = path.with_name(f".{path.name}.part")
    with told(path):
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


def replace(path: Path, content: bytes) -> Written:
    """Writes a file unless it has that content already. Raises as `write_atomically`."""
    if hash_of(path) == hashlib.sha256(content).hexdigest():
        return Written(path, "unchanged")
    write_atomically(path, content)
    return Written(path, "written")


def remove(path: Path) -> None:
    """Removes a file for good.

    Raises:
        FilesError: with the reason in a sentence.
    """
    with told(path):
        path.unlink(missing_ok=True)
        _sync_folder(path.parent)


def hash_of(path: Path) -> str | None:
    """The SHA-256 of a file; None when there is none.

    Raises:
        FilesError: when it cannot be read.
    """
    with told(path):
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest()
        except FileNotFoundError:
            return None


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turns what the disk refuses within the block into a FilesError about `path`."""
    try:
        yield
    except OSError as error:
        raise FilesError(f"{path} {_reason(error)}; run the command again when that is mended") from error


def _sync_folder(folder: Path) -> None:
    """Makes a rename last. Not every system can open a folder; there the rename lasts without."""
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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
