"""Which kinds of value a field holds, as bits; checked before anything is counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

STRING: Final = 1
NUMBER: Final = 2
BOOLEAN: Final = 4
OBJECT: Final = 8
LONG: Final = 16  # a number of more than 17 significant digits, or an integer beyond 2^63
ARRAY: Final = 32
FRACTION: Final = 64  # a number that is not written as an integer

SCALARS: Final = STRING | NUMBER | BOOLEAN
NAMES: Final = {STRING: "strings", NUMBER: "numbers", BOOLEAN: "true/false", OBJECT: "objects"}


def all_whole(bits: int) -> bool:
    """Whether each text is an integer, and then within a BIGINT; fields with arrays are not told apart further."""
    return bits == NUMBER


def all_text(bits: int) -> bool:
    """Whether each text is a string."""
    return bits == STRING


def describe(kinds: int) -> str:
    """The kinds in words: `strings and numbers`."""
    return " and ".join(_names(kinds)) or "nothing"


def _names(kinds: int) -> Iterable[str]:
    return [name for bit, name in NAMES.items() if kinds & bit]
