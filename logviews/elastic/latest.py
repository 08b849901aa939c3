"""The newest value of a group: of the messages with the newest time, that of the greatest `_id`."""

from __future__ import annotations

from typing import Any, Final

from ledger.records import Quantity
from logviews.elastic.grouping import Group, Grouping, Json, Stretch
from logviews.elastic.mappings import Held
from logviews.elastic.numbers import number
from logviews.store import CountQuery, StoreUnavailable
from logviews.times import from_milliseconds

Newest = tuple[Quantity, int, str]
"""A value, the time of its message in milliseconds since 1970, and the message's `_id`."""

_MOST_TIED: Final = 10_000


def top(time: str, held: Held) -> dict[str, Any]:
    """The aggregation that finds a group's two newest messages; it belongs inside one of those that have a value."""
    return {"top": {"top_hits": {"size": 2, "sort": [by_time(time)], **_wanted(time, held)}}}


def by_time(time: str) -> dict[str, Any]:
    """The order that has the newest first. In milliseconds, for else every `date_nanos` comes before every `date`."""
    return {time: {"order": "desc", "numeric_type": "date", "unmapped_type": "date"}}


def newest(grouping: Grouping, query: CountQuery, held: Held, stretch: Stretch, group: Group) -> Newest | None:
    """What is newest in a group; None where no message of it has a value. Costs a search where several tie.

    Raises:
        StoreUnavailable: when too many tie, or the value may not be what the message says.
    """
    hits = group.aggs["having"]["top"]["hits"]["hits"]
    if not hits:
        return None
    moment = _moment(hits[0], grouping.time)
    tie = len(hits) > 1 and _moment(hits[1], grouping.time) == moment
    hit = max(_tied(grouping, held, stretch, group.key, moment) if tie else hits[:1], key=lambda hit: str(hit["_id"]))
    return max(number(query, value) for value in hit["fields"][held.path]), moment, str(hit["_id"])


def _tied(grouping: Grouping, held: Held, stretch: Stretch, key: object, moment: int) -> list[Json]:
    start, end = from_milliseconds(moment), from_milliseconds(moment + 1)
    query = grouping.query(stretch, [key])
    query["bool"]["filter"] += [
        {"exists": {"field": held.path}},
        {"range": {grouping.time: {"gte": moment, "lt": moment + 1, "format": "epoch_millis"}}},
    ]
    answer = grouping.snapshot.search(
        {"query": query, "size": _MOST_TIED, "track_total_hits": True, **_wanted(grouping.time, held)}
    )
    found = answer["hits"]["hits"]
    if len(found) != answer["hits"]["total"]["value"]:
        raise StoreUnavailable(
            f"store {grouping.snapshot.session.name}: more than {_MOST_TIED:,} messages of one customer have the time "
            f"{start.isoformat()}, before {end.isoformat()}, so which is latest cannot be told"
        )
    return list(found)


def _wanted(time: str, held: Held) -> dict[str, Any]:
    return {"_source": False, "docvalue_fields": [{"field": held.path}, {"field": time, "format": "epoch_millis"}]}


def _moment(hit: Json, time: str) -> int:
    return int(str(hit["fields"][time][0]).partition(".")[0])
