"""Which fields of a store's messages are looked at: by the store itself, by its declared types and by the views."""

from __future__ import annotations

from config import filters
from config.models import Config, EmbeddedStore, View


def fields_of_view(view: View) -> tuple[str, ...]:
    """The fields that a view filters on or aggregates, sorted."""
    found = set(filters.fields(view.where))
    if view.field is not None:
        found.add(view.field)
    return tuple(sorted(found))


def read_as(store: EmbeddedStore) -> str:
    """By which fields and rules a store takes time, customer and id from a message: fixed when the message enters."""
    times = store.time_format + (f" in {store.zone}" if store.zone else "")
    id_ = store.fields.id or "none"
    return f"time {store.fields.time} ({times}), customer {store.fields.customer}, id {id_}"


def fixed_reading(name: str, then: str, now: str) -> str:
    """The sentence for a store whose configuration says something else than when its messages were taken in."""
    return (
        f"store {name}: its messages were taken in by {then}; the configuration now says {now}. What is in cannot be "
        "read differently: restore the configuration, or name a new store and folder and take the files in again"
    )


def used_fields(config: Config, store: str) -> tuple[str, ...]:
    """Every field that gets a column of its own in the store's parts, sorted."""
    found = set(config.stores[store].types)
    for view in config.views.values():
        if view.store == store:
            found.update(fields_of_view(view))
    return tuple(sorted(found))
