"""What every line must be before it enters a store, in plain Python: the rules, and where a bad line goes wrong.

The fast path (`scribe`) checks the same in SQL; when it refuses a file, the file is read again here, because
DuckDB does not tell line numbers that can be relied on.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

from config.models import EmbeddedStore, FieldType, Store
from config.values import instant
from logviews.messages import (
    MAX_LINE_BYTES,
    BadLine,
    Message,
    Number,
    Value,
    has_object,
    parse,
    significant_digits,
    values,
)
from logviews.times import TimeRule

_TYPE_NAMES: Final[Mapping[FieldType, str]] = {
    "string": "a string",
    "integer": "an integer below 2^63",
    "decimal": "a number of at most 17 digits",
    "boolean": "true or false",
    "time": "an RFC 3339 time with an offset",
    "ip": "an IP address",
}


class Rules(Protocol):
    """What a line must be."""

    def check(self, line: str) -> Message:
        """The message of a line that is fit to enter.

        Raises:
            BadLine: with column and reason.
        """
        ...


@dataclass(frozen=True, slots=True)
class LineRules:
    """What a store demands of a message."""

    time_field: str
    time: TimeRule
    customer_field: str
    id_field: str | None
    types: Mapping[str, FieldType]

    def check(self, line: str) -> Message:
        """The message of a line that is fit to enter.

        Raises:
            BadLine: with column and reason.
        """
        message = parse(line)
        self._check_time(line, message)
        if has_object(message, self.customer_field):
            raise BadLine(f"{self.customer_field} is an object, not a customer", column_of(line, self.customer_field))
        if self.id_field is not None:
            self._check_id(line, message, self.id_field)
        for field, type_ in self.types.items():
            if has_object(message, field):
                raise BadLine(f"{field} is an object, but declared {type_}", column_of(line, field))
            for value in values(message, field):
                if not is_of_type(value, type_):
                    raise BadLine(
                        f"{field} is {shown(value)}, but declared {type_}: {_TYPE_NAMES[type_]} is wanted",
                        column_of(line, field),
                    )
        return message

    def _check_time(self, line: str, message: Message) -> None:
        found = values(message, self.time_field)
        if len(found) != 1 or has_object(message, self.time_field):
            number = "no" if not found else "more than one"
            raise BadLine(f"the message has {number} {self.time_field}", column_of(line, self.time_field))
        try:
            self.time.read(found[0])
        except ValueError as error:
            raise BadLine(f"{self.time_field} {error}", column_of(line, self.time_field)) from error

    def _check_id(self, line: str, message: Message, field: str) -> None:
        found = values(message, field)
        if len(found) != 1 or found[0] == "" or has_object(message, field):
            number = "no" if not found or found[0] == "" else "more than one"
            raise BadLine(f"the message has {number} {field}, by which it is known again", column_of(line, field))


def rules_of(store: Store) -> LineRules:
    """The rules that a store's configuration states. Elasticsearch takes RFC 3339 times with an offset only."""
    return LineRules(
        time_field=store.fields.time,
        time=TimeRule(store.time_format, store.zone) if isinstance(store, EmbeddedStore) else TimeRule(),
        customer_field=store.fields.customer,
        id_field=store.fields.id,
        types=store.types,
    )


def is_of_type(value: Value, type_: FieldType) -> bool:
    """Whether a value is of a declared type."""
    if isinstance(value, bool):
        return type_ == "boolean"
    if isinstance(value, Number):
        if type_ == "integer":
            return value.lstrip("-").isdigit() and len(value) <= 20 and -(2**63) <= int(value) < 2**63
        return type_ == "decimal" and significant_digits(value) <= 17
    match type_:
        case "string":
            return True
        case "time":
            return instant(value) is not None
        case "ip":
            return is_address(value)
        case _:
            return False


def is_address(text: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def shown(value: Value) -> str:
    """A value for a sentence, cut when it is long."""
    shown_ = value if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)
    return shown_ if len(shown_) <= 60 else shown_[:57] + "…"


def column_of(line: str, field: str) -> int:
    """The 1-based column where a field's last key stands, 1 when it does not."""
    return max(line.find(json.dumps(field.rsplit(".", 1)[-1], ensure_ascii=False)), 0) + 1


@dataclass(frozen=True, slots=True)
class ScannedLine:
    """One line that is not blank: its number, where it lies in the stream, its content, and its message or a problem.

    `content` has no byte order mark and no line end, and is empty when the line is too long to be held.
    """

    number: int
    start: int
    end: int
    content: bytes
    problem: BadLine | None
    message: Message | None = None


def scan(stream: BinaryIO, rules: Rules) -> Iterator[ScannedLine]:
    """Reads a stream line by line; costs some 10 µs a line, and at most the longest allowed line in memory."""
    number, end = 0, 0
    while line := stream.readline(MAX_LINE_BYTES + 2):
        number, start, end = number + 1, end, end + len(line)
        if len(line.rstrip(b"\r\n")) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_LINE_BYTES)
                end += len(line)
            problem = BadLine(f"the line is longer than {MAX_LINE_BYTES // 1024 // 1024} MiB")
            yield ScannedLine(number, start, end, b"", problem)
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        content = line.rstrip(b"\r\n")
        if content.strip():
            yield _checked(number, start, end, content, rules)


def _checked(number: int, start: int, end: int, content: bytes, rules: Rules) -> ScannedLine:
    try:
        message = rules.check(content.decode())
    except UnicodeDecodeError as error:
        problem = BadLine("not UTF-8 text", len(content[: error.start].decode()) + 1)
        return ScannedLine(number, start, end, content, problem)
    except BadLine as error:
        return ScannedLine(number, start, end, content, error)
    return ScannedLine(number, start, end, content, None, message)
