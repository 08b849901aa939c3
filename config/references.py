"""Whether every name that a configuration mentions is there: stores, tiers, meters, customers, thresholds, recipients.

Each check yields problems with the place of the name that is wrong. Checks against the roster are skipped while it
has problems (`roster` is None), so that one mistake is not told a hundred times.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from config.documents import Node
from config.errors import Place, Problem
from config.models import CONDITIONS, Config, Route, TierSelection, View
from config.names import did_you_mean
from config.roster import Roster, RosterCustomer

CUSTOMER_TEMPLATES = ("near_limit", "over_limit", "low_usage")
OPS_TEMPLATES = ("ops_digest",)


@dataclass(frozen=True, slots=True)
class Context:
    """What a check looks at: the sound entries, the names of all, the places, and the roster unless it has problems."""

    config: Config
    node: Node
    names: Mapping[str, Sequence[str]]
    written: Mapping[str, object]
    roster: Roster | None

    def known(self, section: str) -> Sequence[str]:
        """All names of a section, those of entries with problems too."""
        return self.names.get(section, ())

    def place(self, *path: str | int) -> Place:
        """Where a value stands, or else the nearest thing around it that was written."""
        node = self.node
        for part in path:
            child = node.children.get(part)
            if child is None:
                return node.key or node.place
            node = child
        return node.place

    def name_place(self, *path: str | int) -> Place:
        """Where the name of an entry stands."""
        node = self.node.at(path)
        return (node.key or node.place) if node else self.place(*path)

    def prices(self, customer: RosterCustomer, meter: str | None) -> bool:
        """Whether the customer's tier prices a meter."""
        tier = self.config.tiers.get(customer.tier or "")
        return tier is not None and meter in tier.prices

    def each(self, values: Sequence[str], *path: str | int) -> Iterator[tuple[str, Place]]:
        """The values of a list with their places; a single value may stand without a list."""
        for index, value in enumerate(values):
            node = self.node.at((*path, index))
            yield value, node.place if node else self.place(*path)

    def repeated(self, values: Sequence[str], *path: str | int) -> Iterator[Problem]:
        """A problem for each value of a list that stands there already."""
        seen = set()
        for value, place in self.each(values, *path):
            if value in seen:
                yield Problem(place, f"{'.'.join(map(str, path))}: {value!r} is written twice", "remove one of them")
            seen.add(value)


def check(context: Context) -> Iterator[Problem]:
    """Every unknown or repeated name."""
    yield from _unsound(context)
    yield from _names(context)
    yield from _tiers(context)
    for name, view in context.config.views.items():
        yield from _view(context, name, view)
    yield from _monitors(context)
    yield from _exports(context)


def _unsound(context: Context) -> Iterator[Problem]:
    """What entries with problems of their own refer to, as far as that can be told."""
    for section, key, target in (
        ("views", "store", "stores"),
        ("monitors", "view", "views"),
        ("tiers", "recommend", "tiers"),
    ):
        written = context.written.get(section)
        for name, entry in written.items() if isinstance(written, dict) else ():
            value = entry.get(key) if isinstance(entry, dict) else None
            if name not in getattr(context.config, section) and isinstance(value, str):
                place, where = context.place(section, name, key), f"{section}.{name}.{key}"
                yield from _unknown(target.removesuffix("s"), value, context.known(target), place, where)


def _unknown(kind: str, name: str, valid: Collection[str], place: Place, where: str) -> Iterator[Problem]:
    if name not in valid:
        hint = did_you_mean(name, valid, f"the configuration has no {kind}s")
        yield Problem(place, f"{where}: there is no {kind} {name!r}", hint)


def _names(context: Context) -> Iterator[Problem]:
    """Names that differ only in case would be one file, one variable and one mistake."""
    for section, names in context.names.items():
        if section == "settings":
            continue
        first: dict[str, str] = {}
        for name in names:
            other = first.setdefault(name.casefold(), name)
            if other != name:
                hint = f"{other} is at {context.name_place(section, other)}"
                reason = f"{section}: {name!r} and {other!r} differ only in case"
                yield Problem(context.name_place(section, name), reason, hint)
    if "customer" in context.known("recipients"):
        place = context.name_place("recipients", "customer")
        reason = "recipients: 'customer' means the customer, and cannot name a recipient"
        yield Problem(place, reason, "choose another name")


def _tiers(context: Context) -> Iterator[Problem]:
    for name, tier in context.config.tiers.items():
        if tier.recommend is None:
            continue
        place = context.place("tiers", name, "recommend")
        if tier.recommend == name:
            reason = f"tiers.{name}.recommend: a tier cannot recommend itself"
            yield Problem(place, reason, "name the next one, or remove the key")
        yield from _unknown("tier", tier.recommend, context.known("tiers"), place, f"tiers.{name}.recommend")


