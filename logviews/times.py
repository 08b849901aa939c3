"""When a message happened: its time field as a UTC instant cut to milliseconds, in Python and in SQL alike."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import MAX_EMAX, MIN_EMIN, ROUND_FLOOR, Context, Decimal, DecimalException
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from logviews.embedded.sqltext import text
from logviews.messages import Number, Value, parse, values

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339: Final = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]+)?"
    r"(?:[Zz]|[-+](?:[01][0-9]|2[0-3]):?[0-5][0-9])?"
)
# How most times are written, within their quotes: DuckDB casts these exactly, three times as fast as the long way.
_COMMON: Final = r"\"[12][0-9]{3}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,3})?Z\""
_OFFSET: Final = r"(?:[Zz]|[-+](?:[01][0-9]|2[0-3]):?[0-5][0-9])$"
# the instants that Python's datetime can hold, in milliseconds
_FIRST_MS: Final = -62_135_596_800_000
_LAST_MS: Final = 253_402_300_799_999
# the years 1800 to 2199: wall clock times that SQL converts
_FIRST_LOCAL_MS: Final = -5_364_662_400_000
_LAST_LOCAL_MS: Final = 7_258_118_399_999
# 40 digits, rounded downwards, are enough to cut any number below 10^20 to an integer
_CUTTING: Final = Context(prec=40, rounding=ROUND_FLOOR, Emin=MIN_EMIN, Emax=MAX_EMAX)
# What Python and DuckDB read alike of each strptime directive; whatever else Python may read is left to it.
_QUICK_DIRECTIVES: Final = {
    "Y": "(?:1[89]|20|21)[0-9]{2}",
    "m": "(?:0[1-9]|1[0-2])",
    "b": "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
    "d": "(?:0[1-9]|[12][0-9]|3[01])",
    "H": "(?:[01][0-9]|2[0-3])",
    "M": "[0-5][0-9]",
    "S": "[0-5][0-9]",
    "f": "[0-9]{1,6}",
    "z": "[-+](?:[01][0-9]|2[0-3]):?[0-5][0-9]",
    "%": "%",
}


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970, cut."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def from_milliseconds(number: int) -> datetime:
    """The UTC instant so many milliseconds after 1970."""
    return _EPOCH + timedelta(milliseconds=number)


@dataclass(frozen=True, slots=True)
class TimeRule:
    """How a store writes times: `rfc3339`, `epoch_s`, `epoch_ms` or a strptime pattern, and the zone of local ones."""

    format: str = "rfc3339"
    zone: str | None = None

    def read(self, value: Value) -> datetime:
        """The instant that a value means.

        Raises:
            ValueError: with the reason, when it means none.
        """
        number = self._number(value)
        if not _FIRST_MS <= number <= _LAST_MS:
            raise ValueError("lies beyond the years 1 to 9999")
        return from_milliseconds(number)

    def _number(self, value: Value) -> int:
        if self.format in ("epoch_s", "epoch_ms"):
            return self._epoch(value)
        if isinstance(value, bool | Number):
            raise ValueError(f"is {value}, not text; state the store's time_format, such as epoch_s or epoch_ms")  # noqa: TRY004 (a bad value, not a bad call)
        moment = self._rfc3339(value) if self.format == "rfc3339" else self._pattern(value)
        if moment.tzinfo is None:
            if self.zone is None:
                raise ValueError(f"{value!r} has no offset, and the store states no zone for such times")
            moment = moment.replace(tzinfo=ZoneInfo(self.zone))
        return _milliseconds_of_zoned(moment)

    def _epoch(self, value: Value) -> int:
        if not isinstance(value, Number):
            raise ValueError(f"is {value!r}, not a number as {self.format} wants it")  # noqa: TRY004 (a bad value, not a bad call)
        try:
            scaled = _CUTTING.multiply(Decimal(value), Decimal(1000 if self.format == "epoch_s" else 1))
        except DecimalException as error:
            raise ValueError(f"is {value[:40]}, which is no time") from error
        if not _FIRST_MS <= scaled <= _LAST_MS + 1:
            raise ValueError("lies beyond the years 1 to 9999")
        return int(scaled.to_integral_value(rounding=ROUND_FLOOR))

    def _rfc3339(self, value: str) -> datetime:
        if not re.fullmatch(_RFC3339, value):
            raise ValueError(f"{value!r} is no RFC 3339 time such as 2026-10-01T12:00:00Z")
        try:
            return datetime.fromisoformat(value.upper())
        except ValueError as error:
            raise ValueError(f"{value!r} is no time: {error}") from error

    def _pattern(self, value: str) -> datetime:
        try:
            return datetime.strptime(value, self.format)  # noqa: DTZ007 (the store's zone is given by the caller)
        except ValueError as error:
            raise ValueError(f"{value!r} does not fit the time_format {self.format!r}") from error

    def sql(self, column: str, exact: str | None = None) -> str:
        """SQL for the milliseconds since 1970 of a column text (JSON); NULL where `read` would refuse it.

        `exact` is a function of the connection that does `read` (see `exact_milliseconds`), for the few texts that
        DuckDB reads otherwise than Python. Without it those are NULL too; RFC 3339 times with an offset need none.
        """
        if self.format in ("epoch_s", "epoch_ms"):
            scale = 1000 if self.format == "epoch_s" else 1
            digits = (
                f"CASE WHEN regexp_full_match({column}, '-?[0-9]{{1,14}}') THEN CAST({column} AS BIGINT) * {scale} "
            )
            fraction = f"CAST(floor(CAST({column} AS DECIMAL(24, 6)) * {scale}) AS BIGINT)"
            quick = f"{digits} WHEN regexp_full_match({column}, '-?[0-9]{{1,14}}[.][0-9]{{1,6}}') THEN {fraction} END"
        else:
            plain = f"CASE WHEN starts_with({column}, '\"') THEN {unquoted_sql(column)} END"
            quick = self._rfc3339_sql(plain) if self.format == "rfc3339" else self._pattern_sql(plain)
        every = f"coalesce({_within(quick)}, {exact}({column}))" if exact else _within(quick)
        if self.format != "rfc3339":
            return every
        common = f"regexp_full_match({column}, {text(_COMMON)})"
        return f"CASE WHEN {common} THEN epoch_ms(TRY_CAST({column}[2:-2] AS TIMESTAMP)) ELSE {every} END"

    def exact_milliseconds(self, column: str | None) -> int | None:
        """What `sql` gives, in Python, for one column text: of a single value, or of none."""
        found = values(parse('{"v":' + column + "}"), "v") if column else []
        try:
            return milliseconds(self.read(found[0])) if len(found) == 1 else None
        except ValueError:
            return None

    def _rfc3339_sql(self, plain: str) -> str:
        local = "TRY_CAST(replace(substr(upper(t), 1, 19), 'T', ' ') AS TIMESTAMP)"
        fraction = (
            "CASE WHEN substr(t, 20, 1) = '.' "
            r"THEN CAST(rpad(substr(regexp_extract(t, '\.([0-9]+)', 1), 1, 3), 3, '0') AS BIGINT) ELSE 0 END"
        )
        sign = "CASE substr(t, strlen(t) - strlen(o) + 1, 1) WHEN '-' THEN -1 ELSE 1 END"
        minutes = f"({sign}) * (CAST(substr(o, 2, 2) AS BIGINT) * 60 + CAST(substr(o, -2) AS BIGINT))"
        return f"""list_transform([{plain}], lambda t: CASE
            WHEN starts_with(t, '0000') OR NOT regexp_full_match(t, {text(_RFC3339)}) THEN NULL
            WHEN right(t, 1) IN ('Z', 'z') THEN epoch_ms({local}) + {fraction}
            WHEN regexp_matches(t, {text(_OFFSET)}) THEN epoch_ms({local}) + {fraction}
                - list_transform([regexp_extract(t, {text(_OFFSET)})], lambda o: {minutes})[1] * 60000
            ELSE {self._local_sql(f"epoch_ms({local}) + {fraction}")} END)[1]"""

    def _pattern_sql(self, plain: str) -> str:
        quick = self._quick_pattern()
        if quick is None:
            return "CAST(NULL AS BIGINT)"
        parsed = f"CASE WHEN regexp_full_match(t, {text(quick)}) THEN try_strptime(t, {text(self.format)}) END"
        cut = f"(epoch_us({parsed}) - ((epoch_us({parsed}) % 1000) + 1000) % 1000) // 1000"
        return f"list_transform([{plain}], lambda t: {cut if '%z' in self.format else self._local_sql(cut)})[1]"

    def _quick_pattern(self) -> str | None:
        """A regular expression for the texts that DuckDB's strptime reads as Python's does; None when it may not."""
        tokens = re.findall(r"%.|[^%]", self.format, flags=re.DOTALL)
        directives = {token[1] for token in tokens if token[0] == "%"}
        if not directives <= set(_QUICK_DIRECTIVES) or directives >= {"m", "b"} or re.search(r"\s\s", self.format):
            return None
        return "".join(_QUICK_DIRECTIVES[token[1]] if token[0] == "%" else re.escape(token) for token in tokens)

    def _local_sql(self, local: str) -> str:
        if self.zone is None:
            return "NULL"
        switches, offsets = local_offsets(self.zone)
        tree = stairs_sql("l", switches, offsets)
        known = f"l BETWEEN {_FIRST_LOCAL_MS} AND {_LAST_LOCAL_MS}"
        return f"list_transform([{local}], lambda l: CASE WHEN {known} THEN l - {tree} END)[1]"


def _within(sql: str) -> str:
    return f"list_transform([{sql}], lambda m: CASE WHEN m BETWEEN {_FIRST_MS} AND {_LAST_MS} THEN m END)[1]"


def _milliseconds_of_zoned(moment: datetime) -> int:
    offset = moment.utcoffset() or timedelta(0)
    local = moment.replace(tzinfo=UTC) - _EPOCH
    delta = local - offset
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def unquoted_sql(column: str) -> str:
    """SQL for the text of a JSON string."""
    return f"CASE WHEN contains({column}, '\\') THEN json_extract_string({column}, '$') ELSE {column}[2:-2] END"


def stairs_sql(variable: str, bounds: Sequence[int], values: Sequence[int]) -> str:
    """SQL for `values[i]`, where `i` is how many of the ascending `bounds` are <= the variable: a tree of CASEs."""
    if not bounds:
        return str(values[0])
    middle = len(bounds) // 2
    below = stairs_sql(variable, bounds[:middle], values[: middle + 1])
    above = stairs_sql(variable, bounds[middle + 1 :], values[middle + 1 :])
    return f"CASE WHEN {variable} < {bounds[middle]} THEN {below} ELSE {above} END"


@lru_cache(maxsize=64)
def local_offsets(zone: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A zone's UTC offsets by the wall clock, in milliseconds: where they change, and those before and after.

    As `fold=0` has it: a time that happens twice means the first, one that is skipped is read by the offset before.
    Covers 1800 to 2200; found by looking at each day and halving.
    """
    info = ZoneInfo(zone)
    day = timedelta(days=1)
    switches, offsets = [], []
    at, end = from_milliseconds(_FIRST_LOCAL_MS), from_milliseconds(_LAST_LOCAL_MS)
    offset = at.astimezone(info).utcoffset() or timedelta(0)
    offsets.append(offset)
    while at < end:
        following = at + day
        if (following.astimezone(info).utcoffset() or timedelta(0)) != offset:
            before, after = at, following
            while after - before > timedelta(seconds=1):
                middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
                if (middle.astimezone(info).utcoffset() or timedelta(0)) == offset:
                    before = middle
                else:
                    after = middle
            new = after.astimezone(info).utcoffset() or timedelta(0)
            switches.append(milliseconds(after) + max(offset, new) // timedelta(milliseconds=1))
            offsets.append(new)
            offset, at = new, after
        else:
            at = following
    return tuple(switches), tuple(value // timedelta(milliseconds=1) for value in offsets)


def stair(bounds: Sequence[int], value: int) -> int:
    """How many of the ascending bounds are <= the value; the twin of `stairs_sql`."""
    return bisect_right(bounds, value)
