"""The starting configuration that `init` writes."""

from __future__ import annotations

import contextlib
import os
import tempfile
from importlib.resources import files
from pathlib import Path

from config.errors import TallywatchError, UsageError


class WriteError(TallywatchError):
    """A file cannot be written: the disk, or its permissions."""


def starting_text() -> str:
    """The commented starting configuration."""
    return files("config").joinpath("starting.yaml").read_text(encoding="utf-8")


def write(folder: Path, texts: dict[str, str]) -> list[Path]:
    """Writes new files into a folder, which is made if need be: all of them, or none.

    Raises:
        UsageError: when one of them exists already.
        WriteError: when the folder or a file cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder")
    paths = {folder / name: text for name, text in texts.items()}
    for path in paths:
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} exists already; name another folder, or move it away")
    made: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in paths.items():
            _create(path, text)
            made.append(path)
    except OSError as error:
        for path in made:
            path.unlink(missing_ok=True)
        raise WriteError(f"cannot write into {folder}: {error.strerror or error}") from error
    return made


def _create(path: Path, text: str) -> None:
    """A file that is there whole or not at all, and never in place of another."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        os.link(temporary, path)  # unlike a rename, this refuses to replace
    finally:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
