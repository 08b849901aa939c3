"""Exact quantities as text and back: the form in which they are kept and in which they leave the program."""

from __future__ import annotations

from fractions import Fraction

from config.models import Aggregation
from ledger.records import Quantity


def reduced(value: Fraction) -> Quantity:
    """An integer where the fraction is whole."""
    return value.numerator if value.denominator == 1 else value


def decimal_text(quantity: Quantity, places: int | None = None) -> str:
    """A quantity as a plain decimal such as 12.5: with all its digits, or cut (towards zero) to so many places.

    Raises:
        ValueError: when all digits are wanted of a fraction that no decimal ends, such as 1/3.
    """
    numerator, denominator = quantity.numerator, quantity.denominator
    if places is None:
        places, scale = 0, 1
        while scale % denominator:
            places, scale = places + 1, scale * 10
            if places > denominator.bit_length():  # 2^n needs n places, every other factor fewer
                raise ValueError(f"{quantity} is no finite decimal")
    cut = abs(numerator) * 10**places // denominator
    digits = str(cut).rjust(places + 1, "0")
    sign = "-" if numerator < 0 and cut else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else sign + digits


def parse_quantity(text: str) -> Quantity:
    """The quantity of an exact decimal form; an integer where it is whole."""
    if text.isascii() and text.isdigit():
        return int(text)  # nearly all of them, and many times faster
    return reduced(Fraction(text))


def quantity_text(quantity: Quantity | None, aggregation: Aggregation) -> int | str | None:
    """A quantity as JSON has it: an integer where whole, else a decimal string; an average is cut to six decimals."""
    if quantity is None:
        return None
    if aggregation == "average":
        return decimal_text(quantity, 6)
    return quantity if isinstance(quantity, int) else decimal_text(quantity)
