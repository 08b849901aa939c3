"""What a mapped field of Elasticsearch holds as it is: everything else would be changed, rounded or left out.

`coerce: false` refuses some of that, but neither a number in a keyword's place nor "true" in a boolean's, nor a number
that a double rounds. https://www.elastic.co/docs/reference/elasticsearch/mapping-reference
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import Any, Final

from config.values import instant
from logviews.elastic.numbers import EXACT
from logviews.intake.strict import is_address
from logviews.messages import Number, Value, raw_text, significant_digits

Json = Mapping[str, Any]

TERM_BYTES: Final = 32_766
"""The longest text that Lucene indexes as one term."""

_NUMBER_CHARACTERS: Final = 1_000  # the longest number that the server's JSON reader takes
_DIGITS: Final = 17
_DEFAULT_DATES: Final = "strict_date_optional_time||epoch_millis"
_ISO_DATES: Final = ("strict_date_optional_time", "date_optional_time", "strict_date_optional_time_nanos")
# as strict_date_optional_time has it: nine digits at most, offsets within 18 hours
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[-+](?:0[0-9]|1[0-7]):?[0-5][0-9])"
)


@dataclass(frozen=True, slots=True)
class Holds:
    """What a field holds: its type, what is wanted in it, in words, and whether a value is that."""

    type: str
    wanted: str
    fits: Callable[[Value], bool]


def holds(field: Json, *, raw: bool = False, whole: bool = False) -> Holds | None:
    """What a mapped leaf holds; None for a type whose values only the server can judge.

    Args:
        field: its mapping.
        raw: whether numbers and true or false are taken as their text: customers and ids are always text.
        whole: whether text beyond `ignore_above` is refused; else it is kept, but not found.
    """
    type_ = str(field.get("type"))
    if type_ in ("keyword", "constant_keyword", "wildcard"):
        longest = int(field.get("ignore_above", TERM_BYTES)) if whole or raw else TERM_BYTES
        return _raw_text(type_, longest) if raw else _text(type_, longest)
    if type_ in ("date", "date_nanos"):
        formats = str(field.get("format", _DEFAULT_DATES)).split("||")
        return _DATE if not set(_ISO_DATES).isdisjoint(formats) else None
    if type_ == "scaled_float":
        return _scaled(Decimal(str(field["scaling_factor"])))
    return _PLAIN.get(type_)


def _text(type_: str, longest: int) -> Holds:
    wanted = f"text of at most {longest:,} {'bytes' if longest == TERM_BYTES else 'characters'}"
    return Holds(type_, wanted, lambda value: type(value) is str and _is_short(value, longest))


def _raw_text(type_: str, longest: int) -> Holds:
    def fits(value: Value) -> bool:
        text = raw_text(value)
        return _is_short(text, longest) and (not isinstance(value, Number) or len(text) <= _NUMBER_CHARACTERS)

    return Holds(type_, _text(type_, longest).wanted, fits)


def _is_short(text: str, longest: int) -> bool:
    """Whether a text is indexed: its bytes count for Lucene, and its UTF-16 units for `ignore_above`."""
    if len(text) * 4 <= min(longest, TERM_BYTES):
        return True
    return len(text.encode()) <= TERM_BYTES and len(text.encode("utf-16-le")) <= longest * 2


def exact(value: Value) -> Decimal | None:
    """A number's value; None for anything else, and for numbers beyond all bounds."""
    if not isinstance(value, Number):
        return None
    try:
        return Decimal(value)
    except DecimalException:
        return None


def _whole(low: int, high: int) -> Callable[[Value], bool]:
    def fits(value: Value) -> bool:
        if not isinstance(value, Number):
            return False
        if len(value) <= 18 and value.isdigit():
            return int(value) <= high
        number = exact(value)
        return number is not None and low <= number <= high and number == number.to_integral_value()

    return fits


def fits_double(value: Value) -> bool:
    """Whether a double holds a number without rounding it to another one of at most 17 digits."""
    if not isinstance(value, Number):
        return False
    if len(value) <= 15 and "e" not in value and "E" not in value:
        return True
    number = exact(value)
    if number is None or significant_digits(value) > _DIGITS or abs(number) >= EXACT:
        return False
    return number == 0 or float(value) != 0


def _single(code: str) -> Callable[[Value], bool]:
    def fits(value: Value) -> bool:
        number = exact(value)
        if number is None or not math.isfinite(float(number)):
            return False
        try:
            (kept,) = struct.unpack(code, struct.pack(code, float(number)))
        except OverflowError:
            return False
        return Decimal(kept) == number

    return fits


def _scaled(factor: Decimal) -> Holds:
    def fits(value: Value) -> bool:
        number = exact(value)
        if number is None or not fits_double(value):
            return False
        return number * factor == (number * factor).to_integral_value() and abs(number * factor) < EXACT

    return Holds("scaled_float", f"a number that is whole when multiplied by {factor}", fits)


def _is_time(value: Value) -> bool:
    return type(value) is str and _TIME.fullmatch(value) is not None and instant(value) is not None


def _is_ip(value: Value) -> bool:
    return type(value) is str and "%" not in value and is_address(value)  # a zone of an address would be dropped


def _whole_of(type_: str, bits: int) -> Holds:
    return Holds(type_, f"a whole number below 2^{bits}", _whole(-(2**bits), 2**bits - 1))


LONG: Final = _whole_of("long", 63)
DOUBLE: Final = Holds("double", f"a number of at most {_DIGITS} digits below 2^53", fits_double)
_DATE: Final = Holds("date", "an RFC 3339 time with an offset, such as 2026-10-01T12:00:00.000Z", _is_time)
_PLAIN: Final[Mapping[str, Holds]] = {
    "long": LONG,
    "integer": _whole_of("integer", 31),
    "short": _whole_of("short", 15),
    "byte": _whole_of("byte", 7),
    "unsigned_long": Holds("unsigned_long", "a whole number from 0 to below 2^64", _whole(0, 2**64 - 1)),
    "double": DOUBLE,
    "float": Holds("float", "a number that it does not round", _single("f")),
    "half_float": Holds("half_float", "a number that it does not round", _single("e")),
    "boolean": Holds("boolean", "true or false", lambda value: isinstance(value, bool)),
    "ip": Holds("ip", "an IP address", _is_ip),
    "text": Holds("text", "text", lambda value: type(value) is str),
    "match_only_text": Holds("match_only_text", "text", lambda value: type(value) is str),
}
