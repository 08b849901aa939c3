"""How many different values groups have, exactly: every pair of customer and value is paged through once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from logviews.elastic.grouping import Grouping, Stretch
from logviews.elastic.mappings import Held


def different(grouping: Grouping, held: Held, stretch: Stretch) -> dict[object, int]:
    """Customer key -> how many different values of the field its messages of a stretch have.

    Costs a page for as many pairs of customer and value as `Grouping.page` says.
    """
    found: dict[object, int] = defaultdict(int)
    last: tuple[object, object] | None = None
    for pair in pairs(grouping, held, stretch):
        if pair != last:  # -0 and 0 are two values to Elasticsearch, one after the other
            found[pair[0]] += 1
        last = pair
    return found


def pairs(
    grouping: Grouping, held: Held, stretch: Stretch, keys: Sequence[object] | None = None
) -> Iterator[tuple[object, object]]:
    """Each pair of customer key and value, in order of customer and then of value."""
    if grouping.customer is None:
        return
    sources = [{"customer": {"terms": {"field": grouping.customer.path}}}, {"value": {"terms": {"field": held.path}}}]
    for _, bucket in grouping.pages(grouping.query(stretch, keys), sources, {}):
        yield grouping.key(bucket["key"]["customer"]), bucket["key"]["value"]
