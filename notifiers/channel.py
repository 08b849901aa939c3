"""A channel: a way for messages to leave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from ledger.records import Receipt, RenderedNotice


class Channel(Protocol):
    """A way for messages to leave. It is used by one thread at a time."""

    @property
    def remote(self) -> bool:
        """Whether it asks somebody else's server, which is not asked again at once after a failure."""
        ...

    def deliver(self, batch: Iterable[RenderedNotice]) -> Iterator[Receipt]:
        """A receipt per message, as soon as each is known, in any order; messages are taken when they can leave.

        A message that fails stops no other. What gets no receipt was not attempted.
        """
        ...

    def close(self) -> None:
        """Gives back what it keeps between batches."""
        ...
