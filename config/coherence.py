"""Whether the parts of a configuration go together: what is possible one by one and makes no sense as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Final

from config import elastic, literals, mail, monitors, picked
from config.errors import Problem
from config.models import ElasticsearchStore, Export, FieldCount, FieldType, MeterPrice, Store, View
from config.references import Context
from config.roster import Roster, people
from config.values import duration_text

_NUMERIC: Final = ("integer", "decimal")
_HOLDING: Final = {
    "time": ("time",),
    "ingested": ("time",),
    "customer": ("string", "ip", "integer"),
    "id": ("string", "integer"),
}


def check(context: Context) -> Iterator[Problem]:
    """Every contradiction between sound parts."""
    yield from mail.check(context)
    yield from _stores(context)
    yield from picked.check(context)
    yield from elastic.check(context)
    for tier_name, tier in context.config.tiers.items():
        for meter, price in tier.prices.items():
            yield from _steps(context, price, ("tiers", tier_name, "prices", meter, "overage"))
    for name, view in context.config.views.items():
        yield from _count(context, name, view)
        yield from literals.check(context, name, view)
    yield from monitors.check(context)
    for name, export in context.config.exports.items():
        yield from _export(context, name, export)


def _stores(context: Context) -> Iterator[Problem]:
    for name, store in context.config.stores.items():
        yield from _store_fields(context, name, store)
        if store.retention is not None and store.retention <= store.lateness:
            lateness = duration_text(store.lateness)
            reason = f"stores.{name}.retention: is not longer than the lateness, {lateness}: what is late would be gone"
            hint = "say how long messages are kept, or state a shorter lateness"
            yield Problem(context.place("stores", name, "retention"), reason, hint)
    yield from _embedded_stores(context)


def _embedded_stores(context: Context) -> Iterator[Problem]:
    stores = context.config.embedded_stores
    for name, store in stores.items():
        path = ("stores", name)
        if store.zone is not None and (store.time_format.startswith("epoch") or "%z" in store.time_format):
            reason = f"stores.{name}.zone: times in the format {store.time_format} need no zone"
            yield Problem(context.place(*path, "zone"), reason, "remove the key")
        if store.zone is None and "%" in store.time_format and "%z" not in store.time_format:
            reason = f"stores.{name}.time_format: times in this format have no offset, and the store has no zone"
            yield Problem(context.place(*path, "time_format"), reason, "state the zone, such as zone: UTC, or add %z")
    for (first, one), (second, other) in combinations(stores.items(), 2):
        here, there = other.folder.resolve(), one.folder.resolve()
        if here == there or here in there.parents or there in here.parents:
            relation = "is also" if here == there else "overlaps with"
            place = context.place("stores", second, "folder")
            reason = f"stores.{second}.folder: {relation} the folder of the store {first}"
            yield Problem(place, reason, "give each store its own")


def _store_fields(context: Context, name: str, store: Store) -> Iterator[Problem]:
    used: dict[str, str] = {}
    fields = {key: field for key in _HOLDING if (field := getattr(store.fields, key, None)) is not None}
    for key, field in fields.items():
        other = used.setdefault(field, key)
        if other != key:
            reason = f"stores.{name}.fields.{key}: {field!r} is the field of {other} too"
            yield Problem(context.place("stores", name, "fields", key), reason, "name the field that holds it")
        declared, expected = store.types.get(field), _HOLDING[key]
        if declared is not None and declared not in expected:
            reason = f"stores.{name}.types: {field} is fields.{key}, and cannot be {declared}"
            hint = f"declare it as {expected[0]}, or leave it out"
            yield Problem(context.place("stores", name, "types", field), reason, hint)


def _steps(context: Context, price: MeterPrice, path: tuple[str, ...]) -> Iterator[Problem]:
    if not isinstance(price.overage, tuple):
        return
    where = ".".join(path)
    for index, step in enumerate(price.overage[:-1]):
        if step.to is None:
            reason = f"{where}: only the last step may have no `to`"
            yield Problem(context.place(*path, index), reason, "say up to where this price holds")
    if price.overage[-1].to is not None:
        place = context.place(*path, len(price.overage) - 1)
        yield Problem(place, f"{where}: beyond the last step there is no price", "leave `to` out of the last step")
    for index, (before, after) in enumerate(pairwise(price.overage), start=1):
        if before.to is not None and after.to is not None and after.to <= before.to:
            place = context.place(*path, index, "to")
            reason = f"{where}: the steps must ascend, and {after.to} does not lie above {before.to}"
            yield Problem(place, reason, "order the steps by `to`")


def _count(context: Context, name: str, view: View) -> Iterator[Problem]:
    path = ("views", name)
    if view.meter is not None and view.aggregation not in ("messages", "distinct", "sum"):
        reason = f"views.{name}.count: {view.aggregation} cannot feed a meter: only counts and sums can be priced"
        yield Problem(context.place(*path, "count"), reason, "count messages, distinct or sum, or remove the meter")
    store = context.config.stores.get(view.store)
    if store is None or view.field is None or view.aggregation == "distinct":
        return
    declared = store.types.get(view.field)
    if declared is not None and declared not in _NUMERIC:
        reason = f"views.{name}.count: {view.aggregation} needs numbers, and {view.field} is declared as {declared}"
        hint = f"declare it as integer or decimal in stores.{view.store}.types, or count distinct"
        yield Problem(context.place(*path, "count", view.aggregation), reason, hint)
    if isinstance(store, ElasticsearchStore):
        yield from _doubles(context, name, view, declared)
    elif declared == "decimal" and isinstance(view.count, FieldCount) and view.count.sum and not view.count.scale:
        reason = f"views.{name}.count: a sum of decimals needs a scale"
        yield Problem(context.place(*path, "count"), reason, "say how many decimals values may have, such as scale: 2")


def _doubles(context: Context, name: str, view: View, declared: FieldType | None) -> Iterator[Problem]:
    """Elasticsearch adds in doubles, which are exact for whole numbers alone."""
    hint = "count a field of whole numbers, such as cents or milliseconds"
    if isinstance(view.count, FieldCount) and view.count.scale:
        reason = f"views.{name}.count.scale: Elasticsearch cannot add decimals exactly"
        yield Problem(context.place("views", name, "count", "scale"), reason, hint)
    elif declared == "decimal" and view.aggregation in ("sum", "average"):
        reason = (
            f"views.{name}.count: {view.field} is declared as decimal, and Elasticsearch cannot add decimals exactly"
        )
        yield Problem(context.place("views", name, "count", view.aggregation), reason, hint)


def _export(context: Context, name: str, export: Export) -> Iterator[Problem]:
    views = {view: context.config.views[view] for view in export.views if view in context.config.views}
    yield from _settle(context, name, export, views)
    if len(views) < len(export.views):
        return  # said already
    yield from _meters(context, name, export, views)
    if context.roster is not None:
        yield from _coverage(context, name, export, views, context.roster)


def _settle(context: Context, name: str, export: Export, views: dict[str, View]) -> Iterator[Problem]:
    for view in views.values():
        store = context.config.stores.get(view.store)
        if store is not None and "settle" in export.model_fields_set and export.settle < store.lateness:
            lateness = duration_text(store.lateness)
            reason = f"exports.{name}.settle: is shorter than the lateness of the store {view.store}, {lateness}"
            hint = f"write settle: {lateness} or more, or leave it out"
            yield Problem(context.place("exports", name, "settle"), reason, hint)
            return


def _meters(context: Context, name: str, export: Export, views: dict[str, View]) -> Iterator[Problem]:
    where, place = f"exports.{name}.views", context.place("exports", name, "views")
    meters = {view.meter for view in views.values()}
    if len(meters) > 1:
        listed = ", ".join(f"{view_name} has {view.meter or 'none'}" for view_name, view in views.items())
        reason = f"{where}: a file states one meter, and these views have several: {listed}"
        yield Problem(place, reason, "make one export per meter")
    elif export.layout == "charges" and meters == {None}:
        reason = f"{where}: the layout charges needs views with a meter"
        yield Problem(place, reason, "add meter: to the views, or use layout: statistics")


def _coverage(context: Context, name: str, export: Export, views: dict[str, View], roster: Roster) -> Iterator[Problem]:
    """Each customer is in exactly one of the views."""
    where, place = f"exports.{name}.views", context.place("exports", name, "views")
    if roster.open:
        yield from _open_coverage(context, name, export, views)
        return
    chosen: dict[str, str] = {}
    for view_name, at in context.each(export.views, "exports", name, "views"):
        selected = roster.selected(views[view_name])
        both = [customer for customer in selected if chosen.setdefault(customer.id, view_name) != view_name]
        if both:
            other = chosen[both[0].id]
            reason = f"{where}: {view_name} and {other} both select customers; {people(both)} two views"
            yield Problem(at, reason, "let each customer be selected by one view, by tier or by list")
    left_out = [customer for customer in roster.customers.values() if customer.id not in chosen]
    if left_out:
        hint = "add a view that selects them: the file must have everybody"
        yield Problem(place, f"{where}: {people(left_out)} no view", hint)
    meter = next(iter(views.values())).meter
    unpriced = [customer for customer in roster.customers.values() if not context.prices(customer, meter)]
    sound = len(context.config.tiers) == len(context.known("tiers"))
    if export.layout == "charges" and meter is not None and unpriced and sound:
        place = context.place("exports", name, "layout")
        reason = f"exports.{name}.layout: {people(unpriced)} no tier that prices {meter}"
        yield Problem(place, reason, f"give them a tier with prices: {{{meter}: ...}}, or use layout: statistics")


def _open_coverage(context: Context, name: str, export: Export, views: dict[str, View]) -> Iterator[Problem]:
    where, place = f"exports.{name}", context.place("exports", name, "views")
    if export.layout == "charges":
        reason = f"{where}.layout: charges need customers with tiers, and there is no customers section"
        yield Problem(context.place("exports", name, "layout"), reason, "add customers: {file: customers.csv}")
    if len(views) > 1:
        reason = f"{where}.views: without a customers section views cannot be told apart by customer"
        yield Problem(place, reason, "name one view")
    elif any(view.customers is not None for view in views.values()):
        reason = f"{where}.views: the view selects some customers only, and the file must have everybody"
        yield Problem(place, reason, "name a view without customers:")
