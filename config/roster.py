"""The roster: everyone who is counted, read from CSV, YAML or the configuration itself.

Ids and aliases are text exactly as written: `00123` stays `00123`, and a blank at its end stays. A contract runs from
its first day `from` up to, and not including, the day `until`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from sys import intern
from types import MappingProxyType
from typing import Final, Protocol

from pydantic import ValidationError

from config import documents, table
from config.documents import Node
from config.errors import ConfigError, Place, Problem
from config.models import Customer, Settings, TierSelection, View
from config.names import did_you_mean
from config.validation import explain

_SHOWN: Final = 3

MAX_PROBLEMS: Final = 100
"""How many problems of one roster are told; a wrong column would otherwise be told 100,000 times."""


@dataclass(frozen=True, slots=True)
class RosterCustomer:
    """A customer with everything resolved: who states no name, zone or language has the id and the settings' ones."""

    id: str
    aliases: tuple[str, ...]
    name: str
    tier: str | None
    emails: tuple[str, ...]
    zone: str
    language: str
    billing_day: int
    valid_from: date | None
    valid_until: date | None
    """The first day after the contract."""


@dataclass(frozen=True)
class Roster:
    """All customers. An open roster knows nobody beforehand: every customer value found is its own customer."""

    customers: Mapping[str, RosterCustomer]
    """By id, in byte order of it."""
    open: bool = False
    zone: str = "UTC"
    language: str = "en"

    def find(self, value: str) -> RosterCustomer | None:
        """The customer that a raw customer value means, by id or alias; None when nobody is called so."""
        if self.open:
            return RosterCustomer(value, (), value, None, (), self.zone, self.language, 1, None, None)
        found = self.customers.get(value)
        return found if found is not None else self._by_alias.get(value)

    def selected(self, view: View) -> tuple[RosterCustomer, ...]:
        """The customers that a view selects, in byte order of id. On an open roster only those that the view lists."""
        if self.open:
            listed = view.customers if isinstance(view.customers, tuple) else ()
            return tuple(customer for value in sorted(listed, key=byte_order) if (customer := self.find(value)))
        if isinstance(view.customers, tuple):
            return tuple(self.customers[id_] for id_ in sorted(view.customers, key=byte_order) if id_ in self.customers)
        return tuple(customer for customer in self.customers.values() if self.selects(view, customer))

    def selects(self, view: View, customer: RosterCustomer) -> bool:
        """Whether a view selects this customer. Constant time, but for a view that lists many customers."""
        if view.customers is None:
            return True
        if isinstance(view.customers, TierSelection):
            return customer.tier in view.customers.tier
        return customer.id in view.customers

    @cached_property
    def _by_alias(self) -> Mapping[str, RosterCustomer]:
        return {alias: customer for customer in self.customers.values() for alias in customer.aliases}


def byte_order(id_: str) -> bytes:
    """The sort key of ids, the same on every machine and in every file."""
    return id_.encode("utf-8", "surrogatepass")


def people(customers: Sequence[RosterCustomer]) -> str:
    """`2 customers ('a', 'b') have`, at most a few of them named."""
    shown = ", ".join(repr(customer.id) for customer in customers[:_SHOWN])
    more = f" and {len(customers) - _SHOWN:,} more" if len(customers) > _SHOWN else ""
    return f"the customer {shown} has" if len(customers) == 1 else f"{len(customers):,} customers ({shown}{more}) have"


class _Row(Protocol):
    """One written customer, from whatever it was written in."""

    @property
    def values(self) -> object: ...

    @property
    def place(self) -> Place: ...

    def node(self) -> Node: ...


@dataclass(frozen=True, slots=True)
class _Item:
    """A customer of a YAML list."""

    values: object
    places: Node

    @property
    def place(self) -> Place:
        return self.places.place

    def node(self) -> Node:
        return self.places


