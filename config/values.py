"""How the text of a YAML scalar becomes a value: every type that a configuration may hold, read from its source text.

A price never passes through a float and `00123` stays an id, because the loader hands over the text that was written
(`Scalar`) and the model's type alone decides what it means.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, WithJsonSchema


class Scalar(str):
    """A YAML scalar's source text. `plain`: it stood without quotes, which matters only to filter literals."""

    plain: bool

    def __new__(cls, text: str, *, plain: bool = True) -> Scalar:
        scalar = super().__new__(cls, text)
        scalar.plain = plain
        return scalar


_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*(_[0-9]+)*)")
_DECIMAL: Final = re.compile(r"[-+]?(0|[1-9][0-9]*(_[0-9]+)*)(\.[0-9]+)?")
_NUMBER_LITERAL: Final = re.compile(r"[-+]?(0|[1-9][0-9]*(_[0-9]+)*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_DURATION: Final = re.compile(r"([0-9]+)(ms|s|m|h|d|w)")
_LONGEST: Final = timedelta(days=3_660)
_UNITS: Final = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])")
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|z|[-+][0-9]{2}:?[0-9]{2})"
)

_MAX_DIGITS: Final = 40  # far beyond any quantity, and far below where Python refuses to read a number

LiteralValue = str | int | float | bool  # a filter's literal, once its type is decided


def literal(value: object) -> LiteralValue:
    """A filter literal: quoted text is a string; plain text a bool, a number or else a string (YAML 1.2).

    Integers are exact; other numbers are doubles, as in JSON. `00123` is a string, as no number is written so.
    """
    if isinstance(value, bool | int | float):
        return value
    if not isinstance(value, str):
        raise ValueError("a value to compare with must be text, a number or true/false")  # noqa: TRY004 (pydantic's protocol)
    if not getattr(value, "plain", True):
        return str(value)
    if value in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return value.lower() == "true"
    if _INTEGER.fullmatch(value):
        if len(value) > _MAX_DIGITS:
            raise ValueError("is larger than any number a message can hold")
        return int(value)  # int() reads 100_000 too
    if _NUMBER_LITERAL.fullmatch(value):
        number = float(value)
        if number in (float("inf"), float("-inf")):
            raise ValueError("is larger than any number a message can hold")
        return number
    return str(value)


def instant(text: str) -> datetime | None:
    """The UTC instant, cut to milliseconds, of an RFC 3339 text with an offset; None for anything else."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        # more than six fractional digits are cut by fromisoformat (3.11 and later)
        parsed = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return parsed.replace(microsecond=parsed.microsecond // 1000 * 1000)


def _flag(value: object) -> object:
    if isinstance(value, str):
        if value in ("true", "True", "TRUE"):
            return True
        if value in ("false", "False", "FALSE"):
            return False
        raise ValueError("must be true or false")
    return value


def _integer(value: object) -> object:
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value):
            raise ValueError("must be a whole number, such as 100_000")
        if len(value) > _MAX_DIGITS:
            raise ValueError("is larger than any quantity")
        return int(value)
    return value


def _decimal(value: object) -> object:
    if isinstance(value, str):
        if not _DECIMAL.fullmatch(value):
            raise ValueError("must be a plain decimal number, such as 0.01")
        if len(value) > _MAX_DIGITS:
            raise ValueError("has more digits than any price")
        return Decimal(value.replace("_", ""))
    if isinstance(value, float):
        raise ValueError("must be written as text, because a float is not exact")  # noqa: TRY004 (pydantic's protocol)
    return value


def duration(value: object) -> object:
    """`15m`, `72h`, `7d` as a timedelta."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if not match:
            raise ValueError("must be a duration, such as 30s, 15m, 72h or 7d")
        if len(match[1]) > 9 or (found := timedelta(**{_UNITS[match[2]]: int(match[1])})) > _LONGEST:
            raise ValueError("is longer than ten years")
        return found
    return value


def duration_text(length: timedelta) -> str:
    """A duration as it is written, in the largest unit that divides it, and cut to seconds."""
    seconds = int(length.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0 and seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _zone(value: object) -> object:
    if isinstance(value, str):
        zone_info(value)
        return str(value)
    return value


def zone_info(name: str) -> ZoneInfo:
    """The IANA zone of that name; ValueError with a sentence when there is none."""
    try:
        found = ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        names = {known.lower(): known for known in available_timezones()}
        near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.75)
        way_out = f"did you mean {names[near[0]]}?" if near else "use an IANA name, such as Europe/Stockholm"
        raise ValueError(f"there is no time zone {str(name)!r}; {way_out}") from error
    if name in ("localtime", "posixrules") or name.startswith(("posix/", "right/")):
        raise ValueError("is a file of this machine and no zone name; use one such as Europe/Stockholm")
    return found


