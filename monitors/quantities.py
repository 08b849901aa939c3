"""Figures made of quantities: exact where they can be, else cut, never rounded up."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from ledger.quantities import decimal_text
from ledger.records import Quantity


def cut(value: Quantity) -> int:
    """The integer part: cut towards zero."""
    return int(value)


def percent_text(quantity: Quantity | None, included: int | None) -> str | None:
    """The quantity in percent of what is included: two decimals, cut. None without either, or when that is nothing."""
    if quantity is None or not included:
        return None
    return decimal_text(Fraction(quantity) * 100 / included, 2)


def money_text(amount: Decimal) -> str:
    """A price without an exponent, as it was written."""
    return format(amount, "f")