def _view(context: Context, name: str, view: View) -> Iterator[Problem]:
    where = f"views.{name}"
    place = context.place("views", name, "store")
    yield from _unknown("store", view.store, context.known("stores"), place, f"{where}.store")
    if view.meter is not None:
        sound = context.config.tiers
        priced = {meter for tier in sound.values() for meter in tier.prices}
        if view.meter not in priced and len(sound) == len(context.known("tiers")):
            place = context.place("views", name, "meter")
            hint = did_you_mean(view.meter, sorted(priced), "add its price to tiers.NAME.prices, or remove the key")
            yield Problem(place, f"{where}.meter: no tier prices a meter {view.meter!r}", hint)
    if isinstance(view.customers, TierSelection):
        path = ("views", name, "customers", "tier")
        yield from context.repeated(view.customers.tier, *path)
        for tier, place in context.each(view.customers.tier, *path):
            yield from _unknown("tier", tier, context.known("tiers"), place, f"{where}.customers.tier")
        if context.roster is not None and context.roster.open:
            reason = f"{where}.customers: customers have tiers only with a customers section"
            yield Problem(context.place("views", name, "customers"), reason, "add customers: {file: customers.csv}")
    elif view.customers is not None:
        yield from _listed_customers(context, name, view.customers)


def _listed_customers(context: Context, name: str, listed: Sequence[str]) -> Iterator[Problem]:
    yield from context.repeated(listed, "views", name, "customers")
    if context.roster is None or context.roster.open:
        return
    for id_, place in context.each(listed, "views", name, "customers"):
        if id_ in context.roster.customers:
            continue
        owner = context.roster.find(id_)
        hint = f"it is an alias; write {owner.id}" if owner else did_you_mean(id_, list(context.roster.customers))
        yield Problem(place, f"views.{name}.customers: there is no customer {id_!r}", hint)


def _monitors(context: Context) -> Iterator[Problem]:
    for name, monitor in context.config.monitors.items():
        where = f"monitors.{name}"
        place = context.place("monitors", name, "view")
        yield from _unknown("view", monitor.view, context.known("views"), place, f"{where}.view")
        for reserved in CONDITIONS:
            if reserved in monitor.thresholds:
                place = context.name_place("monitors", name, "thresholds", reserved)
                reason = f"{where}.thresholds: {reserved!r} means the log store's state, and cannot name a threshold"
                yield Problem(place, reason, "choose another name")
        for route_name, route in monitor.notify.items():
            path = ("monitors", name, "notify", route_name)
            yield from _route(context, route, path, (*monitor.thresholds, *CONDITIONS))


def _route(context: Context, route: Route, path: tuple[str, ...], thresholds: Collection[str]) -> Iterator[Problem]:
    where = ".".join(path)
    yield from context.repeated(route.when, *path, "when")
    yield from context.repeated(route.to, *path, "to")
    for threshold, place in context.each(route.when, *path, "when"):
        yield from _unknown("threshold", threshold, thresholds, place, f"{where}.when")
    for target, place in context.each(route.to, *path, "to"):
        if target != "customer" and target not in context.known("recipients"):
            valid = ("customer", *context.known("recipients"))
            yield Problem(place, f"{where}.to: there is no recipient {target!r}", did_you_mean(target, valid))
        elif target == "customer" and context.roster is not None and context.roster.open:
            reason = f"{where}.to: customers have addresses only with a customers section"
            yield Problem(place, reason, "add customers: {file: customers.csv}")
    if route.template is not None:
        yield from _template(context, route, path)


def _template(context: Context, route: Route, path: tuple[str, ...]) -> Iterator[Problem]:
    place = context.place(*path, "template")
    where = f"{'.'.join(path)}.template"
    template = str(route.template)
    known = (*CUSTOMER_TEMPLATES, *OPS_TEMPLATES)
    if template not in known:
        yield Problem(place, f"{where}: there is no template {template!r}", did_you_mean(template, known))
    elif template in OPS_TEMPLATES and "customer" in route.to:
        reason = f"{where}: {template} is for recipients, and this route tells the customer"
        yield Problem(place, reason, f"use {' or '.join(CUSTOMER_TEMPLATES)}")
    elif template in CUSTOMER_TEMPLATES and any(target != "customer" for target in route.to):
        reason = f"{where}: {template} is for the customer alone, and this route tells recipients"
        yield Problem(place, reason, "make one route for the customer and one for recipients")


def _exports(context: Context) -> Iterator[Problem]:
    for name, export in context.config.exports.items():
        yield from context.repeated(export.views, "exports", name, "views")
        for view, place in context.each(export.views, "exports", name, "views"):
            yield from _unknown("view", view, context.known("views"), place, f"exports.{name}.views")
