"""Channel `files`: one .eml per delivery in a folder, to be opened with any mail program."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ledger.records import Receipt, RenderedNotice


class FilesChannel:
    """Writes each message into `folder`, whole or not at all. The same delivery always writes the same file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def remote(self) -> bool:
        """False: a folder may be written again at once."""
        return False

    def deliver(self, batch: Iterable[RenderedNotice]) -> Iterator[Receipt]:
        """A receipt per message: `detail` is the file's path, or the sentence why it could not be written."""
        for notice in batch:
            path = self.folder / file_name(notice)
            try:
                write(path, notice.message)
            except OSError as exc:
                reason = exc.strerror or type(exc).__name__
                yield Receipt(notice.delivery_id, "retry", f"{path} could not be written: {reason}")
            else:
                yield Receipt(notice.delivery_id, "delivered", str(path))

    def close(self) -> None:
        """Nothing is kept between batches."""


def file_name(notice: RenderedNotice) -> str:
    """`2026-10-25_near_limit_acme-ab_3fa9c1d2-7b21e05c.eml`: label, notice, and a hash that tells addresses apart."""
    own = hashlib.sha256(f"{notice.notice_id}\n{notice.address}".encode("utf-8", "surrogatepass")).hexdigest()[:10]
    short = "".join(character for character in notice.notice_id[:8] if character.isascii() and character.isalnum())
    return f"{notice.label}_{short}-{own}.eml"


def write(path: Path, content: bytes) -> None:
    """The content as a file that is there whole or not at all, also after a power failure.

    What a killed process left half-written is hidden, never taken for a message, and replaced by the next attempt.

    Raises:
        OSError: the folder cannot be written, or is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
