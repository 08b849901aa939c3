"""Whether a monitor's thresholds and routes make sense together, and with the view that they watch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from config.errors import Problem
from config.models import CONDITIONS, LOGS_STALE, Monitor, Route, Store, View, Window
from config.references import Context
from config.roster import Roster, people

LOW_USAGE: Final = "low_usage"
_LONGEST: Final[dict[Window, int]] = {"billing month": 31, "month": 31, "week": 7, "day": 1}


def check(context: Context) -> Iterator[Problem]:
    """Every contradiction in a monitor."""
    for name, monitor in context.config.monitors.items():
        yield from _thresholds(context, name, monitor)
        for route_name, route in monitor.notify.items():
            yield from _route(context, monitor, route, ("monitors", name, "notify", route_name))


def _thresholds(context: Context, name: str, monitor: Monitor) -> Iterator[Problem]:
    for threshold_name, threshold in monitor.thresholds.items():
        path = ("monitors", name, "thresholds", threshold_name, threshold.side)
        if threshold.limit.value <= 0:
            hints = {"max": "to be told of the first message write max: 0.5", "min": "nothing lies below 0"}
            hint = hints[threshold.side] if threshold.limit.value == 0 else None
            yield Problem(context.place(*path), f"{'.'.join(path)}: must be greater than 0", hint)
        elif threshold.limit.percent:
            yield from _percent(context, monitor, path)


def _store(context: Context, monitor: Monitor) -> Store | None:
    view = context.config.views.get(monitor.view)
    return None if view is None else context.config.stores.get(view.store)


def _percent(context: Context, monitor: Monitor, path: tuple[str, ...]) -> Iterator[Problem]:
    """A percentage needs a quantity that it is a percentage of, for every customer that is watched."""
    where = ".".join(path)
    place = context.place(*path)
    view = context.config.views.get(monitor.view)
    if monitor.per == "total":
        reason = f"{where}: a percentage is of a customer's included quantity, and the total has none"
        yield Problem(place, reason, "write a number")
    elif view is not None and view.meter is None:
        reason = f"{where}: a percentage needs a meter, and the view {monitor.view} has none"
        yield Problem(place, reason, "add meter: to the view, or write a number")
    elif view is not None and view.meter is not None and context.roster is not None:
        if context.roster.open:
            reason = f"{where}: a percentage needs customers with tiers, and there is no customers section"
            yield Problem(place, reason, "add customers: {file: customers.csv}, or write a number")
        elif len(context.config.tiers) == len(context.known("tiers")):
            yield from _unpriced(context, view, context.roster, path)


def _unpriced(context: Context, view: View, roster: Roster, path: tuple[str, ...]) -> Iterator[Problem]:
    without = [customer for customer in roster.selected(view) if not context.prices(customer, view.meter)]
    if without:
        reason = f"{'.'.join(path)}: {people(without)} no tier that prices {view.meter}"
        hint = f"give them a tier with prices: {{{view.meter}: ...}}, or let the view select tiers that have it"
        yield Problem(context.place(*path), reason, hint)


def _route(context: Context, monitor: Monitor, route: Route, path: tuple[str, ...]) -> Iterator[Problem]:
    where = ".".join(path)
    if monitor.per == "total" and "customer" in route.to:
        reason = f"{where}.to: the total belongs to no customer"
        yield Problem(context.place(*path, "to"), reason, "name recipients, or watch per: customer")
    if "customer" in route.to:
        yield from _customer_route(context, route, path)
    if route.repeat == timedelta(0):
        reason = f"{where}.repeat: must be greater than 0"
        yield Problem(context.place(*path, "repeat"), reason, "leave it out to be told once")
    yield from _conditions(context, monitor, route, path)
    yield from _template(context, monitor, route, path)
    if route.days is not None:
        yield from _days_of_minima(context, monitor, route, path)
        last = max(last for _, last in route.days.ranges)
        longest = _LONGEST[monitor.window]
        if last > longest:
            reason = f"{where}.days: a {monitor.window} has no day {last}"
            yield Problem(context.place(*path, "days"), reason, f"days count from 1 to {longest} at most")


def _customer_route(context: Context, route: Route, path: tuple[str, ...]) -> Iterator[Problem]:
    """A customer is told once, and of nothing but its own usage."""
    where = ".".join(path)
    for name, place in context.each(route.when, *path, "when"):
        if name in CONDITIONS:
            reason = f"{where}.when: {name} is not the customer's affair"
            yield Problem(place, reason, "make a route of its own for it, to recipients")
    for key in ("repeat", "recovery"):
        if key in route.model_fields_set and getattr(route, key):
            reason = f"{where}.{key}: a customer is told once per period"
            yield Problem(context.place(*path, key), reason, f"leave {key} to routes that tell recipients alone")


def _conditions(context: Context, monitor: Monitor, route: Route, path: tuple[str, ...]) -> Iterator[Problem]:
    store = _store(context, monitor)
    for name, place in context.each(route.when, *path, "when"):
        if name == LOGS_STALE and store is not None and store.stale_after is None:
            store_name = context.config.views[monitor.view].store
            reason = f"{'.'.join(path)}.when: the store {store_name} has no stale_after, so {name} never comes true"
            yield Problem(place, reason, f"add it to stores.{store_name}, such as stale_after: 2h")


def _template(context: Context, monitor: Monitor, route: Route, path: tuple[str, ...]) -> Iterator[Problem]:
    """A template speaks of one side of a limit: what was used is too much or too little."""
    if route.template is None or "customer" not in route.to:
        return
    needed = "min" if route.template == LOW_USAGE else "max"
    sides = {monitor.thresholds[name].side for name in route.when if name in monitor.thresholds}
    if sides and needed not in sides:
        reason = f"{'.'.join(path)}.template: {route.template} tells of a {needed}, and this route has none"
        yield Problem(context.place(*path, "template"), reason, "leave it out: the threshold chooses the right one")


def _days_of_minima(context: Context, monitor: Monitor, route: Route, path: tuple[str, ...]) -> Iterator[Problem]:
    low = next((name for name in route.when if name in monitor.minima), None)
    if low is not None:
        reason = f"{'.'.join(path)}.days: {low} is a min, judged when no day of the period is left"
        yield Problem(context.place(*path, "days"), reason, "leave days to routes that tell a max")
