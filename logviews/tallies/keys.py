"""Which views share their tallies: those that ask one store the same, whomever they select.

A filter is known by the hash of everything that its tallies depend on: the store and where it is, what is counted of
which messages, and how wide a bucket is. Another filter has tallies of its own, which are counted from the beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from config.filters import Filter
from config.models import Aggregation, Config, ElasticsearchStore, FieldCount, Store, View
from config.roster import Roster
from config.values import zone_info
from ledger.definitions import define
from logviews.fields import fields_of_view
from logviews.store import CountQuery

HOUR: Final = timedelta(hours=1)
QUARTER: Final = timedelta(minutes=15)
_LOOKED_AT: Final = [datetime(year, month, 15, tzinfo=UTC) for year in range(2015, 2050) for month in range(1, 13)]


@dataclass(frozen=True, slots=True)
class FilterKey:
    """What the tallies of some views are of. `body` is canonical JSON, `hash` its SHA-256; `view` names one of them."""

    hash: str
    body: str
    view: str
    store: str
    where: Filter
    aggregation: Aggregation
    field: str | None
    scale: int
    width: timedelta

    def query(self, edges: tuple[datetime, ...]) -> CountQuery:
        """The question about the buckets between these edges."""
        return CountQuery(self.view, self.where, self.aggregation, self.field, self.scale, edges)


def filter_keys(config: Config, roster: Roster) -> dict[str, FilterKey]:
    """The filter of each view of the configuration, by the view's name. Costs a look at every customer's zone."""
    zones = {config.settings.zone, roster.zone, *(customer.zone for customer in roster.customers.values())}
    width = bucket_width(frozenset(zones))
    return {name: _filter_key(name, view, config.stores[view.store], width) for name, view in config.views.items()}


def _filter_key(name: str, view: View, store: Store, width: timedelta) -> FilterKey:
    scale = view.count.scale if isinstance(view.count, FieldCount) else 0
    content = {
        "where": view.where,
        "aggregation": view.aggregation,
        "field": view.field,
        "scale": scale,
        "width": width,
        "types": {field: store.types[field] for field in fields_of_view(view) if field in store.types},
        "place": _place(store),
    }
    made = define("filter", view.store, content)
    return FilterKey(made.hash, made.body, name, view.store, view.where, view.aggregation, view.field, scale, width)


@lru_cache(maxsize=8)
def bucket_width(zones: frozenset[str]) -> timedelta:
    """An hour; a quarter of one where days begin off the hour in some of these zones, at any time from 2015 to 2049."""
    for zone in zones:
        info = zone_info(zone)
        # a change of the clocks on the day itself moves offsets by no other amount than those of the days around
        if any((at.astimezone(info).utcoffset() or HOUR) % HOUR for at in _LOOKED_AT):
            return QUARTER
    return HOUR


def _place(store: Store) -> Mapping[str, Any]:
    """What makes a store another one."""
    fields = {name: getattr(store.fields, name) for name in ("time", "customer", "id")}
    if isinstance(store, ElasticsearchStore):
        return {"hosts": sorted(store.hosts), "index": store.index, "fields": fields}
    return {"folder": store.folder, "fields": fields}
