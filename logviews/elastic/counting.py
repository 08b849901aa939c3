"""One question about raw customer values, counted in one snapshot: groups become tallies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Final

from ledger.records import UNATTRIBUTED, Quantity, Subject, Tally, customer
from logviews.elastic import distinct
from logviews.elastic.aggregation import TooLarge, inner, quantity
from logviews.elastic.fields import Fields
from logviews.elastic.grouping import Group, Grouped, Grouping, Stretch
from logviews.elastic.latest import newest
from logviews.elastic.query import compiled
from logviews.elastic.session import Snapshot
from logviews.store import CountQuery, StoreUnavailable
from logviews.times import from_milliseconds

_PARTS: Final = 8
_INSTANT: Final = timedelta(milliseconds=1)


class Count:
    """One question of one snapshot. `page` is how many groups an answer may hold."""

    def __init__(self, snapshot: Snapshot, query: CountQuery, fields: Fields, page: int) -> None:
        self.query, self.held, self.customer = query, fields.of(query.field), fields.customer
        self._subjects: dict[object, Subject] = {}
        self.grouping = Grouping(
            snapshot,
            compiled(query.where, fields.used),
            fields.time,
            fields.customer,
            inner(query, self.held, fields.time),
            page,
        )

    def tallies(self, stretches: Sequence[Stretch], keys: Sequence[object] | None = None) -> Iterator[Tally]:
        """The tallies of disjoint, ascending stretches; of some customers alone, by their keys, if any are named.

        Raises:
            StoreUnavailable: when the store cannot answer exactly.
        """
        for found in self.grouping.groups(stretches, keys):
            if found.nobodys:
                yield Tally(self.query.view, UNATTRIBUTED, found.stretch[0], None, found.nobodys)
            match self.query.aggregation:
                case "distinct":
                    yield from self._distinct(found)
                case "latest":
                    yield from self._latest(found)
                case _:
                    yield from self._added(found)

    def _added(self, found: Grouped) -> list[Tally]:
        tallies, too_large = [], []
        for group in found.groups:
            try:
                amount, values = quantity(self.query, self.held, group.messages, group.aggs)
            except TooLarge:
                too_large.append(group)
            else:
                tallies.append(self._tally(found.stretch, group, amount, values))
        if too_large:
            sums = self._in_parts(found.stretch, [group.key for group in too_large])
            tallies += [self._tally(found.stretch, group, *sums[group.key]) for group in too_large]
        return tallies

    def _distinct(self, found: Grouped) -> Iterator[Tally]:
        held = self.held
        different = {} if held is None or not found.groups else distinct.different(self.grouping, held, found.stretch)
        for group in found.groups:
            yield self._tally(found.stretch, group, different.get(group.key, 0), self.values(group))

    def _latest(self, found: Grouped) -> Iterator[Tally]:
        newest_ = {} if self.held is None else newest(self.grouping, self.query, self.held, found)
        for group in found.groups:
            if group.key not in newest_:
                yield self._tally(found.stretch, group, None, 0)
                continue
            amount, moment, id_ = newest_[group.key]
            tally = self._tally(found.stretch, group, amount, self.values(group))
            yield tally._replace(newest=from_milliseconds(moment), newest_id=id_)

    def _tally(self, stretch: Stretch, group: Group, amount: Quantity | None, values: int) -> Tally:
        subject = self._subjects.get(group.key)
        if subject is None:
            subject = self._subjects[group.key] = customer(str(group.key))
        return Tally(self.query.view, subject, stretch[0], amount, group.messages, values)

    def values(self, group: Group) -> int:
        """How many values a group of `distinct` or `latest` has."""
        return int(group.aggs["values"]["value"]) if self.held is not None else 0

    def _in_parts(self, stretch: Stretch, keys: Sequence[object]) -> dict[object, tuple[int, int]]:
        """Customer key -> sum and number of values of a stretch, added from parts whose sums are exact."""
        start, end = stretch
        if end - start <= _INSTANT:
            raise StoreUnavailable(
                f"view {self.query.view}: the values of {self.query.field} at {start.isoformat()} add up to 2^53 or "
                "more, which Elasticsearch does not add exactly; count it in larger units"
            )
        length = max((end - start) // _PARTS, _INSTANT)
        cuts = [start + length * number for number in range(_PARTS) if start + length * number < end]
        sums: dict[object, tuple[int, int]] = dict.fromkeys(keys, (0, 0))
        for found in self.grouping.groups(list(pairwise([*cuts, end])), keys):
            again = []
            for group in found.groups:
                try:
                    amount, values = quantity(self.query, self.held, group.messages, group.aggs)
                except TooLarge:
                    again.append(group.key)
                else:
                    sums[group.key] = sums[group.key][0] + int(amount or 0), sums[group.key][1] + values
            for key, (amount, values) in (self._in_parts(found.stretch, again) if again else {}).items():
                sums[key] = sums[key][0] + int(amount), sums[key][1] + values
        return sums
