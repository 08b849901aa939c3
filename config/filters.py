"""The filter language: what a view's `where` says, parsed once into a small tree that every store compiles.

Grammar: a mapping of field -> matcher, all of which must hold; `all: [..]`, `any: [..]` and `not: {..}` combine such
mappings. A matcher is a scalar (equals), a list (one of), or a mapping of operators that must all hold for the field:
`gt gte lt lte prefix wildcard contains exists cidr not`, where `not` takes a scalar, a list or such a mapping.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from config.values import LiteralValue, instant, literal

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Comparison = Literal["gt", "gte", "lt", "lte"]


@dataclass(frozen=True, slots=True)
class OneOf:
    """Some value of the field equals one of these; the literal's type decides, so 200 is not "200"."""

    field: str
    values: tuple[LiteralValue, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """Some value of the field lies on that side of the bound: a number, or an instant cut to milliseconds."""

    field: str
    operator: Comparison
    bound: int | float | datetime


@dataclass(frozen=True, slots=True)
class TextMatch:
    """Some string value of the field has this prefix, contains this text, or matches this pattern (`*`, `?`) whole."""

    field: str
    operator: Literal["prefix", "wildcard", "contains"]
    text: str


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has at least one value."""

    field: str


@dataclass(frozen=True, slots=True)
class InNetwork:
    """Some value of the field is an address in one of these networks; IPv4-mapped addresses are normalised."""

    field: str
    networks: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The inner filter does not hold; so it also matches a message that lacks the field."""

    inner: Filter


@dataclass(frozen=True, slots=True)
class All:
    """Every inner filter holds; without any, everything matches."""

    inner: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Any_:  # noqa: N801 (`Any` is typing's)
    """At least one inner filter holds."""

    inner: tuple[Filter, ...]


Leaf = OneOf | Compare | TextMatch | Exists | InNetwork
Filter = Leaf | Not | All | Any_

EVERYTHING: Final = All(())
OPERATORS: Final = ("gt", "gte", "lt", "lte", "prefix", "wildcard", "contains", "exists", "cidr", "not")
COMBINATORS: Final = ("all", "any", "not")


class FilterError(ValueError):
    """A filter that cannot be read, with the path inside the mapping where it goes wrong."""

    def __init__(self, path: tuple[str | int, ...], reason: str, *, unknown: str | None = None) -> None:
        self.path = path
        self.reason = reason
        self.unknown = unknown
        super().__init__(reason)


def parse(document: object, path: tuple[str | int, ...] = ()) -> Filter:
    """The filter that a mapping describes.

    Raises:
        FilterError: naming the place inside the document and the reason.
    """
    if not isinstance(document, Mapping):
        raise FilterError(path, "must be a mapping of field to matcher")
    parts: list[Filter] = []
    for key, value in document.items():
        name, here = str(key), (*path, str(key))
        if name in ("all", "any"):
            if not isinstance(value, list) or not value:
                raise FilterError(here, f"{name} must be a list of filters, with at least one")
            inner = tuple(parse(item, (*here, index)) for index, item in enumerate(value))
            parts.append(All(inner) if name == "all" else Any_(inner))
        elif name == "not":
            parts.append(Not(parse(value, here)))
        elif not name or any(not segment for segment in name.split(".")):
            raise FilterError(here, "is not a field name: a dotted name such as http.request.method is expected")
        else:
            parts.append(_matcher(name, value, here))
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _matcher(field: str, value: object, path: tuple[str | int, ...]) -> Filter:
    if isinstance(value, Mapping):
        if not value:
            raise FilterError(path, "names no operator; one of " + ", ".join(OPERATORS))
        parts = tuple(_operator(field, str(name), operand, (*path, str(name))) for name, operand in value.items())
        return parts[0] if len(parts) == 1 else All(parts)
    return OneOf(field, _literals(value, path))


def _literals(value: object, path: tuple[str | int, ...]) -> tuple[LiteralValue, ...]:
    items = value if isinstance(value, list) else [value]
    if not items:
        raise FilterError(path, "is an empty list, which nothing can match")
    found = []
    for index, item in enumerate(items):
        here = (*path, index) if isinstance(value, list) else path
        if item is None:
            raise FilterError(here, "is empty; to ask whether a field is missing write {exists: false}")
        try:
            found.append(literal(item))
        except ValueError as error:
            raise FilterError(here, str(error)) from error
    return tuple(found)


def _operator(field: str, name: str, operand: Any, path: tuple[str | int, ...]) -> Filter:
    if name not in OPERATORS:
        raise FilterError(path, f"unknown operator {name!r}", unknown=name)
    if name == "not":
        return Not(_matcher(field, operand, path))
    if operand is None or (isinstance(operand, Mapping | list) and name != "cidr"):
        raise FilterError(path, f"{name} takes a single value")
    if name in ("gt", "gte", "lt", "lte"):
        return Compare(field, name, _bound(operand, path))  # type: ignore[arg-type]  # narrowed by the test above
    if name == "exists":
        wanted = literal(operand)
        if not isinstance(wanted, bool):
            raise FilterError(path, "exists takes true or false")
        return Exists(field) if wanted else Not(Exists(field))
    if name == "cidr":
        return InNetwork(field, _networks(operand, path))
    return TextMatch(field, name, str(operand))  # type: ignore[arg-type]  # the three text operators are what is left


def _bound(operand: object, path: tuple[str | int, ...]) -> int | float | datetime:
    value = literal(operand)
    if isinstance(value, bool):
        raise FilterError(path, "a range needs a number or a time, not true or false")
    if isinstance(value, str):
        moment = instant(value)
        if moment is None:
            raise FilterError(path, "a range needs a number, or a time with an offset such as 2026-10-01T00:00:00Z")
        return moment
    return value


def _networks(operand: object, path: tuple[str | int, ...]) -> tuple[Network, ...]:
    items = operand if isinstance(operand, list) else [operand]
    networks = []
    for index, item in enumerate(items):
        here = (*path, index) if isinstance(operand, list) else path
        try:
            networks.append(ipaddress.ip_network(str(item), strict=False))
        except ValueError as error:
            raise FilterError(here, f"{item} is no network; write one such as 10.0.0.0/8") from error
    if not networks:
        raise FilterError(path, "is an empty list, which nothing can match")
    return tuple(networks)


def leaves(filter_: Filter) -> Iterator[Leaf]:
    """Every comparison in a filter, in the order of writing."""
    match filter_:
        case Not(inner):
            yield from leaves(inner)
        case All(parts) | Any_(parts):
            for part in parts:
                yield from leaves(part)
        case _:
            yield filter_


def fields(filter_: Filter) -> Iterator[str]:
    """Every field that a filter looks at, in the order of writing, with repetitions."""
    return (leaf.field for leaf in leaves(filter_))
