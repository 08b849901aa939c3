"""Numbers as Elasticsearch gives them back, and when they are what a message says."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from sys import float_info
from typing import Final

from ledger.quantities import reduced
from ledger.records import Quantity
from logviews.store import CountQuery, StoreUnavailable

EXACT: Final = 2**53
"""From here on a double holds only some of the whole numbers."""

_SURE_DIGITS: Final = 15
"""A decimal of so many significant digits survives a double and back; one of more may not (IEEE 754, binary64)."""


def number(query: CountQuery, value: int | float) -> Quantity:
    """A single value; whole numbers come as integers where the field is one of them, and are exact then.

    Raises:
        StoreUnavailable: when it may not be what the message says.
    """
    exact = Decimal(value) if isinstance(value, int) else Decimal(repr(value))
    digits = len(exact.normalize().as_tuple().digits)
    if isinstance(value, float) and (digits > _SURE_DIGITS or abs(value) >= EXACT or 0 < abs(value) < float_info.min):
        raise StoreUnavailable(
            f"view {query.view}: {query.field} holds {value!r}, of more digits than Elasticsearch gives back exactly; "
            "map it as long in whole units, or write it as text"
        )
    return reduced(Fraction(exact))
