"""Pieces: how much of a longer work is done at once, how far it has come, and a piece itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from ledger import tallies
from ledger.tallies import Amount
from ledger.watermarks import Bucket
from logviews.store import LogStore
from logviews.tallies import buckets
from logviews.tallies.keys import FilterKey
from logviews.tallies.replacing import Recounted
from logviews.tallies.sums import NOTHING, amount_of, plus

DAY: Final = timedelta(days=1)
_FIRST: Final = 4
_TALLIES: Final = 100_000


class Pace:
    """How many buckets the next piece has: more and more, up to a day, as far as memory allows."""

    def __init__(self, width: timedelta) -> None:
        self.size = _FIRST
        self._day = DAY // width

    def after(self, counted: Sequence[Recounted]) -> None:
        """Learns from a piece."""
        fullest = max((len(one.amounts) for one in counted), default=0)
        self.size = max(1, min(2 * self.size, self._day, _TALLIES // max(1, fullest)))


@dataclass(frozen=True, slots=True)
class Progress:
    """How many of the days that are needed have been counted."""

    done: int
    days: int

    def __str__(self) -> str:
        return f"{self.done} of {self.days} day{'' if self.days == 1 else 's'}"


def progress_of(
    since: datetime, waiting: Collection[datetime], needed: datetime, at: datetime, width: timedelta
) -> Progress:
    """How far a filter has come whose buckets from `since` on are there, but for those that wait."""
    wanted = buckets.starts(needed, at, width)
    done = sum(start >= since and start not in waiting for start in wanted)
    a_day = DAY // width
    return Progress(done // a_day, -(-len(wanted) // a_day))


def count_piece(
    store: LogStore, key: FilterKey, run: Sequence[datetime], until: datetime, at: datetime
) -> list[Recounted]:
    """A run of buckets as they are in the store now, up to `until`. One query of the store; `at` is when it was asked.

    Raises:
        StoreUnavailable: when the store cannot answer exactly.
    """
    if not run:
        return []
    edges = buckets.edges(run, key.width, until)
    amounts: Mapping[datetime, dict[str, Amount]] = {start: {} for start in run}
    for tally in store.count(key.query(edges)):
        own, name, amount = amounts[tally.start], tallies.name_of(tally.subject), amount_of(tally)
        own[name] = plus(key.aggregation, own[name], amount) if name in own else amount
    return [Recounted(start, _bucket(start, end, at, amounts[start]), amounts[start]) for start, end in pairwise(edges)]


def _bucket(start: datetime, end: datetime, at: datetime, amounts: Mapping[str, Amount]) -> Bucket:
    messages = sum(amount.messages for amount in amounts.values())
    unattributed = amounts.get(tallies.REST, NOTHING).messages
    return Bucket(start, end, at, messages, unattributed, len(amounts))
