"""A filter's tallies, asked like a log store: how the same code counts from them that counts from the logs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from ledger import tallies, watermarks
from ledger.database import Database
from ledger.records import Freshness, Tally
from ledger.tallies import Amount
from ledger.watermarks import Watermark
from logviews.store import Changes, CountQuery, LogStore, StoreUnavailable
from logviews.tallies.keys import FilterKey
from logviews.tallies.pieces import Progress
from logviews.tallies.segments import Cut


class BackfillingError(StoreUnavailable):
    """Not all that is needed has been counted yet. It goes on in the background, and nobody has to do anything."""

    def __init__(self, view: str, progress: Progress) -> None:
        self.progress = progress
        super().__init__(f"view {view}: {progress} are counted; the rest is being counted")


@dataclass(frozen=True, slots=True)
class _BesideStore:
    """What tallies cannot tell is asked of the store that they are of."""

    store: LogStore
    database: Database
    key: FilterKey
    _fresh: dict[datetime, Freshness] = field(default_factory=dict, kw_only=True)

    def at_once(self) -> AbstractContextManager[None]:
        """The store's."""
        return self.store.at_once()

    def duplicates(self, query: CountQuery) -> int | None:  # noqa: ARG002 (the protocol's)
        """Not known: they are in no tally, and asking the logs for them would cost more each day of a month."""
        return None

    def freshness(self, at: datetime) -> Freshness:
        """The store's, asked once for an instant."""
        if at not in self._fresh:
            self._fresh[at] = self.store.freshness(at)
        return self._fresh[at]

    def changes(self, query: CountQuery, since: str | None, at: datetime) -> Changes:
        """The store's."""
        return self.store.changes(query, since, at)

    def check(self, query: CountQuery) -> None:
        """The store's."""
        self.store.check(query)


@dataclass(frozen=True, slots=True)
class Tallied(_BesideStore):
    """The period sums of a cut, as of the instant up to which they were counted.

    Its answers are cut where each customer's own periods and contract end, and not at the edges of the question; so it
    may be asked about periods of its cut, and about nothing else.
    """

    cut: Cut
    token: str
    at: datetime

    def count(self, query: CountQuery) -> Iterator[Tally]:
        """A tally for each customer value and segment, an upper bound of distinct values. One read of the ledger.

        Members are counted by the store.

        Raises:
            StoreUnavailable: when the sums do not reach as far as the question, or the store cannot answer.
        """
        if query.members is not None:
            yield from self.store.count(query)
            return
        first, last = query.edges[0], query.edges[-1]
        with self.database.connect() as connection:
            mark = self._sound(watermarks.load(connection, self.key.hash), first, last)
            for found in tallies.sums(connection, mark.id, self.cut.name, first, last):
                yield _tally(query.view, found.name, found.start, found.amount)

    def _sound(self, mark: Watermark | None, first: datetime, last: datetime) -> Watermark:
        if mark is None or mark.counted_to != self.at or mark.cuts.get(self.cut.name) != self.token:
            raise StoreUnavailable(f"view {self.key.view}: its tallies were replaced while they were read; try again")
        if first < mark.since or last > mark.counted_to:
            raise StoreUnavailable(
                f"view {self.key.view}: counted from {mark.since.isoformat()} to {mark.counted_to.isoformat()}, "
                f"and asked about {first.isoformat()} to {last.isoformat()}"
            )
        return mark


@dataclass(frozen=True, slots=True)
class Kept(_BesideStore):
    """The tallies themselves, as far as they reach: for any periods that begin and end with a bucket."""

    def count(self, query: CountQuery) -> Iterator[Tally]:
        """A tally for each customer value and bucket, an upper bound of distinct values. Costs reading all of them.

        Members are counted by the store.
        """
        if query.members is not None:
            yield from self.store.count(query)
            return
        with self.database.connect() as connection:
            mark = watermarks.load(connection, self.key.hash)
            if mark is not None:
                for start, name, amount in tallies.tallies(connection, mark.id, query.edges[0], query.edges[-1]):
                    yield _tally(query.view, name, start, amount)


def _tally(view: str, name: str, start: datetime, amount: Amount) -> Tally:
    subject = tallies.subject_of(name)
    return Tally(view, subject, start, amount.quantity, amount.messages, amount.values, amount.newest, amount.newest_id)
