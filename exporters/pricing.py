"""Prices: what lies beyond the included quantity, and what it costs, to the currency's smallest unit.

Everything is computed in integers and fractions, so no decimal context can round on the way; an amount is rounded once,
when it is whole. Sources: the exponents are those of ISO 4217 (package iso4217), the graduated steps are those of
`config.models.Step`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from config.errors import UsageError
from config.models import Aggregation, MeterPrice
from ledger.records import Quantity

_AVERAGE_SCALE: Final = 10**6


@dataclass(frozen=True, slots=True)
class Charge:
    """The quantity beyond what is included, in the meter's unit, and its price, in the currency of the prices."""

    overage: Quantity
    amount: Decimal


def exponent(currency: str) -> int:
    """How many decimals an amount of that ISO 4217 currency has: JPY 0, USD 2, KWD 3.

    Raises:
        UsageError: for a code that ISO 4217 does not know, or that has no smallest unit (XAU).
    """
    from iso4217 import Currency  # noqa: PLC0415  # it parses its whole table when imported

    try:
        found = Currency(currency).exponent
    except ValueError as error:
        raise UsageError(
            f"settings.currency: {currency!r} is no ISO 4217 currency code; write one such as USD, EUR or SEK"
        ) from error
    if found is None:
        raise UsageError(
            f"settings.currency: {currency} has no smallest unit, so amounts in it cannot be rounded; write another"
        )
    return int(found)


def stated(quantity: Quantity | None, aggregation: Aggregation) -> Quantity | None:
    """The quantity that a statement states: an average is cut (towards zero) to six decimals, all else is exact."""
    if quantity is None or aggregation != "average":
        return quantity
    return _reduced(Fraction(int(quantity * _AVERAGE_SCALE), _AVERAGE_SCALE))


def charge(quantity: Quantity | None, price: MeterPrice, exponent: int) -> Charge:
    """What a quantity costs by a meter's price, rounded once, half up, to `exponent` decimals. No data costs nothing.

    Raises:
        ValueError: when the steps leave a unit without a price, which a checked configuration does not.
    """
    beyond = max(0, (quantity or 0) - price.included)
    return Charge(_reduced(Fraction(beyond)), rounded(_cost(beyond, price), exponent))


def rounded(amount: Fraction, exponent: int) -> Decimal:
    """The amount to `exponent` decimals, half up (away from zero): 2.675 is 2.68, and -2.675 is -2.68."""
    units = abs(amount) * 10**exponent + Fraction(1, 2)
    digits = units.numerator // units.denominator
    return _decimal(digits if amount >= 0 else -digits, exponent)


def total(amounts: Iterable[Decimal], exponent: int) -> Decimal:
    """The sum of amounts that are rounded to `exponent` decimals already; exact however many digits it has."""
    whole = sum((Fraction(amount) for amount in amounts), Fraction(0)) * 10**exponent
    if whole.denominator != 1:
        raise ValueError(f"the amounts have more than {exponent} decimals")
    return _decimal(whole.numerator, exponent)


def _cost(beyond: Quantity, price: MeterPrice) -> Fraction:
    if isinstance(price.overage, Decimal):
        return Fraction(price.overage) * beyond
    cost, floor = Fraction(0), Fraction(0)
    for step in price.overage:
        ceiling = Fraction(beyond if step.to is None else min(beyond, step.to))
        if ceiling > floor:
            cost += (ceiling - floor) * Fraction(step.price)
            floor = ceiling
    if floor < beyond:
        raise ValueError(f"the steps of the overage price end at {floor}, and {beyond} have to be priced")
    return cost


def _decimal(units: int, exponent: int) -> Decimal:
    # a constructor is exact, whereas any operation on decimals rounds to the context's precision
    return Decimal(f"{units}E-{exponent}")


def _reduced(value: Fraction) -> Quantity:
    return value.numerator if value.denominator == 1 else value
