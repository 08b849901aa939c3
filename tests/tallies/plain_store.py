"""A log store in plain Python that knows what has changed: messages come late, and can be taken away again."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ledger.records import Freshness, Tally
from logviews.messages import parse
from logviews.reference import Event, count
from logviews.store import Changes, CountQuery, StoreUnavailable

INSTANT = timedelta(milliseconds=1)


@dataclass
class PlainStore:
    """`events` are in the order of their times. `journal` is the times at which something changed, in the order of the
    changes; the mark is how much of it was read."""

    events: list[Event] = field(default_factory=list)
    journal: list[datetime] = field(default_factory=list)
    asked: deque[CountQuery] = field(default_factory=lambda: deque(maxlen=1_000))
    down: bool = False
    unfit_from: datetime | None = None  # what happened from here on cannot be counted

    def add(self, at: datetime, customer: str | None, line: str = "{}", id_: str | None = None) -> None:
        """A message arrives."""
        event = Event(at, customer, id_ or f"id-{len(self.journal):06}", parse(line))
        insort(self.events, event, key=lambda event: event.time)
        self.journal.append(at)

    def remove(self, event: Event) -> None:
        """A message is deleted, and the store knows."""
        self.events.remove(event)
        self.journal.append(event.time)

    def at_once(self) -> AbstractContextManager[None]:
        return nullcontext()

    def count(self, query: CountQuery) -> Iterator[Tally]:
        self.asked.append(query)
        self._answer()
        self.check(query)
        first, last = (bisect_left(self.events, at, key=lambda event: event.time) for at in _ends(query))
        yield from count(self.events[first:last], query, {})

    def duplicates(self, query: CountQuery) -> int:
        return 0

    def freshness(self, at: datetime) -> Freshness:
        self._answer()
        place = bisect_left(self.events, at, key=lambda event: event.time)
        return Freshness(self.events[place - 1].time if place else None, None, False)

    def changes(self, query: CountQuery, since: str | None, at: datetime) -> Changes:
        self._answer()
        first, last = _ends(query)
        mark = str(len(self.journal))
        if since is None:
            return Changes(((first, last),), mark)
        times = sorted(at for at in set(self.journal[int(since) :]) if first <= at < last)
        return Changes(tuple((at, at + INSTANT) for at in times), mark)

    def check(self, query: CountQuery) -> None:
        if self.unfit_from is not None and query.edges[-1] > self.unfit_from:
            raise StoreUnavailable("store plain: a field holds numbers and strings")

    def _answer(self) -> None:
        if self.down:
            raise StoreUnavailable("store plain: no answer")


def _ends(query: CountQuery) -> tuple[datetime, datetime]:
    return query.edges[0], query.edges[-1]
