"""A filter as SQL over the columns of the embedded store's parts (JSON texts, see `logviews.embedded.extract`).

Literals are written as quoted text, and long lists bound as parameters. A condition is true for a message that matches,
and false or NULL for one that does not: where NULL is as good as false (in a WHERE, under AND and OR) nothing more is
said, so that a plain comparison stays one that DuckDB decides inside the Parquet reader. Only NOT tells them apart.

The kinds of value that the scanned parts hold (`logviews.kinds`) are facts, so tests that they settle are left out.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final, assert_never

from config import filters
from config.filters import All, Any_, Compare, Exists, Filter, InNetwork, Network, Not, OneOf, TextMatch
from config.models import FieldType
from config.values import LiteralValue, instant
from logviews import kinds
from logviews.addresses import addresses_in
from logviews.embedded.extract import column
from logviews.embedded.sqltext import quote, text
from logviews.messages import text_of
from logviews.times import TimeRule, milliseconds, unquoted_sql

_NUMBER_SQL: Final = "regexp_matches({v}, '^[-0-9]')"
_BEYOND_BIGINT: Final = 2**63 + 1
_INTEGER_SQL: Final = "regexp_full_match({v}, '-?[0-9]{{1,18}}')"

Distinct = Callable[[str], list[str]]


@dataclass(slots=True)
class FilterSql:
    """Compiles filters; collects the named parameters that the SQL refers to.

    `held` has the kind bits of each field in what is scanned: only fields with arrays pay for looking inside, and only
    mixed ones for telling kinds apart. `distinct` gives the distinct column texts of a field in what is scanned, for
    what only `ipaddress` can decide.
    """

    types: Mapping[str, FieldType]
    held: Mapping[str, int]
    distinct: Distinct
    parameters: dict[str, object] = field(default_factory=dict)

    def condition(self, filter_: Filter) -> str:
        """SQL that is true for each message that matches, and false or NULL for each other one."""
        match filter_:
            case All(inner):
                return "(" + " AND ".join(self.condition(part) for part in inner) + ")" if inner else "true"
            case Any_(inner):
                return "(" + " OR ".join(self.condition(part) for part in inner) + ")"
            case Not(inner):
                return f"coalesce(NOT {self.condition(inner)}, true)"
            case Exists(name):
                return f"({quote(column(name))} IS NOT NULL)"
            case OneOf(name, values):
                return self._one_of(name, values)
            case Compare(name, operator, bound):
                whole = kinds.all_whole(self.held.get(name, 0))
                return self._any_value(name, lambda v: _compare_sql(v, operator, bound, whole=whole))
            case TextMatch():
                return self._text_match(filter_)
            case InNetwork(name, networks):
                return self._addresses(name, networks)
            case _:
                assert_never(filter_)

    def _any_value(self, name: str, test: Callable[[str], str]) -> str:
        """True when some value of the field passes; `test` must not bind parameters, as it is written twice."""
        v = quote(column(name))
        if not self.held.get(name, 0) & kinds.ARRAY:
            return f"({test(v)})"
        elements = f"list_filter(CAST(json_extract({v}, '$[*]') AS VARCHAR[]), lambda e: {test('e')})"
        return f"CASE WHEN starts_with({v}, '[') THEN len({elements}) > 0 ELSE {test(v)} END"

    def _one_of(self, name: str, values: tuple[LiteralValue, ...]) -> str:
        type_ = self.types.get(name)
        conditions = []
        texts = [value for value in values if isinstance(value, str)]
        if type_ == "ip" and texts:
            addresses = [_network(value) for value in texts]
            conditions.append(self._addresses(name, tuple(network for network in addresses if network)))
            texts = [value for value, network in zip(texts, addresses, strict=True) if network is None]
        elif type_ == "time" and texts:
            moments = [milliseconds(moment) for moment in map(instant, texts) if moment is not None]
            if moments:
                members = ", ".join(map(str, moments))
                conditions.append(self._any_value(name, lambda v: f"{_TIME.sql(v)} IN ({members})"))
            texts = [value for value in texts if instant(value) is None]
        plain = [text_of(value) for value in texts] + [text_of(value) for value in values if isinstance(value, bool)]
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        if kinds.all_whole(self.held.get(name, 0)):  # then a number has one spelling
            plain += [spelling for number in numbers for spelling in _spellings(number)]
            numbers = []
        if plain:
            members = ", ".join(text(value) for value in plain)
            conditions.append(self._any_value(name, lambda v: f"{v} IN ({members})"))
        conditions += [self._any_value(name, partial(_equals_sql, number)) for number in numbers]
        return "(" + " OR ".join(conditions) + ")" if conditions else "false"

    def _text_match(self, match: TextMatch) -> str:
        wanted = match.text
        if match.operator == "prefix" and not _needs_escape(wanted):
            # the column text of a string starts with its quote, and without escapes the rest is the string itself
            return self._any_value(match.field, lambda v: f"starts_with({v}, {text(chr(34) + wanted)})")
        tests: dict[str, Callable[[str], str]] = {
            "prefix": lambda s: f"starts_with({s}, {text(wanted)})",
            "contains": lambda s: f"contains({s}, {text(wanted)})",
            "wildcard": lambda s: f"{s} LIKE {text(like_pattern(wanted))} ESCAPE '\\'",
        }
        test = tests[match.operator]
        if kinds.all_text(self.held.get(match.field, 0)):
            return self._any_value(match.field, lambda v: test(f"({unquoted_sql(v)})"))
        return self._any_value(
            match.field,
            lambda v: f"CASE WHEN starts_with({v}, '\"') THEN {test(f'({unquoted_sql(v)})')} ELSE false END",
        )

    def _addresses(self, name: str, networks: tuple[Network, ...]) -> str:
        if not networks:
            return "false"
        matching = [value for value in self.distinct(name) if _is_in(value, networks)]
        if not matching:
            return "false"
        parameter = f"addresses{len(self.parameters)}"
        self.parameters[parameter] = matching
        return f"({quote(column(name))} IN (SELECT unnest(CAST(${parameter} AS VARCHAR[]))))"


_TIME: Final = TimeRule()


def _compare_sql(v: str, operator: filters.Comparison, bound: float | datetime, *, whole: bool) -> str:
    sign = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}[operator]
    if isinstance(bound, datetime):
        return f"{_TIME.sql(v)} {sign} {milliseconds(bound)}"
    integers, doubles = _exact_bounds(operator, bound)
    if whole:
        return f"CAST({v} AS BIGINT) {sign} {integers}"
    return (
        f"CASE WHEN {_INTEGER_SQL.format(v=v)} THEN CAST({v} AS BIGINT) {sign} {integers} "
        f"WHEN {_NUMBER_SQL.format(v=v)} THEN CAST({v} AS DOUBLE) {sign} {_double(doubles)} ELSE false END"
    )


def _exact_bounds(operator: filters.Comparison, bound: float) -> tuple[int, float]:
    """A bound for integers and one for doubles, so that each comparison is what exact arithmetic would say."""
    up = operator in ("gte", "lt")
    integer = bound if isinstance(bound, int) else (math.ceil(bound) if up else math.floor(bound))
    # every integer that is compared is a BIGINT, and DuckDB compares with literals beyond 128 bits wrongly
    integer = max(-_BEYOND_BIGINT, min(_BEYOND_BIGINT, integer))
    try:
        double = float(bound)
    except OverflowError:
        double = math.inf if bound > 0 else -math.inf
    if isinstance(bound, int) and math.isfinite(double) and int(double) != bound:
        # the nearest double on the side where no other double lies between it and the bound
        if up and int(double) < bound:
            double = math.nextafter(double, math.inf)
        elif not up and int(double) > bound:
            double = math.nextafter(double, -math.inf)
    return integer, double


def _spellings(number: float) -> tuple[str, ...]:
    """How an integer is written in JSON; not at all when the number is none."""
    if not (isinstance(number, int) or number.is_integer()):
        return ()
    return (str(int(number)),) if number else ("0", "-0")


def _equals_sql(number: float, v: str) -> str:
    integral = isinstance(number, int) or number.is_integer()
    conditions = []
    if integral and abs(number) < _BEYOND_BIGINT:
        conditions.append(
            f"CASE WHEN {_INTEGER_SQL.format(v=v)} THEN CAST({v} AS BIGINT) = {int(number)} ELSE false END"
        )
    try:
        double = float(number)
    except OverflowError:
        double = None
    if double is not None and double == number:
        fraction = f"{_NUMBER_SQL.format(v=v)} AND NOT {_INTEGER_SQL.format(v=v)}"
        conditions.append(f"CASE WHEN {fraction} THEN CAST({v} AS DOUBLE) = {_double(double)} ELSE false END")
    return "(" + " OR ".join(conditions) + ")" if conditions else "false"


def _double(number: float) -> str:
    return f"CAST('{number!r}' AS DOUBLE)"


def like_pattern(wildcard: str) -> str:
    r"""A LIKE pattern (escape `\`) for a pattern with `*` and `?`, in which `\` takes the next character literally."""
    out = []
    for piece in re.findall(r"\\.|.", wildcard, flags=re.DOTALL):
        if piece == "*":
            out.append("%")
        elif piece == "?":
            out.append("_")
        else:
            literal = piece[-1]
            out.append("\\" + literal if literal in "%_\\" else literal)
    return "".join(out)


def _needs_escape(value: str) -> bool:
    return json.dumps(value, ensure_ascii=False) != f'"{value}"'


def _network(address: str) -> Network | None:
    try:
        return ipaddress.ip_network(address)
    except ValueError:
        return None


def _is_in(column_text: str, networks: tuple[Network, ...]) -> bool:
    found = json.loads(column_text, parse_int=str, parse_float=str)
    return any(addresses_in(value, networks) for value in (found if isinstance(found, list) else [found]))
