"""What is asked of each group for the seven aggregations, and how the answers become exact quantities.

Elasticsearch computes in doubles. A sum of whole numbers is exact while no partial sum can reach 2^53, for which the
number of values times the largest magnitude is a bound; beyond that the stretch is divided and asked again.
https://www.elastic.co/docs/reference/aggregations/search-aggregations-metrics-stats-aggregation
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from ledger.records import Quantity
from logviews.elastic.grouping import Json
from logviews.elastic.latest import top
from logviews.elastic.mappings import Held
from logviews.elastic.numbers import EXACT, number
from logviews.store import CountQuery


class TooLarge(Exception):  # noqa: N818 (it says what a group is)
    """A group whose sum a double might round: its parts have to be asked for."""


def inner(query: CountQuery, held: Held | None, time: str) -> dict[str, Any]:
    """The aggregations inside each group. Of `distinct` only whether there are values; see `distinct`."""
    if held is None:
        return {}
    match query.aggregation:
        case "messages":
            return {}
        case "distinct":
            return {"values": {"value_count": {"field": held.path}}}
        case "latest":
            having = {"filter": {"exists": {"field": held.path}}, "aggs": top(time, held)}
            return {"values": {"value_count": {"field": held.path}}, "having": having}
        case _:
            return {"stats": {"stats": {"field": held.path}}}


def quantity(query: CountQuery, held: Held | None, messages: int, aggs: Json) -> tuple[Quantity | None, int]:
    """A group's quantity, and how many values went into it. Not for `distinct` and `latest`.

    Raises:
        TooLarge: for a sum that might have been rounded.
        StoreUnavailable: for an extreme that might have been.
    """
    if query.field is None:
        return messages, messages
    stats = aggs.get("stats") if held is not None else None
    if stats is None or not stats["count"]:
        return (0 if query.aggregation == "sum" else None), 0
    values = int(stats["count"])
    if query.aggregation in ("min", "max"):
        return number(query, float(stats[query.aggregation])), values
    if values * max(abs(Fraction(stats["min"])), abs(Fraction(stats["max"]))) >= EXACT:
        raise TooLarge
    return int(stats["sum"]), values