def read(path: Path, name: str, settings: Settings, tiers: Collection[str]) -> Roster:
    """The roster of a CSV file (header `id,aliases,...`) or, by its ending, of a YAML file (a list of customers).

    100,000 customers take a few seconds from CSV; YAML is many times slower, and meant for a few hundred.

    Raises:
        ConfigError: with the file, line and column of each problem.
    """
    if path.suffix.lower() in (".yaml", ".yml"):
        document = documents.read(path, name)
        if not isinstance(document.value, list):
            reason = "must be a list of customers"
            raise ConfigError([Problem(document.node.place, reason, "write - id: NAME for each")])
        return of_list(document.value, document.node, settings, tiers)
    columns = [info.alias or key for key, info in Customer.model_fields.items()]
    text = documents.read_text(path, name)
    cells = table.Table(text, name, columns, required="id", lists=("aliases", "emails"))
    problems: list[Problem] = []
    return _Reader(settings, tiers, problems).roster(cells.rows(problems), Place(name))


def of_list(written: Sequence[object], node: Node, settings: Settings, tiers: Collection[str]) -> Roster:
    """The roster that a list in YAML describes. Raises ConfigError as `read` does."""
    rows = (_Item(item, node.children[index]) for index, item in enumerate(written))
    return _Reader(settings, tiers, []).roster(rows, node.place)


class _Reader:
    """Checks written customers one by one and against each other. One row is held at a time."""

    def __init__(self, settings: Settings, tiers: Collection[str], problems: list[Problem]) -> None:
        self.settings = settings
        self.tiers = tiers
        self.problems = problems
        self.seen: dict[str, Place] = {}  # ids and aliases: each means one customer

    def roster(self, rows: Iterable[_Row], whole: Place) -> Roster:
        customers = []
        for row in rows:
            customer = self._customer(row)
            if customer is not None:
                customers.append(customer)
            if len(self.problems) >= MAX_PROBLEMS:
                hint = "mend the problems above first"
                self.problems.append(Problem(self.problems[-1].place, "what follows was not checked", hint))
                break
        if self.problems:
            raise ConfigError(self.problems)
        if not customers:
            hint = "without the customers section every customer value found is a customer"
            raise ConfigError([Problem(whole, "the roster has no customers", hint)])
        customers.sort(key=lambda customer: byte_order(customer.id))
        by_id = MappingProxyType({customer.id: customer for customer in customers})
        return Roster(by_id, zone=self.settings.zone, language=self.settings.language)

    def _customer(self, row: _Row) -> RosterCustomer | None:
        try:
            found = Customer.model_validate(row.values)
        except ValidationError as error:
            self.problems.extend(explain(error.errors(include_url=False), Customer, row.node()))
            return None
        self._check(found, row)
        return RosterCustomer(
            id=found.id,
            aliases=found.aliases,
            name=found.name or found.id,
            tier=intern(found.tier) if found.tier else None,
            emails=found.emails,
            zone=intern(found.zone or self.settings.zone),  # many customers, few zones: one object each
            language=intern(found.language or self.settings.language),
            billing_day=found.billing_day,
            valid_from=found.valid_from,
            valid_until=found.valid_until,
        )

    def _check(self, customer: Customer, row: _Row) -> None:
        if customer.tier is not None and customer.tier not in self.tiers:
            reason = f"there is no tier {customer.tier!r}"
            hint = did_you_mean(customer.tier, self.tiers, "the configuration has no tiers")
            self._problem(row, "tier", reason, hint)
        if customer.valid_from and customer.valid_until and customer.valid_until <= customer.valid_from:
            self._problem(row, "until", "until must be after from", "until is the first day after the contract")
        here = row.place
        for value, column in ((customer.id, "id"), *((alias, "aliases") for alias in customer.aliases)):
            first = self.seen.setdefault(value, here)
            if first is not here:
                self._problem(row, column, f"{value!r} already means a customer", f"first at {first}")
            elif column == "aliases" and (value == customer.id or customer.aliases.count(value) > 1):
                reason = f"the alias {value!r} is written twice for this customer"
                self._problem(row, column, reason, "remove one; the id itself needs no alias")
                break

    def _problem(self, row: _Row, column: str, reason: str, hint: str | None) -> None:
        node = row.node()
        self.problems.append(Problem(node.children.get(column, node).place, reason, hint))
