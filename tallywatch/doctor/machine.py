"""The machine: the packages that are installed, the time zones, folders that must be written, and room on the disk."""

from __future__ import annotations

import shutil
import tempfile
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Final

from config.load import Loaded
from exporters.seal import FOLDER
from ledger.database import Database
from ledger.sqlite import SQLite
from tallywatch.doctor.finding import Check, Finding, failed, ok, warning
from tallywatch.guard import ROOMS

OURS: Final = "tallywatch"
LEAST_FREE_BYTES: Final = 1_000_000_000
LEAST_FREE_PERCENT: Final = 5
_KNOWN_ZONE: Final = "Europe/Stockholm"


def packages() -> Iterator[Finding]:
    """Whether another installed distribution owns a package called like one of ours. Reads every installed record."""
    yield from strangers_among(packages_distributions())


def strangers_among(owners: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """A finding for each of our packages that somebody else owns as well; one that all is well if nobody does."""
    found = False
    for name in (*ROOMS, OURS):
        for other in sorted({owner for owner in owners.get(name, ()) if owner.lower() != OURS}):
            found = True
            yield failed(
                Check.PACKAGES,
                "",
                f"the package {name} belongs to the distribution {other} as well, and what is installed last wins",
                "install tallywatch into a virtual environment of its own",
            )
    if not found:
        yield ok(Check.PACKAGES, "", "nobody else's are called like ours")


def time_zones() -> Iterator[Finding]:
    """Whether there is a time zone database, and which."""
    try:
        zoneinfo.ZoneInfo(_KNOWN_ZONE)
    except zoneinfo.ZoneInfoNotFoundError:
        yield failed(Check.TIME_ZONES, "", "there is no time zone database", "install the package tzdata with pip")
        return
    for folder in zoneinfo.TZPATH:
        if Path(folder, _KNOWN_ZONE).is_file():
            yield ok(Check.TIME_ZONES, "", f"{_edition(Path(folder))} of the system, in {folder}")
            return
    try:
        yield ok(Check.TIME_ZONES, "", f"{version('tzdata')} of the package tzdata")
    except PackageNotFoundError:
        yield ok(Check.TIME_ZONES, "", "there are some")


def _edition(folder: Path) -> str:
    """Which edition of the time zone database lies in a folder, where that is written down."""
    try:
        first = (folder / "tzdata.zi").read_text(encoding="ascii", errors="replace").splitlines()[0]
    except (OSError, IndexError):
        return "those"
    return first.removeprefix("# version ").strip()


def unwritable(folder: Path) -> str | None:
    """Why nothing can be written into a folder, or into the one that it would be made in; None when it can."""
    place = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"\0")
            file.flush()
    except OSError as error:
        return f"{place} cannot be written: {error.strerror}"
    return None


def folder(check: Check, about: str, path: Path) -> Finding:
    """Whether a folder that the program writes into can be written."""
    problem = unwritable(path)
    if problem is not None:
        return failed(check, about, problem, "let the user of the service write there")
    return ok(check, about, f"{path} can be written" if path.is_dir() else f"{path} can be made")


def exports(loaded: Loaded) -> Iterator[Finding]:
    """Whether the monthly files can be written."""
    if loaded.config.exports:
        yield folder(Check.FOLDER, "exports", loaded.base / FOLDER)


def disk(loaded: Loaded, database: Database | None) -> Iterator[Finding]:
    """How much room there is, once for each file system that the program writes to."""
    written = [store.folder for store in loaded.config.embedded_stores.values()]
    if database is not None and isinstance(database.backend, SQLite):
        written.append(database.backend.path.parent)
    if loaded.config.exports:
        written.append(loaded.base / FOLDER)
    if loaded.config.settings.email.transport == "files":
        written.append(loaded.config.settings.email.folder)
    yield from rooms(written)


def rooms(written: Iterable[Path]) -> Iterator[Finding]:
    """How much room there is where these are."""
    by_device: dict[int, Path] = {}
    for path in map(_existing, written):
        by_device.setdefault(path.stat().st_dev, path)
    for path in by_device.values():
        usage = shutil.disk_usage(path)
        yield room(path, usage.free, usage.total)


def room(path: Path, free: int, total: int) -> Finding:
    """Whether so many bytes are enough: a GB, and 5 % of all."""
    percent = free * 100 // total if total else 0
    found = f"{free / 1e9:,.1f} GB free, {percent} %"
    if free < LEAST_FREE_BYTES or free * 100 < LEAST_FREE_PERCENT * total:
        return warning(Check.DISK, str(path), found, "make room; a full disk stops picking up, notices and closing")
    return ok(Check.DISK, str(path), found)


def _existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
