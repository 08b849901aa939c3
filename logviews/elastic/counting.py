"""One question, counted in one snapshot: groups become tallies, of raw customer values or of members."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import groupby, pairwise
from typing import Final

from ledger.records import UNATTRIBUTED, Quantity, Tally, customer
from logviews.counting import Sum
from logviews.elastic import distinct
from logviews.elastic.aggregation import TooLarge, inner, quantity
from logviews.elastic.fields import Fields
from logviews.elastic.grouping import Group, Grouping, Stretch
from logviews.elastic.latest import newest
from logviews.elastic.mappings import Held
from logviews.elastic.query import compiled
from logviews.elastic.session import Snapshot
from logviews.store import CountQuery, Member, StoreUnavailable
from logviews.times import from_milliseconds

_PARTS: Final = 8
_INSTANT: Final = timedelta(milliseconds=1)


class Count:
    """One question of one snapshot. `page` is how many groups an answer holds where they are paged through."""

    def __init__(self, snapshot: Snapshot, query: CountQuery, fields: Fields, page: int) -> None:
        self.query, self._held, self._customer = query, fields.of(query.field), fields.customer
        self._grouping = Grouping(
            snapshot,
            compiled(query.where, fields.used),
            fields.time,
            fields.customer,
            inner(query, self._held, fields.time),
            page,
        )

    def tallies(self) -> Iterator[Tally]:
        """The tallies that answer the question.

        Raises:
            StoreUnavailable: when the store cannot answer exactly.
        """
        if self.query.members is None:
            yield from self._of_values(list(pairwise(self.query.edges)))
        elif self.query.aggregation == "distinct":
            yield from self._distinct_of_members(self.query.members)
        else:
            yield from self._of_members(self.query.members)

    def _of_values(self, stretches: Sequence[Stretch], keys: Sequence[object] | None = None) -> Iterator[Tally]:
        groups = self._grouping.groups(stretches, keys)
        for stretch, found in groupby(groups, key=lambda group: group.stretch):
            nobodys, known = 0, []
            for group in found:
                if group.key is None or group.key == "":
                    nobodys += group.messages
                else:
                    known.append(group)
            if nobodys:
                yield Tally(self.query.view, UNATTRIBUTED, stretch[0], None, nobodys)
            yield from self._known(stretch, known)

    def _known(self, stretch: Stretch, groups: Sequence[Group]) -> Iterator[Tally]:
        """The tallies of one stretch's customers."""
        held, too_large = self._held, []
        different: Mapping[object, int] = {}
        if self.query.aggregation == "distinct" and held is not None:
            different = distinct.different(self._grouping, held, stretch)
        for group in groups:
            if self.query.aggregation == "distinct":
                values = self._values(group)
                yield self._tally(group, different.get(group.key, 0), values)
            elif self.query.aggregation == "latest":
                yield self._latest(group)
            else:
                try:
                    yield self._tally(group, *quantity(self.query, held, group.messages, group.aggs))
                except TooLarge:
                    too_large.append(group)
        sums = self._in_parts(stretch, [group.key for group in too_large]) if too_large else {}
        for group in too_large:
            yield self._tally(group, *sums[group.key])

    def _tally(self, group: Group, amount: Quantity | None, values: int) -> Tally:
        return Tally(self.query.view, customer(str(group.key)), group.stretch[0], amount, group.messages, values)

    def _values(self, group: Group) -> int:
        return int(group.aggs["values"]["value"]) if self._held is not None else 0

    def _latest(self, group: Group) -> Tally:
        found = None if self._held is None else newest(self._grouping, self.query, self._held, group)
        if found is None:
            return self._tally(group, None, 0)
        amount, moment, id_ = found
        subject, start = customer(str(group.key)), group.stretch[0]
        values, time = self._values(group), from_milliseconds(moment)
        return Tally(self.query.view, subject, start, amount, group.messages, values, time, id_)

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
        found: dict[object, tuple[int, int]] = dict.fromkeys(keys, (0, 0))
        again: dict[Stretch, list[object]] = defaultdict(list)
        for group in self._grouping.groups(list(pairwise([*cuts, end])), keys):
            if group.key not in found:
                continue
            try:
                amount, values = quantity(self.query, self._held, group.messages, group.aggs)
            except TooLarge:
                again[group.stretch].append(group.key)
            else:
                found[group.key] = found[group.key][0] + int(amount or 0), found[group.key][1] + values
        for part, large in again.items():
            for key, (amount_, values) in self._in_parts(part, large).items():
                found[key] = found[key][0] + amount_, found[key][1] + values
        return found

    def _of_members(self, members: Sequence[Member]) -> Iterator[Tally]:
        """One tally per subject, put together from the stretches between all members' beginnings and ends."""
        first, last = self.query.edges[0], self.query.edges[-1]
        by_value: dict[str, list[Member]] = defaultdict(list)
        for member in members:
            by_value[member.value].append(member)
        edges = {edge for member in members for edge in (member.start, member.end) if first < edge < last}
        sums: dict[str, Sum] = defaultdict(Sum)
        for tally in self._of_values(list(pairwise(sorted({first, last, *edges}))), self._keys(by_value)):
            for member in by_value.get(tally.subject.id, ()):
                if member.start <= tally.start < member.end:
                    sums[member.subject].add(tally, self.query.aggregation)
        for subject, found in sums.items():
            nothing = 0 if self.query.aggregation == "sum" else None
            amount = nothing if found.quantity is None else found.quantity
            moment, id_ = found.newest or (None, "")
            start = self.query.edges[0]
            yield Tally(self.query.view, customer(subject), start, amount, found.messages, found.values, moment, id_)

    def _distinct_of_members(self, members: Sequence[Member]) -> Iterator[Tally]:
        """One tally per subject: a value that several members of a subject have counts once."""
        first, last = self.query.edges[0], self.query.edges[-1]
        spans: dict[Stretch, dict[object, list[str]]] = defaultdict(lambda: defaultdict(list))
        times_named: dict[str, int] = defaultdict(int)
        for member in members:
            span, key = (max(member.start, first), min(member.end, last)), self._key(member.value)
            if key is not None and span[0] < span[1]:
                spans[span][key].append(member.subject)
                times_named[member.subject] += 1
        messages: dict[str, int] = defaultdict(int)
        values: dict[str, int] = defaultdict(int)
        counted: dict[str, int] = defaultdict(int)
        kept: dict[str, set[object]] = defaultdict(set)
        for span, subjects in spans.items():
            for group in self._grouping.groups([span], list(subjects)):
                for subject in subjects.get(group.key, ()):
                    messages[subject] += group.messages
                    values[subject] += self._values(group)
            if self._held is None:
                continue
            pairs = distinct.pairs(self._grouping, self._held, span, list(subjects))
            for key, found in groupby(pairs, key=lambda pair: pair[0]):
                of_one = [subject for subject in subjects.get(key, ()) if times_named[subject] == 1]
                of_more = [subject for subject in subjects.get(key, ()) if times_named[subject] > 1]
                different = sum(1 for _ in groupby(value for _, value in found)) if not of_more else 0
                if of_more:
                    set_ = {value for _, value in found}
                    different = len(set_)
                    for subject in of_more:
                        kept[subject] |= set_
                for subject in of_one:
                    counted[subject] += different
        for subject, number in messages.items():
            amount = len(kept[subject]) if times_named[subject] > 1 else counted[subject]
            yield Tally(self.query.view, customer(subject), first, amount, number, values[subject])

    def _keys(self, texts: Mapping[str, object]) -> list[object]:
        return [key for text in texts if (key := self._key(text)) is not None]

    def _key(self, text: str) -> object:
        """What Elasticsearch calls a raw customer value; None for one that no message can have."""
        return None if self._customer is None else key_of(self._customer, text)


def key_of(held: Held, text: str) -> object:
    """The key that a field's groups have for a customer value; None where none has it."""
    if not text:
        return None
    match held.type:
        case "long":
            return int(text) if text.lstrip("-").isdigit() and str(int(text)) == text else None
        case "boolean":
            return text if text in ("true", "false") else None
        case "ip":
            try:
                return text if str(ipaddress.ip_address(text)) == text else None
            except ValueError:
                return None
        case _:
            return text
