"""Which fields of a store's messages are looked at: by the store itself, by its declared types and by the views."""

from __future__ import annotations

from config import filters
from config.models import Config, View


def fields_of_view(view: View) -> tuple[str, ...]:
    """The fields that a view filters on or aggregates, sorted."""
    found = set(filters.fields(view.where))
    if view.field is not None:
        found.add(view.field)
    return tuple(sorted(found))


def used_fields(config: Config, store: str) -> tuple[str, ...]:
    """Every field that gets a column of its own in the store's parts, sorted."""
    found = set(config.stores[store].types)
    for view in config.views.values():
        if view.store == store:
            found.update(fields_of_view(view))
    return tuple(sorted(found))
