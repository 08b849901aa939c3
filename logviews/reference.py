"""What a view means, in plain Python over a list of messages: what every store's counts are tested against."""

from __future__ import annotations

import ipaddress
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import assert_never

from config.filters import All, Any_, Compare, Exists, Filter, InNetwork, Not, OneOf, TextMatch
from config.models import FieldType
from config.values import LiteralValue, instant
from ledger.quantities import reduced
from ledger.records import UNATTRIBUTED, Subject, Tally, customer
from logviews.addresses import addresses_in, normalised_address
from logviews.messages import Message, Number, Value, raw_text, values
from logviews.store import CountQuery
from logviews.times import milliseconds

Types = Mapping[str, FieldType]


@dataclass(frozen=True, slots=True)
class Event:
    """A message with what the store's fields said about it."""

    time: datetime
    customer: str | None
    id: str
    message: Message


def matches(filter_: Filter, message: Message, types: Types) -> bool:
    """Whether a message passes a filter."""
    match filter_:
        case All(inner):
            return all(matches(part, message, types) for part in inner)
        case Any_(inner):
            return any(matches(part, message, types) for part in inner)
        case Not(inner):
            return not matches(inner, message, types)
        case Exists(field):
            return bool(values(message, field))
        case OneOf(field, wanted):
            return any(
                equals(value, literal, types.get(field)) for value in values(message, field) for literal in wanted
            )
        case Compare(field, operator, bound):
            return any(_compares(value, operator, bound) for value in values(message, field))
        case TextMatch(field, operator, text):
            return any(_text_matches(value, operator, text) for value in values(message, field))
        case InNetwork(field, networks):
            return any(not isinstance(v, Number) and addresses_in(v, networks) for v in values(message, field))
        case _:
            assert_never(filter_)


def equals(value: Value, literal: LiteralValue, type_: FieldType | None) -> bool:
    """Whether a value equals a literal; the literal's type decides, and the declared type for times and addresses."""
    if isinstance(literal, bool) or isinstance(value, bool):
        return isinstance(literal, bool) and isinstance(value, bool) and literal == value
    if isinstance(value, Number):
        return not isinstance(literal, str) and value.value == literal
    if not isinstance(literal, str):
        return False
    if type_ == "time" and (moment := instant(literal)) is not None:
        return instant(value) == moment
    if type_ == "ip":
        try:
            return addresses_in(value, (ipaddress.ip_network(literal),))
        except ValueError:
            pass
    return value == literal


def _compares(value: Value, operator: str, bound: float | datetime) -> bool:
    if isinstance(value, bool):
        return False
    found: float | datetime | None
    if isinstance(bound, datetime):
        found = None if isinstance(value, Number) else instant(value)
    else:
        found = value.value if isinstance(value, Number) else None
    if found is None:
        return False
    return {
        "gt": lambda: found > bound,  # type: ignore[operator]  # both are numbers, or both instants
        "gte": lambda: found >= bound,  # type: ignore[operator]
        "lt": lambda: found < bound,  # type: ignore[operator]
        "lte": lambda: found <= bound,  # type: ignore[operator]
    }[operator]()


def _text_matches(value: Value, operator: str, text: str) -> bool:
    if isinstance(value, bool | Number):
        return False
    if operator == "prefix":
        return value.startswith(text)
    if operator == "contains":
        return text in value
    pattern = "".join(
        {"*": ".*", "?": "."}.get(token, re.escape(token[-1])) for token in re.findall(r"\\.|.", text, flags=re.DOTALL)
    )
    return re.fullmatch(pattern, value, flags=re.DOTALL) is not None


def count(events: Iterable[Event], query: CountQuery, types: Types) -> list[Tally]:
    """The tallies that a store must give for a query, in any order."""
    first, last = query.edges[0], query.edges[-1]
    groups: dict[tuple[Subject, datetime], list[Event]] = defaultdict(list)
    for event in events:
        if first <= event.time < last and matches(query.where, event.message, types):
            for subject, start in _groups(query, event):
                groups[subject, start].append(event)
    return [_tally(query, subject, start, found, types) for (subject, start), found in groups.items()]


def _groups(query: CountQuery, event: Event) -> list[tuple[Subject, datetime]]:
    if query.members is None:
        start = max(edge for edge in query.edges if edge <= event.time)
        return [(UNATTRIBUTED if event.customer is None else customer(event.customer), start)]
    return [
        (customer(member.subject), query.edges[0])
        for member in query.members
        if member.value == event.customer and member.start <= event.time < member.end
    ]


def _tally(query: CountQuery, subject: Subject, start: datetime, events: Sequence[Event], types: Types) -> Tally:
    number = len(events)
    if query.field is None:
        return Tally(query.view, subject, start, number, number, number)
    pairs = [(event, value) for event in events for value in values(event.message, query.field)]
    if query.aggregation == "distinct":
        different = {identity(value, types.get(query.field)) for _, value in pairs}
        return Tally(query.view, subject, start, len(different), number, len(pairs))
    if not pairs:
        quantity = 0 if query.aggregation == "sum" else None
        return Tally(query.view, subject, start, quantity, number, 0)
    numbers = [(event, Fraction(Decimal(raw_text(value)))) for event, value in pairs]
    exact = [value for _, value in numbers]
    if query.aggregation == "latest":
        event, value = max(numbers, key=lambda pair: (milliseconds(pair[0].time), pair[0].id, pair[1]))
        return Tally(query.view, subject, start, reduced(value), number, len(pairs), event.time, event.id)
    if query.aggregation in ("min", "max"):
        extreme = min(exact) if query.aggregation == "min" else max(exact)
        return Tally(query.view, subject, start, reduced(extreme), number, len(pairs))
    return Tally(query.view, subject, start, reduced(sum(exact, Fraction(0))), number, len(pairs))


def identity(value: Value, type_: FieldType | None) -> object:
    """What makes two values the same for `distinct`: numbers by value, instants and addresses by what they mean."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, Number):
        number = value.value
        return ("number", int(number) if math.isfinite(number) and number == int(number) else number)
    if type_ == "time" and (moment := instant(value)) is not None:
        return ("time", moment)
    if type_ == "ip":
        return ("ip", normalised_address(value))
    return ("string", value)
