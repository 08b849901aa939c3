"""A view's filter as query DSL. Every condition is exact for fields that are held as `mappings.resolve` accepts them.

https://www.elastic.co/docs/reference/query-languages/query-dsl
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final, assert_never

from config.filters import All, Any_, Compare, Exists, Filter, InNetwork, Leaf, Network, Not, OneOf, TextMatch
from config.values import LiteralValue, instant
from logviews.addresses import MAPPED, normalised_network
from logviews.elastic.mappings import Held, Unfit
from logviews.times import milliseconds

Query = dict[str, Any]
Fields = Mapping[str, Held | None]
"""Each field that a filter looks at, as it is held; None where no message has it."""

EVERYTHING: Final[Query] = {"match_all": {}}
NOTHING: Final[Query] = {"match_none": {}}
MAX_TERMS: Final = 65_536
"""`index.max_terms_count`: so many values a `terms` query may have."""

_INSTANT: Final = timedelta(milliseconds=1)


def within(path: str, start: datetime, end: datetime) -> Query:
    """Messages whose time lies in `[start, end)`."""
    return _dates(path, start, end)


def outside(path: str, start: datetime, end: datetime) -> Query:
    """Messages of which a time lies before `start`, or not before `end`."""
    return any_of([_dates(path, None, start), _dates(path, end, None)])


def inside(held: Held, condition: Query) -> Query:
    """Messages of which the objects that the field lies in meet a condition."""
    return condition if held.nested is None else {"nested": {"path": held.nested, "query": condition}}


def compiled(filter_: Filter, fields: Fields) -> Query:
    """The query that finds what a filter matches.

    Raises:
        Unfit: for a comparison that Elasticsearch does not make as the view means it.
    """
    match filter_:
        case All(inner):
            return {"bool": {"filter": [compiled(part, fields) for part in inner]}} if inner else EVERYTHING
        case Any_(inner):
            return any_of([compiled(part, fields) for part in inner])
        case Not(inner):
            return {"bool": {"must_not": [compiled(inner, fields)]}}
        case _:
            held = fields[filter_.field]
            if held is None:
                return NOTHING
            return inside(held, _condition(filter_, held))


def any_of(conditions: Sequence[Query]) -> Query:
    """Messages that meet one of the conditions, or more."""
    if len(conditions) == 1:
        return conditions[0]
    return {"bool": {"should": list(conditions), "minimum_should_match": 1}} if conditions else NOTHING


def terms(path: str, values: Sequence[object]) -> Query:
    """Messages that have one of the values."""
    cuts = range(0, len(values), MAX_TERMS)
    return any_of([{"terms": {path: list(values[cut : cut + MAX_TERMS])}} for cut in cuts])


def _condition(leaf: Leaf, held: Held) -> Query:
    match leaf:
        case Exists():
            return {"exists": {"field": held.path}}
        case OneOf(_, values):
            return _one_of(held, values)
        case Compare(_, operator, bound):
            return _compare(held, operator, bound)
        case TextMatch(_, operator, text):
            return _text(held, operator, text)
        case InNetwork(_, networks):
            if held.type != "ip":
                raise Unfit(f"{held.field} is mapped as {held.type}, and cidr is for addresses; map it as ip")
            return any_of([_network(held.path, network) for network in networks])
        case _:
            assert_never(leaf)


def _one_of(held: Held, values: Iterable[LiteralValue]) -> Query:
    """The literal's type decides: text equals no number, a number no text."""
    match held.type:
        case "boolean":
            return terms(held.path, [value for value in values if isinstance(value, bool)])
        case "long":
            whole = [int(value) for value in _numbers(values) if value == math.floor(value)]
            return terms(held.path, [value for value in whole if is_held(held, value)])
        case "double":
            numbers = [float(value) for value in _numbers(values)]
            return terms(held.path, [*numbers, 0.0, -0.0] if 0 in numbers else numbers)
    texts = [value for value in values if isinstance(value, str)]
    match held.type:
        case "date":
            return any_of([_moment(held, text) for text in texts])
        case "ip":
            return any_of([_address(held, text) for text in texts])
        case _:
            return terms(held.path, texts)


def _numbers(values: Iterable[LiteralValue]) -> Iterable[int | float]:
    return (value for value in values if isinstance(value, int | float) and not isinstance(value, bool))