def _date(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            raise ValueError("must be a date, such as 2026-10-01")
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise ValueError("must be a date that exists") from error
    return value


@dataclass(frozen=True, slots=True)
class Limit:
    """A threshold's limit: an absolute quantity, or percent of the included quantity."""

    value: Decimal
    percent: bool

    def __str__(self) -> str:
        return f"{self.value}{'%' if self.percent else ''}"


def _limit(value: object) -> object:
    if isinstance(value, str):
        text = value.removesuffix("%").rstrip()
        if not _DECIMAL.fullmatch(text):
            raise ValueError("must be a number, or a percentage of the included quantity, such as 90%")
        if len(text) > _MAX_DIGITS:
            raise ValueError("has more digits than any quantity")
        return Limit(Decimal(text.replace("_", "")), percent=value.endswith("%"))
    if not isinstance(value, Limit):
        raise ValueError("must be a number, or a percentage such as 90%")  # noqa: TRY004 (pydantic's protocol)
    return value


@dataclass(frozen=True, slots=True)
class Days:
    """Days of a period, 1 for its first: inclusive ranges."""

    ranges: tuple[tuple[int, int], ...]

    def __contains__(self, day: int) -> bool:
        return any(first <= day <= last for first, last in self.ranges)


def _days(value: object) -> object:
    if isinstance(value, Days):
        return value
    ranges = []
    for item in value if isinstance(value, list | tuple) else str(value).split(","):
        match = re.fullmatch(r"\s*([0-9]{1,3})\s*(?:-\s*([0-9]{1,3}))?\s*", str(item))
        if not match:
            raise ValueError("must be days of the period, such as 25-28 or [1, 15, 25-28]")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= 366:
            raise ValueError("days count from 1, and a range goes from the earlier day to the later")
        ranges.append((first, last))
    return Days(tuple(ranges))


@dataclass(frozen=True, slots=True)
class Hours:
    """A half-open stretch of the day by the wall clock; one that ends before it starts runs past midnight."""

    start: time
    end: time | None  # None: midnight, the day's end

    def __contains__(self, at: time) -> bool:
        if self.end is None:
            return at >= self.start
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end


def _hours(value: object) -> object:
    if isinstance(value, Hours):
        return value
    first, dash, last = str(value).partition("-")
    start, end = _CLOCK.fullmatch(first.strip()), _CLOCK.fullmatch(last.strip())
    if not (dash and start and end) or start[1] == "24" or (end[1] == "24" and end[2] != "00"):
        raise ValueError("must be hours of the day, such as 06:00-22:00")
    if first.strip() == last.strip():
        raise ValueError("the hours are empty: they end when they start")
    return Hours(time(int(start[1]), int(start[2])), None if end[1] == "24" else time(int(end[1]), int(end[2])))


def one_or_many(value: object) -> object:
    """A single value where a list is expected."""
    return [value] if isinstance(value, str) else value


def _schema(pattern: str, example: str) -> Any:
    return WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": pattern}, {"type": "number"}], "examples": [example]}
    )


def _text_schema(example: str) -> Any:
    return WithJsonSchema({"type": "string", "examples": [example]})


Flag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"type": "boolean"})]
Integer = Annotated[int, BeforeValidator(_integer), _schema(r"^[-+]?[0-9_]+$", "100_000")]
Money = Annotated[Decimal, BeforeValidator(_decimal), _schema(r"^[-+]?[0-9_]+(\.[0-9]+)?$", "0.01")]
Duration = Annotated[timedelta, BeforeValidator(duration), _text_schema("72h")]
Zone = Annotated[str, BeforeValidator(_zone), _text_schema("Europe/Stockholm")]
Day = Annotated[date, BeforeValidator(_date), _text_schema("2026-10-01")]
LimitValue = Annotated[Limit, BeforeValidator(_limit), _schema(r"^[0-9_.]+ ?%?$", "90%")]
DaysValue = Annotated[
    Days,
    BeforeValidator(_days),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "array"}], "examples": ["25-28"]}),
]
HoursValue = Annotated[Hours, BeforeValidator(_hours), _text_schema("06:00-22:00")]
