"""What may not be counted: fields whose values the engine would read differently from what the view means."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from config.filters import Compare, InNetwork, Leaf, OneOf, TextMatch, leaves
from config.models import FieldType
from config.values import LiteralValue
from logviews import kinds
from logviews.store import CountQuery, StoreUnavailable

_LOG: Final = logging.getLogger("tallywatch.logviews.checks")

_DECLARED_KINDS: Final[Mapping[FieldType, int]] = {
    "string": kinds.STRING,
    "integer": kinds.NUMBER,
    "decimal": kinds.NUMBER,
    "boolean": kinds.BOOLEAN,
    "time": kinds.STRING,
    "ip": kinds.STRING,
}


def refuse_never_seen(view: str, store: str, fields: Sequence[str]) -> None:
    """Raises StoreUnavailable for fields that a non-empty store has never had and nobody declared."""
    if fields:
        raise StoreUnavailable(
            f"view {view}: no message in store {store} has ever had the field {fields[0]}; mend the view, "
            f"or declare the field under stores.{store}.types if it is still to come"
        )


def refuse_uncountable(query: CountQuery, types: Mapping[str, FieldType], found: Mapping[str, int]) -> None:
    """Raises StoreUnavailable when a used field's values are mixed, too long, objects, or nothing the view can use."""
    for field, bits in found.items():
        _refuse_kinds(query.view, field, bits, types.get(field))
    for leaf in leaves(query.where):
        _refuse_comparison(query.view, leaf, found.get(leaf.field, 0))
    if query.field and query.aggregation != "distinct":
        bits = found.get(query.field, 0) & kinds.SCALARS
        if bits & ~kinds.NUMBER:
            raise StoreUnavailable(
                f"view {query.view}: {query.aggregation} needs numbers, but {query.field} holds {kinds.describe(bits)}"
            )


def _refuse_kinds(view: str, field: str, bits: int, declared: FieldType | None) -> None:
    if bits & kinds.OBJECT:
        raise StoreUnavailable(f"view {view}: {field} holds objects; name a field inside it")
    if bits & kinds.LONG:
        raise StoreUnavailable(
            f"view {view}: {field} holds a number of more than 17 significant digits or beyond 2^63, "
            "which not every store keeps exactly; write it as text"
        )
    scalars = bits & kinds.SCALARS
    if declared is not None:
        if scalars & ~_DECLARED_KINDS[declared]:
            raise StoreUnavailable(
                f"view {view}: {field} is declared {declared}, but messages from before hold {kinds.describe(scalars)}"
            )
        if declared == "integer" and bits & kinds.FRACTION:
            raise StoreUnavailable(f"view {view}: {field} is declared integer, but messages from before hold decimals")
    elif scalars & (scalars - 1):
        raise StoreUnavailable(
            f"view {view}: {field} holds {kinds.describe(scalars)}, so a comparison would miss some; "
            "declare its type under the store's types, so that other messages are refused"
        )


def _refuse_comparison(view: str, leaf: Leaf, bits: int) -> None:
    held = bits & kinds.SCALARS
    if not held:
        return
    match leaf:
        case Compare(field, operator, bound):
            wanted = kinds.STRING if isinstance(bound, datetime) else kinds.NUMBER
            if held & ~wanted:
                what = "a time" if isinstance(bound, datetime) else "a number"
                raise StoreUnavailable(
                    f"view {view}: {field} holds {kinds.describe(held)}, which {operator} cannot compare with {what}"
                )
        case TextMatch(field, operator, _) if held & ~kinds.STRING:
            raise StoreUnavailable(f"view {view}: {field} holds {kinds.describe(held)}, and {operator} is for strings")
        case InNetwork(field, _) if held & ~kinds.STRING:
            raise StoreUnavailable(f"view {view}: {field} holds {kinds.describe(held)}, and cidr is for addresses")
        case OneOf(field, values) if not any(_kind_of(value) & held for value in values):
            _LOG.warning(
                "view %s: %s holds %s, but is compared with %s, which matches nothing; the literal's type decides",
                view, field, kinds.describe(held), " and ".join(repr(value) for value in values[:3]),
            )  # fmt: skip
        case _:
            pass


def _kind_of(value: LiteralValue) -> int:
    if isinstance(value, bool):
        return kinds.BOOLEAN
    return kinds.STRING if isinstance(value, str) else kinds.NUMBER
