"""What every log store can do, and the question it is asked: the seam between counting and where logs live."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from config.errors import TallywatchError
from config.filters import Filter
from config.models import Aggregation
from ledger.records import Freshness, Tally


class StoreUnavailable(TallywatchError):  # noqa: N818 (the state that verdicts are then in)
    """The log store cannot answer exactly: nothing may be judged, mailed or closed on what it holds now."""


@dataclass(frozen=True, slots=True)
class Member:
    """A raw customer value whose messages in `[start, end)` belong to `subject`."""

    value: str
    subject: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class CountQuery:
    """What to count of which messages.

    `edges` are two or more ascending instants; each adjacent pair is one half-open bucket. Without `members` the answer
    is one tally per raw customer value (and one for the unattributed rest) and bucket that has messages. With `members`
    it is one tally per member subject over exactly its members' spans, which is how `distinct` stays exact when a
    customer has several values; `edges` then bounds the whole scan, and tallies start at its first edge.
    """

    view: str
    where: Filter
    aggregation: Aggregation
    field: str | None
    scale: int
    edges: tuple[datetime, ...]
    members: Sequence[Member] | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """Where messages may have come in since a mark: half-open stretches of their own time, ascending and disjoint.

    `mark` is the store's own note of how far it has looked; the next question begins there. Asking twice is harmless.
    """

    stretches: tuple[tuple[datetime, datetime], ...]
    mark: str


class LogStore(Protocol):
    """A place where logs live."""

    def at_once(self) -> AbstractContextManager[None]:
        """Within it, this thread's questions may be answered of one and the same instant: not earlier than its begin.

        For whoever has several questions in a row: it is cheaper, and the answers belong together.
        """
        ...

    def count(self, query: CountQuery) -> Iterator[Tally]:
        """The tallies that answer the query, exactly.

        Raises:
            StoreUnavailable: when the store cannot answer exactly, with the reason.
        """
        ...

    def duplicates(self, query: CountQuery) -> int | None:
        """How many messages matching the query's filter between its first and last edge were refused as duplicates.

        None where that is not asked.
        """
        ...

    def freshness(self, at: datetime) -> Freshness:
        """How recent the store's messages before `at` are."""
        ...

    def changes(self, query: CountQuery, since: str | None, at: datetime) -> Changes:
        """Between the query's first and last edge, where its answer may differ from what was counted at mark `since`.

        Never leaves out a stretch that has changed, as far as the store can know it; without `since` everything has.

        Raises:
            StoreUnavailable: when the store cannot tell.
        """
        ...

    def check(self, query: CountQuery) -> None:
        """Refuses what `count` would refuse, as far as that can be known without counting.

        Whoever counts a period bucket by bucket asks this of the whole of it.

        Raises:
            StoreUnavailable: when the query could not be answered exactly, with the reason.
        """
        ...