def is_held(held: Held, value: int) -> bool:
    """Whether indices can hold a whole number. Elasticsearch refuses a comparison with one that they cannot.

    Raises:
        Unfit: when some can and others cannot.
    """
    smallest, largest = [-(1 << bits - 1) <= value < 1 << bits - 1 for bits in held.bits]
    if smallest != largest:
        raise Unfit(
            f"{held.field} is of {held.bits[0]} bits in one index and of {held.bits[1]} in another, and only one of "
            f"them can be compared with {value}; reindex one of them as long"
        )
    return smallest


def _moment(held: Held, text: str) -> Query:
    moment = instant(text)
    if moment is None:
        raise Unfit(f"{held.field} is mapped as date, and {text!r} is no time; write one such as 2026-10-01T00:00:00Z")
    return _dates(held.path, moment, moment + _INSTANT)


def _address(held: Held, text: str) -> Query:
    try:
        return _network(held.path, ipaddress.ip_network(text))
    except ValueError as error:
        raise Unfit(f"{held.field} is mapped as ip, and {text!r} is no address") from error


def _network(path: str, network: Network) -> Query:
    """Elasticsearch keeps an IPv4 address as the IPv6 address that is mapped to it, so `::/0` would find it too."""
    network = normalised_network(network)
    if not isinstance(network, ipaddress.IPv6Network) or not network.supernet_of(MAPPED):
        return {"term": {path: str(network)}}
    parts = ((network[0], MAPPED[0] - 1), (MAPPED[-1] + 1, network[-1]))
    return any_of([{"range": {path: {"gte": str(low), "lte": str(high)}}} for low, high in parts if low <= high])


def _compare(held: Held, operator: str, bound: float | datetime) -> Query:
    if isinstance(bound, datetime):
        if held.type != "date":
            raise Unfit(f"{held.field} is mapped as {held.type}, and {operator} compares times; map it as date")
        # a time counts by its millisecond, so that "after" begins with the next one
        edge = bound + _INSTANT if operator in ("gt", "lte") else bound
        return _dates(held.path, edge, None) if operator in ("gt", "gte") else _dates(held.path, None, edge)
    if held.type == "long":
        return _compare_long(held, operator, bound)
    if held.type != "double":
        raise Unfit(f"{held.field} is mapped as {held.type}, and {operator} compares numbers; map it as long or double")
    if not bound:  # -0 comes before 0 in an index, and is the same number
        return {"range": {held.path: {operator: -0.0 if operator in ("gte", "lt") else 0.0}}}
    return {"range": {held.path: {operator: float(bound)}}}


def _compare_long(held: Held, operator: str, bound: float) -> Query:
    """By whole numbers, because 2^53 and 2^53+1 are the same double."""
    exact, most = Fraction(bound), 2 ** (held.bits[1] - 1) - 1
    if operator in ("gt", "gte"):
        edge, side = math.floor(exact) + 1 if operator == "gt" else math.ceil(exact), "gte"
        inside, whole = edge <= most, edge <= -most - 1
    else:
        edge, side = math.ceil(exact) - 1 if operator == "lt" else math.floor(exact), "lte"
        inside, whole = edge >= -most - 1, edge >= most
    if not inside:
        return NOTHING
    if whole or not is_held(held, edge):
        return {"exists": {"field": held.path}}
    return {"range": {held.path: {side: edge}}}


def _text(held: Held, operator: str, text: str) -> Query:
    if held.type not in ("keyword", "flattened"):
        raise Unfit(f"{held.field} is mapped as {held.type}, and {operator} is for text; map it as keyword")
    if operator == "prefix":
        return {"prefix": {held.path: {"value": text}}}
    if held.type == "flattened":
        raise Unfit(f"{held.field} is part of a flattened field, which knows no {operator}; map it as keyword")
    if operator == "contains":
        return {"wildcard": {held.path: {"value": f"*{_escaped(text)}*"}}}
    tokens = re.findall(r"\\.|.", text, flags=re.DOTALL)
    if not {"*", "?"} & set(tokens):
        # an empty pattern would find nothing, not even the empty text
        return {"term": {held.path: "".join(token[-1] for token in tokens)}}
    return {"wildcard": {held.path: {"value": "".join(map(_unambiguous, tokens))}}}


def _escaped(text: str) -> str:
    return re.sub(r"([*?\\])", r"\\\1", text)


def _unambiguous(token: str) -> str:
    """A piece of a pattern with its escape written out, also that of a last backslash."""
    return token if token in ("*", "?") else _escaped(token[-1])


def _dates(path: str, start: datetime | None, end: datetime | None) -> Query:
    bounds: dict[str, object] = {"format": "epoch_millis"}
    if start is not None:
        bounds["gte"] = milliseconds(start)
    if end is not None:
        bounds["lt"] = milliseconds(end)
    return {"range": {path: bounds}}
