"""Whether a filter's literals can match at all: a number never equals a field that is declared as text.

Such a filter would count 0 without a word, so it is refused where the store declares the field's type.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from config import filters
from config.errors import Problem
from config.filters import Compare, Exists, InNetwork, OneOf, TextMatch
from config.models import FieldType, View
from config.references import Context
from config.values import LiteralValue, instant

_NUMBERS: Final = ("integer", "decimal")


def check(context: Context, name: str, view: View) -> Iterator[Problem]:
    """What a view asks of a field that its declared type can never answer."""
    store = context.config.stores.get(view.store)
    if store is None:
        return
    for part in filters.leaves(view.where):
        declared = store.types.get(part.field)
        reason = _impossible(part, declared) if declared is not None else None
        if reason is not None:
            path = ("views", name, "where")
            place = context.place(*path, part.field) if context.node.at((*path, part.field)) else context.place(*path)
            hint = f"stores.{view.store}.types declares {part.field} as {declared}"
            yield Problem(place, f"views.{name}.where.{part.field}: {reason}", hint)


def _impossible(part: filters.Leaf, declared: FieldType) -> str | None:
    """Why this can never match a field of the declared type; None when it can."""
    match part:
        case OneOf(values=values):
            wrong = next((value for value in values if not _fits(value, declared)), None)
            return None if wrong is None else _never_equal(wrong, declared)
        case Compare(operator=operator, bound=bound):
            wanted = ("time",) if isinstance(bound, datetime) else _NUMBERS
            kind = "a time" if isinstance(bound, datetime) else "a number"
            return None if declared in wanted else f"{operator} compares with {kind}, and the field holds none"
        case TextMatch(operator=operator):
            return None if declared == "string" else f"{operator} needs text, and the field holds none"
        case InNetwork():
            return None if declared in ("ip", "string") else "cidr needs addresses, and the field holds none"
        case Exists():
            return None


def _fits(value: LiteralValue, declared: FieldType) -> bool:
    if isinstance(value, bool):
        return declared == "boolean"
    if isinstance(value, int | float):
        return declared == "decimal" or (declared == "integer" and value == int(value))
    if declared == "ip":
        try:
            ipaddress.ip_address(value)
        except ValueError:
            return False
        return True
    return declared == "string" or (declared == "time" and instant(value) is not None)


def _never_equal(value: LiteralValue, declared: FieldType) -> str:
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    if declared == "string":
        return f"{shown} is not text and never equals it; put it in quotes"
    if isinstance(value, str) and declared in (*_NUMBERS, "boolean"):
        return f"{shown} is text and never equals {'true or false' if declared == 'boolean' else 'a number'}"
    return f"{shown} never equals a value of this type"
