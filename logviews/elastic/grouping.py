"""Messages grouped by customer and stretch of time, every group found and every message in exactly one of them.

One `terms` aggregation inside a `date_range` finds all groups in one pass where they fit into an answer, which the
server itself says (`sum_other_doc_count` and `doc_count_error_upper_bound` are 0). Where they do not, one stretch is
paged through as a `composite` aggregation. Either way the groups of a stretch must add up to its messages.

https://www.elastic.co/docs/reference/aggregations/search-aggregations-bucket-terms-aggregation
https://www.elastic.co/docs/reference/aggregations/search-aggregations-bucket-composite-aggregation
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from logviews.elastic import query as dsl
from logviews.elastic.mappings import Held
from logviews.elastic.session import Snapshot
from logviews.store import StoreUnavailable
from logviews.times import milliseconds

Json = Mapping[str, Any]
Stretch = tuple[datetime, datetime]

_MOST_STRETCHES: Final = 48
_MOST_PAIRS: Final = 400
"""Pairs of customers that single messages have both of; more would be more conditions than a query may have."""


class Group(NamedTuple):
    """The messages of one customer value in one stretch. A tuple, because a month has hundreds of thousands.

    `key` is the value as Elasticsearch gives it, and `aggs` the answers of the inner aggregations.
    """

    key: object
    messages: int
    aggs: Json


@dataclass(frozen=True, slots=True)
class Grouped:
    """The groups of one stretch; `nobodys` messages have no customer, or several, and are in no group."""

    stretch: Stretch
    total: int
    nobodys: int
    groups: list[Group]


@dataclass(slots=True)
class Grouping:
    """Groups the messages that `where` finds. `inner` are aggregations for each group.

    `page` is how many groups one answer may hold, and `expected` how many customers a stretch seems to have. `several`
    has, for stretches that were looked at, the condition that finds their messages with several customers.
    """

    snapshot: Snapshot
    where: dsl.Query
    time: str
    customer: Held | None
    inner: Json
    page: int
    expected: int = 1_000
    several: dict[Stretch, dsl.Query] = field(default_factory=dict)

    def groups(self, stretches: Sequence[Stretch], keys: Sequence[object] | None = None) -> Iterator[Grouped]:
        """The groups of these stretches, which are disjoint and ascending; of some customers alone, if any are named.

        Costs one search for as many stretches as fit into an answer.

        Raises:
            StoreUnavailable: when the groups do not add up to the messages.
        """
        waiting = list(stretches)
        while waiting:
            some = waiting[: _adjoining(waiting, max(1, min(_MOST_STRETCHES, self.page // self.expected)))]
            found = self._in_one_answer(some, keys)
            if found is None and len(some) > 1:
                self.expected = max(1, self.page * 4 // len(some))
                continue
            if found is None:
                self.expected = self.page
                found = [self._in_pages(some[0], keys)]
            for one in found:
                yield self._each_once(one, keys)
            waiting = waiting[len(some) :]

    def query(self, stretch: Stretch, keys: Sequence[object] | None = None) -> dsl.Query:
        """Finds the messages of a stretch that have one customer, or none."""
        conditions = [dsl.within(self.time, *stretch), self.where]
        if keys is not None:
            conditions.append(dsl.NOTHING if self.customer is None else dsl.terms(self.customer.path, keys))
        without = [self.several[stretch]] if stretch in self.several else []
        return {"bool": {"filter": conditions, "must_not": without}}

    def _in_one_answer(self, stretches: Sequence[Stretch], keys: Sequence[object] | None) -> list[Grouped] | None:
        """The groups of adjoining stretches; None where they do not fit."""
        ranges = [{"from": milliseconds(start), "to": milliseconds(end)} for start, end in stretches]
        query = self.query(stretches[0] if len(stretches) == 1 else (stretches[0][0], stretches[-1][1]), keys)
        answer = self.snapshot.search(
            {
                "query": query,
                "track_total_hits": True,
                "aggs": {
                    "stretches": {
                        "date_range": {"field": self.time, "format": "epoch_millis", "ranges": ranges},
                        "aggs": self._by_customer(max(1, self.page // len(stretches))),
                    }
                },
            }
        )
        buckets = sorted(answer["aggregations"]["stretches"]["buckets"], key=lambda bucket: float(bucket["from"]))
        if len(buckets) != len(stretches):
            raise self.snapshot.lost(f"the answer has {len(buckets)} of {len(stretches)} stretches of time")
        found = []
        for stretch, bucket in zip(stretches, buckets, strict=True):
            if self.customer is None:
                found.append(Grouped(stretch, bucket["doc_count"], bucket["doc_count"], []))
                continue
            by = bucket["customers"]
            if by["sum_other_doc_count"] or by["doc_count_error_upper_bound"]:
                return None
            groups = [Group(one["key"], one["doc_count"], one) for one in by["buckets"]]
            found.append(Grouped(stretch, bucket["doc_count"], bucket["nobody"]["doc_count"], self._named(groups)))
        self._refuse_difference(sum(one.total for one in found), answer["hits"]["total"]["value"])
        return found

    def _named(self, groups: list[Group]) -> list[Group]:
        """Keys as queries call them: of true and false an answer speaks as 1 and 0, or as true and false."""
        if self.customer is None or self.customer.type != "boolean":
            return groups
        return [group._replace(key=self.key(group.key)) for group in groups]

    def key(self, given: object) -> object:
        """A customer's key as queries call it."""
        if self.customer is None or self.customer.type != "boolean":
            return given
        return "true" if given else "false"

    def _by_customer(self, most: int) -> Json:
        if self.customer is None:
            return {}
        by = {"terms": {"field": self.customer.path, "size": most}, "aggs": self.inner}
        return {"customers": by, "nobody": {"missing": {"field": self.customer.path}}}

    def _in_pages(self, stretch: Stretch, keys: Sequence[object] | None) -> Grouped:
        """The groups of one stretch, however many."""
        if self.customer is None:
            raise AssertionError("without customers there is one group, which fits")
        sources = [{"customer": {"terms": {"field": self.customer.path, "missing_bucket": True}}}]
        total, nobodys, groups = 0, 0, []
        for number, bucket in self.pages(self.query(stretch, keys), sources, self.inner):
            total, key = number, bucket["key"]["customer"]
            if key is None:
                nobodys = bucket["doc_count"]
            else:
                groups.append(Group(key, bucket["doc_count"], bucket))
        return Grouped(stretch, total, nobodys, self._named(groups))

    def pages(self, query: dsl.Query, sources: Sequence[Json], inner: Json) -> Iterator[tuple[int, Json]]:
        """The buckets of a composite aggregation, page by page, each with how many messages there are in all."""
        after: Json | None = None
        total = 0
        while True:
            composite = {"size": self.page, "sources": list(sources), **({"after": after} if after else {})}
            answer = self.snapshot.search(
                {
                    "query": query,
                    "track_total_hits": after is None,
                    "aggs": {"groups": {"composite": composite, "aggs": inner}},
                }
            )
            if after is None:
                total = answer["hits"]["total"]["value"]
            groups = answer["aggregations"]["groups"]
            yield from ((total, bucket) for bucket in groups["buckets"])
            after = groups.get("after_key")
            if not after:
                return

    def _each_once(self, found: Grouped, keys: Sequence[object] | None) -> Grouped:
        """The groups, with messages that have several customers in none of them: they are nobody's."""
        nobodys = found.nobodys
        if _grouped(found) > found.total and found.stretch not in self.several:
            self.several[found.stretch] = self._several(found.stretch, keys)
            again = self._in_one_answer([found.stretch], keys)
            without = self._in_pages(found.stretch, keys) if again is None else again[0]
            nobodys = without.nobodys + found.total - without.total
            found = without
        self._refuse_difference(_grouped(found), found.total)
        # an empty text is no customer
        nobodys += sum(group.messages for group in found.groups if group.key == "")
        named = [group for group in found.groups if group.key != ""]
        return Grouped(found.stretch, found.total, nobodys, named)

    def _several(self, stretch: Stretch, keys: Sequence[object] | None) -> dsl.Query:
        """The condition that finds the messages of a stretch which have more than one customer."""
        if self.customer is None:
            raise AssertionError("without customers no message has several")
        path = self.customer.path
        sources = [{name: {"terms": {"field": path}}} for name in ("one", "other")]
        pairs = set()
        for _, bucket in self.pages(self.query(stretch, keys), sources, {}):
            one, other = bucket["key"]["one"], bucket["key"]["other"]
            if one != other:
                pairs.add(frozenset((one, other)))
            if len(pairs) > _MOST_PAIRS:
                raise StoreUnavailable(
                    f"store {self.snapshot.session.name}: messages have several values of {self.customer.field}, in "
                    f"more than {_MOST_PAIRS} combinations; a message has one customer: correct what writes them"
                )
        return dsl.any_of(
            [{"bool": {"filter": [{"term": {path: key}} for key in pair]}} for pair in sorted(pairs, key=str)]
        )

    def _refuse_difference(self, grouped: int, total: int) -> None:
        if grouped != total:
            raise StoreUnavailable(
                f"store {self.snapshot.session.name}: {total:,} messages were found, and {grouped:,} when they were "
                f"put into groups by {self.time} and customer; has a message several times, or a _doc_count?"
            )


def _grouped(found: Grouped) -> int:
    return found.nobodys + sum([group.messages for group in found.groups])


def _adjoining(stretches: Sequence[Stretch], most: int) -> int:
    """How many of the first stretches follow one another without a gap, at most so many."""
    for number in range(1, min(most, len(stretches))):
        if stretches[number - 1][1] != stretches[number][0]:
            return number
    return min(most, len(stretches))
