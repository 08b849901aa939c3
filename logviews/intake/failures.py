"""What goes wrong while files are taken in: what the engine and the system say, as sentences of ours."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

import duckdb

from logviews.embedded import engine
from logviews.intake.files import IngestError, IngestPlaceError

_DISK_FULL: Final = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_OUTSIDE: Final = (duckdb.IOException, duckdb.OutOfMemoryException)


def of_engine(file: str, folder: Path, error: duckdb.Error) -> BaseException:
    """An error of DuckDB while a file was taken into a folder: a full disk, Ctrl-C, its place's fault, or its own.

    What fails around a file (a part out of reach, no memory) is not its fault: it is not refused for it.
    """
    if engine.is_disk_full(error):
        return disk_full(folder)
    if engine.is_interrupt(error):
        return KeyboardInterrupt()
    kind = IngestPlaceError if isinstance(error, _OUTSIDE) else IngestError
    return kind(f"{file}: cannot be taken in: {str(error).splitlines()[0]}")


def of_system(what: str, folder: Path, error: OSError) -> IngestPlaceError:
    """An error of the system while something was written to a folder; `what` says what could not be done."""
    return disk_full(folder) if is_disk_full(error) else IngestPlaceError(f"{what}: {error.strerror or error}")


def is_disk_full(error: OSError) -> bool:
    """Whether the system says that there is no room."""
    return error.errno in _DISK_FULL


def disk_full(folder: Path) -> IngestPlaceError:
    """What is raised when there is no room for parts."""
    return IngestPlaceError(f"{folder}: the disk is full; nothing was taken in")
