"""What is noted of a file in the transaction that registers the parts which its new lines became."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from ledger import following
from ledger.following import Followed, State, Stretch
from ledger.parts import Role
from logviews.intake import contents, files
from logviews.intake.contents import HEAD_BYTES
from logviews.intake.files import LogFile
from logviews.intake.pieces import Piece


@dataclass(frozen=True, slots=True)
class News:
    """What a look found out about a file: how it is now, what of it was counted before, and what is new.

    `beginning` are stretches that were counted, but not as this content: the beginning of another one, or lines that
    were taken in by hand.
    """

    row: Followed
    beginning: tuple[Stretch, ...]
    piece: Piece | None
    finished: bool
    """Whether nothing is left after the piece, also no line that is not whole."""

    def head(self, log: LogFile) -> bytes:
        """The first bytes of the content, by which it is found again; nothing when there is nothing to note."""
        if self.piece is not None and not self.piece.stretch.start:
            with self.piece.raw.open("rb") as stream:
                return stream.read(HEAD_BYTES)
        with files.opened(log) as whole:
            return contents.read_exactly(whole, min(HEAD_BYTES, self._end))

    def write(
        self, connection: Connection, store: str, head: bytes, part_ids: Mapping[Role, int], at: datetime
    ) -> Followed:
        """Writes it, the content too if it is not known yet; gives the file as it is noted."""
        content_id = self.row.content_id
        if content_id is None:
            content_id = following.begin(connection, store, head, at)
        for one in self.beginning:
            following.extend(connection, content_id, one, at)
        if self.piece is not None:
            ids = (part_ids.get("messages"), part_ids.get("duplicates"))
            following.extend(
                connection, content_id, replace(self.piece.stretch, messages_id=ids[0], duplicates_id=ids[1]), at
            )
        state: State = "read" if self.finished or self._end >= self.row.size else "waiting"
        if self.piece is not None and self.piece.more:
            state = "more"
        if self.row.state == "cut" and self.piece is None:
            state = "cut"
        row = replace(self.row, content_id=content_id, bytes=self._end, state=state)
        following.put_file(connection, store, row)
        return row

    @property
    def _end(self) -> int:
        if self.piece is not None:
            return self.piece.stretch.end
        return self.beginning[-1].end if self.beginning else 0
