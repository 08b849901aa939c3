"""Watching the configuration's files for changes, without reading them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


class Watch:
    """The files as they are now; `changed` says once for each change that they are no longer so.

    A change is told when the files have stayed as they are from one call to the next: editors and copies take a moment.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self._files = tuple(files)
        self._seen = self._last = self._signature()

    @property
    def token(self) -> str:
        """A short text that is another one after each change."""
        return hashlib.sha256(repr(self._seen).encode()).hexdigest()[:16]

    def changed(self) -> bool:
        """Whether a file was replaced, written or removed, and not again since. Costs one stat per file."""
        now = self._signature()
        settled, self._last = now == self._last, now
        if not settled or now == self._seen:
            return False
        self._seen = now
        return True

    def _signature(self) -> tuple[object, ...]:
        return tuple(_signature_of(path) for path in self._files)


def _signature_of(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
