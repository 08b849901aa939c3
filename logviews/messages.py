"""One message in plain Python: read strictly from its line, and asked for the values of a field.

This is the definition that every store has to agree with. It is also the slow path of the embedded store, for the lines
that DuckDB's JSON functions would read differently (see `logviews.embedded.extract`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
MAX_DEPTH: Final = 500
"""How deep objects and arrays may lie in each other; beyond, Python's reader would run out of stack."""
_TOO_DEEP: Final = f"not readable: nested more than {MAX_DEPTH} deep"
BLANKS: Final = " \t\r\n\v\f"
"""What may stand around a message. RFC 8259 knows no \v and \f, but DuckDB passes over them."""


class Number(str):
    """A JSON number as it was written."""

    __slots__ = ()

    @property
    def value(self) -> int | float:
        """What it compares as: an exact integer when written as one, else a double."""
        return int(self) if self.lstrip("-").isdigit() else float(self)


Value = str | bool | Number
Message = Mapping[str, Any]


class BadLine(ValueError):  # noqa: N818 (it names a line, as the refusals of a file do)
    """A line that is no message, with the 1-based column where reading stopped and the reason."""

    def __init__(self, reason: str, column: int = 1) -> None:
        self.reason = reason
        self.column = column
        super().__init__(reason)


def _refuse_constant(name: str) -> NoReturn:
    raise BadLine(f"{name} is not a JSON number")


class Repeating(dict[str, Any]):
    """An object that was written with a key that comes twice; it holds the first value of each."""


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two equal keys in one object the first counts, as in DuckDB's reader."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeating(reversed(pairs))


_DECODER: Final = json.JSONDecoder(
    parse_int=Number, parse_float=Number, parse_constant=_refuse_constant, object_pairs_hook=_first_wins
)


def parse(line: str) -> Message:
    """The message of one line: a JSON object by RFC 8259, without NaN, Infinity or trailing commas.

    Raises:
        BadLine: with column and reason.
    """
    text = line.strip(BLANKS)
    try:
        message = _DECODER.decode(text)
        too_deep = text.count("[") + text.count("{") > MAX_DEPTH and _depth(message) > MAX_DEPTH
    except json.JSONDecodeError as error:
        raise BadLine(f"not JSON: {error.msg}", line.find(text) + error.pos + 1) from error
    except RecursionError as error:
        raise BadLine(_TOO_DEEP) from error
    except BadLine as error:
        if error.column > 1:
            raise
        raise BadLine(error.reason, _constant_column(line)) from error
    if too_deep:
        raise BadLine(_TOO_DEEP)
    if not isinstance(message, dict):
        raise BadLine("not a JSON object: a message is an object with fields")
    if "\\ud" in line or "\\uD" in line:
        _refuse_lone_surrogates(line)
    return message


def _depth(message: Any) -> int:
    deepest, waiting = 0, [(message, 1)]
    while waiting:
        node, depth = waiting.pop()
        if isinstance(node, dict | list):
            deepest = max(deepest, depth)
            waiting += [(inner, depth + 1) for inner in (node.values() if isinstance(node, dict) else node)]
    return deepest


_CONSTANT: Final = re.compile(r"-?(NaN|Infinity)")


def _constant_column(line: str) -> int:
    outside_strings = re.sub(r'"(\\.|[^"\\])*"', lambda match: "_" * len(match[0]), line)
    match = _CONSTANT.search(outside_strings)
    return match.start() + 1 if match else 1


def _refuse_lone_surrogates(text: str) -> None:
    try:
        json.dumps(json.loads(text.strip(BLANKS), parse_int=str), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise BadLine("not JSON: a \\ud… escape without its other half", text.lower().find("\\ud") + 1) from error


def values(message: Message, field: str) -> list[Value]:
    """All values of a dotted field, in order: nested objects, literal dotted keys, arrays and objects in arrays.

    JSON null and empty arrays give nothing. An object at the end of the path gives nothing (see `has_object`).
    """
    return [leaf for leaf in _leaves(message, field) if not isinstance(leaf, dict)]


def has_object(message: Message, field: str) -> bool:
    """Whether the field holds an object somewhere, which is nothing that can be counted."""
    return any(isinstance(leaf, dict) for leaf in _leaves(message, field))


def _leaves(node: Any, path: str) -> Iterator[Any]:
    if isinstance(node, list):
        for item in node:
            yield from _leaves(item, path)
    elif not path:
        if node is not None:
            yield node
    elif isinstance(node, dict):
        if path in node:
            yield from _leaves(node[path], "")
        dot = path.find(".")
        while dot > 0:
            head = path[:dot]
            if head in node:
                yield from _leaves(node[head], path[dot + 1 :])
            dot = path.find(".", dot + 1)


_CONTROL: Final = re.compile(r"\\u00[01][0-9a-f]")


def text_of(value: Value) -> str:
    """The value's JSON text, in the same spelling as DuckDB's, so that equal strings have equal texts."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    text = json.dumps(value, ensure_ascii=False)
    return _CONTROL.sub(lambda match: "\\u" + match[0][2:].upper(), text) if "\\u00" in text else text


def raw_text(value: Value) -> str:
    """The value as a customer or id: always text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def content(line: str) -> object:
    """The line's content without its spelling, to be compared with ==: for telling a duplicate from a conflict.

    Numbers compare as they are written, because 1 and 1.0 can make different customers.
    """
    return _CONTENT.decode(line.strip(BLANKS))


_CONTENT: Final = json.JSONDecoder(
    # no JSON value is a tuple
    parse_int=lambda text: ("number", text),
    parse_float=lambda text: ("number", text),
    object_pairs_hook=_first_wins,
)


def significant_digits(number: str) -> int:
    """How many significant digits a JSON number was written with; leading zeros do not count, trailing ones do."""
    mantissa = re.split("[eE]", number.lstrip("-"), maxsplit=1)[0]
    return len(mantissa.replace(".", "").lstrip("0"))
