"""The newest value of a group: of the messages with the newest time, that of the greatest `_id`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ledger.records import Quantity
from logviews.elastic import query as dsl
from logviews.elastic.grouping import Grouped, Grouping, Json, Stretch
from logviews.elastic.mappings import Held
from logviews.elastic.numbers import number
from logviews.store import CountQuery, StoreUnavailable
from logviews.times import from_milliseconds

Newest = tuple[Quantity, int, str]
"""A value, the time of its message in milliseconds since 1970, and the message's `_id`."""

_MOST_TIED: Final = 10_000
_TOGETHER: Final = 100
"""Customers whose ties are asked for at once."""


def top(time: str, held: Held) -> dict[str, Any]:
    """The aggregation that finds a group's two newest messages; it belongs inside one of those that have a value."""
    return {"top": {"top_hits": {"size": 2, "sort": [by_time(time)], **_wanted(time, held)}}}


def by_time(time: str) -> dict[str, Any]:
    """The order that has the newest first. In milliseconds, for else every `date_nanos` comes before every `date`."""
    return {time: {"order": "desc", "numeric_type": "date", "unmapped_type": "date"}}


def newest(grouping: Grouping, query: CountQuery, held: Held, found: Grouped) -> dict[object, Newest]:
    """Customer key -> what is newest of it, where a message of it has a value.

    Costs a search for a hundred customers whose newest messages tie.

    Raises:
        StoreUnavailable: when too many tie, or a value may not be what the message says.
    """
    hits: dict[object, Sequence[Json]] = {}
    tied: dict[object, int] = {}
    for group in found.groups:
        top = group.aggs["having"]["top"]["hits"]["hits"]
        if len(top) > 1 and _moment(top[0], grouping.time) == _moment(top[1], grouping.time):
            tied[group.key] = _moment(top[0], grouping.time)
        elif top:
            hits[group.key] = top[:1]
    hits |= _tied(grouping, held, found.stretch, tied)
    newest_ = {key: max(of_key, key=lambda hit: str(hit["_id"])) for key, of_key in hits.items()}
    return {
        key: (max(number(query, value) for value in hit["fields"][held.path]), _moment(hit, grouping.time), hit["_id"])
        for key, hit in newest_.items()
    }


def _tied(grouping: Grouping, held: Held, stretch: Stretch, tied: Mapping[object, int]) -> dict[object, list[Json]]:
    """Customer key -> all its messages of its newest time that have a value."""
    found: dict[object, list[Json]] = {}
    # of some types of customer an answer speaks otherwise than a group does
    together = _TOGETHER if grouping.customer is not None and grouping.customer.type in ("keyword", "long", "ip") else 1
    keys = list(tied)
    while keys:
        some = keys[:together]
        hits = _messages(grouping, held, stretch, {key: tied[key] for key in some})
        if hits is None and together == 1:
            raise StoreUnavailable(
                f"store {grouping.snapshot.session.name}: more than {_MOST_TIED:,} messages of one customer have the "
                f"time {from_milliseconds(tied[some[0]]).isoformat()}, so which is latest cannot be told"
            )
        if hits is None:
            together = 1
            continue
        for hit in hits:
            key = some[0] if len(some) == 1 else _customer(grouping, hit)
            found.setdefault(key, []).append(hit)
        keys = keys[len(some) :]
    return found


def _messages(grouping: Grouping, held: Held, stretch: Stretch, moments: Mapping[object, int]) -> Sequence[Json] | None:
    """The messages with a value that customers have at these moments; None where they are too many for an answer."""
    if grouping.customer is None:
        raise AssertionError("without customers there are no groups")
    path, query = grouping.customer.path, grouping.query(stretch, list(moments))
    of_each = [
        {"bool": {"filter": [{"term": {path: key}}, {"range": {grouping.time: _at(moment)}}]}}
        for key, moment in moments.items()
    ]
    query["bool"]["filter"] += [{"exists": {"field": held.path}}, dsl.any_of(of_each)]
    wanted = _wanted(grouping.time, held)
    if len(moments) > 1:
        wanted["docvalue_fields"].append({"field": path})
    answer = grouping.snapshot.search({"query": query, "size": _MOST_TIED, "track_total_hits": True, **wanted})
    hits: Sequence[Json] = answer["hits"]["hits"]
    return hits if len(hits) == answer["hits"]["total"]["value"] else None


def _customer(grouping: Grouping, hit: Json) -> object:
    if grouping.customer is None:
        raise AssertionError("without customers there are no groups")
    return hit["fields"][grouping.customer.path][0]


def _at(moment: int) -> Json:
    return {"gte": moment, "lt": moment + 1, "format": "epoch_millis"}


def _wanted(time: str, held: Held) -> dict[str, Any]:
    return {"_source": False, "docvalue_fields": [{"field": held.path}, {"field": time, "format": "epoch_millis"}]}


def _moment(hit: Json, time: str) -> int:
    return int(str(hit["fields"][time][0]).partition(".")[0])
