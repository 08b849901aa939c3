"""The log store in Elasticsearch: what can be asked of it, each question in one snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from config.models import ElasticsearchStore
from ledger.records import Freshness, Tally
from logviews.elastic import dating, members
from logviews.elastic import query as dsl
from logviews.elastic.counting import Count
from logviews.elastic.fields import Examiner
from logviews.elastic.latest import by_time
from logviews.elastic.mappings import Unfit
from logviews.elastic.session import Json, Session, Snapshot
from logviews.store import Changes, CountQuery, StoreUnavailable
from logviews.times import from_milliseconds, milliseconds

PAGE: Final = 30_000
"""Groups in one answer. Elasticsearch refuses more than 65,536 buckets (`search.max_buckets`); a group may be two."""

OVERLAP: Final = timedelta(minutes=10)
"""How long after it was stamped a message may become visible: a slow bulk request, a long refresh interval, clocks that
differ. Looking back further than needed costs a little, and looking back too little loses a message."""

_STAMPED_WITHIN: Final = timedelta(days=1)
_HOUR: Final = 3_600_000


@dataclass(slots=True)
class Elastic:
    """A store in Elasticsearch that can be asked."""

    name: str
    store: ElasticsearchStore
    session: Session
    page: int = PAGE
    _examiner: Examiner = field(init=False)

    def __post_init__(self) -> None:
        self._examiner = Examiner(self.name, self.store)

    def count(self, query: CountQuery) -> Iterator[Tally]:
        """The tallies that answer the query; complete before the first is given, because a snapshot may be lost.

        Costs six searches and one for as many buckets as fit into an answer; `distinct` a page for so many pairs.

        Raises:
            StoreUnavailable: when a field cannot be counted exactly, or the cluster does not answer in full.
        """

        def work(snapshot: Snapshot) -> list[Tally]:
            fields = self._examiner.examine(snapshot, query)
            try:
                count = Count(snapshot, query, fields, self.page)
                if query.members is not None:
                    return list(members.tallies(count, query.members))
                return list(count.tallies(list(pairwise(query.edges))))
            except Unfit as error:
                raise StoreUnavailable(f"view {query.view}, store {self.name}: {error}") from error

        return iter(self.session.at_one_instant(work))

    def at_once(self) -> AbstractContextManager[None]:
        """Within it, this thread's questions are asked of one snapshot, and together cost six requests less."""
        return self.session.holding()

    def duplicates(self, query: CountQuery) -> int:  # noqa: ARG002 (the protocol's)
        """None: a message whose `_id` is there is refused by Elasticsearch itself, which keeps no note of it."""
        return 0

    def check(self, query: CountQuery) -> None:
        """Refuses fields that the indices with messages of the query's time hold differently. Costs one request.

        What each index holds is looked at whenever messages of its are counted.

        Raises:
            StoreUnavailable: with the field and its types, or when the cluster does not answer.
        """
        try:
            self._examiner.refuse_differing(self.session, query)
        except Unfit as error:
            raise StoreUnavailable(f"view {query.view}, store {self.name}: {error}") from error

    def freshness(self, at: datetime) -> Freshness:
        """The newest message before `at`, when it arrived, and whether it is older than `stale_after`."""
        fields, limit = self.store.fields, self.store.stale_after
        wanted = [name for name in (fields.time, fields.ingested) if name is not None]
        body = {
            "query": {"range": {fields.time: {"lt": milliseconds(at), "format": "epoch_millis"}}},
            "sort": [by_time(fields.time)],
            "size": 1,
            "_source": False,
            "docvalue_fields": [{"field": name, "format": "epoch_millis"} for name in wanted],
        }
        hits = self.session.at_one_instant(lambda snapshot: self._dated(snapshot, body))["hits"]["hits"]
        newest = _moment(hits[0], fields.time) if hits else None
        arrived = _moment(hits[0], fields.ingested) if hits and fields.ingested else None
        return Freshness(newest, arrived, limit is not None and (newest is None or at - newest > limit))

    def changes(self, query: CountQuery, since: str | None, at: datetime) -> Changes:
        """The hours that messages have arrived in since the mark, by their ingest time and an overlap.

        Without a field that says when a message arrived, all that the store's `lateness` lets come in after the mark.
        The mark is the newest ingest time that was seen, in ISO 8601, never later than `at`.

        Raises:
            StoreUnavailable: when the cluster does not answer in full, or a message does not say when it arrived.
        """
        first, last = query.edges[0], query.edges[-1]
        ingested = self.store.fields.ingested
        self.session.let_go()  # whatever is counted after a mark was read must not be older than that mark
        mark = None if since is None else datetime.fromisoformat(since)
        if mark is not None:  # where a clock was set back, what has come since then is stamped before the mark
            mark = None if mark - at > OVERLAP else min(mark, at)
        if mark is None or ingested is None:
            start = first if mark is None else max(first, mark - self.store.lateness - OVERLAP)
            return Changes(((start, last),) if start < last else (), at.isoformat())
        arrived: dsl.Query = {"range": {ingested: {"gte": milliseconds(mark - OVERLAP), "format": "epoch_millis"}}}
        body, names = self._changes(first, last, at, arrived, ingested), self._examiner.asked(query)
        found = self.session.at_one_instant(lambda snapshot: self._dated(snapshot, body, names))
        answer = found["aggregations"]
        if answer["unstamped"]["doc_count"]:
            raise StoreUnavailable(
                f"store {self.name}: there are messages without {ingested}, so it is not known when they arrived; let "
                "what brings them set it, or remove fields.ingested and state the store's lateness"
            )
        hours = [int(bucket["key"]) for bucket in answer["arrived"]["hours"]["buckets"] if bucket["doc_count"]]
        newest = answer["arrived"]["newest"]["value"]
        moved = mark if newest is None else max(mark, from_milliseconds(min(milliseconds(at), int(newest))))
        return Changes(_stretches(hours, first, last), moved.isoformat())

    def _dated(self, snapshot: Snapshot, body: Json, names: Sequence[str] = ()) -> Json:
        """A search's answer, once it is known that every index holds its times as such.

        `names` are fields that will be asked for as well, by a count in the same snapshot.
        """
        time, ingested = self.store.fields.time, self.store.fields.ingested
        known = dating.known_of(snapshot, [time, *([] if ingested is None else [ingested]), *names])
        try:
            dating.refuse_undated(snapshot, known, time, ingested)
        except Unfit as error:
            raise StoreUnavailable(f"store {self.name}: {error}") from error
        return snapshot.search(body)

    def _changes(self, first: datetime, last: datetime, at: datetime, arrived: dsl.Query, ingested: str) -> Json:
        """What costs as much as arrived, however long the period is: of messages without a stamp a day is looked at."""
        time = self.store.fields.time
        recent = dsl.within(time, max(first, at - _STAMPED_WITHIN), last)
        unstamped = {"bool": {"filter": [recent], "must_not": [{"exists": {"field": ingested}}]}}
        within = dsl.within(time, first, last)
        return {
            "query": dsl.any_of([{"bool": {"filter": [arrived, within]}}, unstamped]),
            "aggs": {
                "arrived": {
                    "filter": arrived,
                    "aggs": {
                        "hours": {"date_histogram": {"field": time, "fixed_interval": "1h", "min_doc_count": 1}},
                        "newest": {"max": {"field": ingested}},
                    },
                },
                "unstamped": {"filter": unstamped},
            },
        }


def _stretches(hours: list[int], first: datetime, last: datetime) -> tuple[tuple[datetime, datetime], ...]:
    """The hours that begin at these milliseconds, joined where they adjoin, between two instants."""
    found: list[tuple[datetime, datetime]] = []
    for hour in sorted(hours):
        start, end = max(from_milliseconds(hour), first), min(from_milliseconds(hour + _HOUR), last)
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return tuple(found)


def _moment(hit: Json, field_: str) -> datetime | None:
    """None also for a time that is not within the years 1 to 9999."""
    values = hit.get("fields", {}).get(field_)
    try:
        return from_milliseconds(int(str(values[0]).partition(".")[0])) if values else None
    except OverflowError:
        return None
