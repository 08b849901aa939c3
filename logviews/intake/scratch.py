"""A folder for one command's files, gone when it is done. What a killed one left is removed by the next."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from logviews.intake.files import IngestPlaceError

_PREFIX: Final = "tallywatch-ingest-"
_LOCK: Final = "lock"


@contextmanager
def scratch() -> Iterator[Path]:
    """A new folder where the system keeps temporary files (TMPDIR).

    Raises:
        IngestPlaceError: when there can be none.
    """
    place = Path(tempfile.gettempdir())
    _remove_abandoned(place)
    try:
        folder, lock = _locked(place)
    except OSError as error:
        raise IngestPlaceError(f"{place}: no temporary files can be written there: {error.strerror}") from error
    with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _locked(place: Path) -> tuple[Path, BinaryIO]:
    """A new folder and its lock, which is ours. Another one is made when somebody takes it for abandoned just then."""
    while True:
        folder = Path(tempfile.mkdtemp(dir=place, prefix=_PREFIX))
        lock = (folder / _LOCK).open("wb")
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / _LOCK).exists():
            return folder, lock
        lock.close()


def _remove_abandoned(place: Path) -> None:
    """Removes the folders of commands that do not run any more: nobody holds their locks."""
    for path in place.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError), path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.parent, ignore_errors=True)
