"""Looking for files to pick up: what the patterns of a store match now, each file once, and what cannot be seen."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.picked import unwild
from logviews.intake import files
from logviews.intake.files import LogFile

_CSV: Final = re.compile(r"\.[ct]sv([^a-z0-9]|$)")


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as it was at one look; `file` is its device and inode, which stay when it is renamed."""

    path: Path
    file: str
    size: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Sightings:
    """Every file that was seen, ordered by path, and why folders or files could not be looked at, by path."""

    files: tuple[Sighting, ...]
    hidden: dict[str, str]


def look(patterns: Iterable[Path], own: Path) -> Sightings:
    """What absolute patterns match now, without what lies in the folder `own`. Two names of one file are one file.

    No match and no folder are no problem. Costs a listing of each folder, and one stat a file; opens nothing.
    """
    found: dict[str, Sighting] = {}
    hidden: dict[str, str] = {}
    for pattern in patterns:
        folder = unwild(pattern)
        try:
            with os.scandir(folder) as entries:
                next(entries, None)
        except PermissionError as error:
            hidden[str(folder)] = f"{folder}: cannot be looked at: {error.strerror}"
        except OSError:
            continue
        for name in sorted(glob.glob(str(pattern), recursive=True)):  # noqa: PTH207 (a Path's own glob takes no absolute pattern)
            path = Path(name)
            try:
                seen = sight(path)
            except PermissionError as error:
                hidden[name] = f"{name}: cannot be looked at: {error.strerror}"
                continue
            if seen is not None and own not in path.parents:
                found.setdefault(seen.file, seen)
    return Sightings(tuple(sorted(found.values(), key=lambda one: one.path)), hidden)


def sight(path: Path) -> Sighting | None:
    """One file as it is now; None when there is none, or it is a folder, a pipe or a device.

    Raises:
        PermissionError: when it cannot be looked at.
    """
    try:
        found = path.stat()
    except PermissionError:
        raise
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return of_stat(path, found)


def recognise(path: Path) -> LogFile:
    """What a file is, also when a rotation added to its name: app.csv.1, app.csv-20261101.gz."""
    return files.recognise(path, format_="csv" if _CSV.search(path.name.lower()) else None)


def of_stat(path: Path, found: os.stat_result) -> Sighting:
    """What a stat says of a file."""
    return Sighting(path, f"{found.st_dev}:{found.st_ino}", found.st_size, found.st_mtime_ns)
