"""Messages and views to compare stores with, made by hypothesis: fields of every shape, literals of every type.

Each field keeps to one type, as a mapping would have it; the tests of refusals mix them on purpose.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from config import filters
from config.filters import Filter

START = datetime(2026, 10, 1, tzinfo=UTC)

WORDS = [
    "",
    "a",
    "A",
    "ab",
    "a.b",
    "GET",
    "/v1/x",
    "/v1/",
    "é",
    "日本",
    "😀",
    'q"uote',
    "back\\slash",
    "tab\t",
    "\u001f",
    "nan",
    "5",
    "*",
    "a%b_c",
    " ",
]
NUMBERS = [
    "0",
    "-0",
    "1",
    "1.0",
    "1e0",
    "2",
    "2.5",
    "-2.5",
    "0.1",
    "100",
    "1e2",
    "200",
    "299.9",
    "9007199254740993",
    "-1",
    "1e-7",
    "3.14159265358979",
]
TIMES = [
    "2026-10-01T00:00:00Z",
    "2026-10-01T02:00:00+02:00",
    "2026-10-01T00:00:00.1239Z",
    "2026-10-01T00:00:00.123Z",
    "2026-10-02T00:00:00-05:30",
    "2026-10-01t00:00:00z",
]
ADDRESSES = ["10.0.1.1", "::ffff:10.0.1.1", "10.0.2.1", "2001:db8::1", "2001:DB8:0:0::1", "192.168.0.1", "::1"]

FIELDS = {
    "word": "string", "nested.deep.er": "string", "list.word": "string", "dotted.key": "string",
    "number": "decimal", "list.number": "decimal", "deep.number": "decimal",
    "flag": "boolean", "when": "time", "source.ip": "ip", "plain": "string", "whole": "integer",
}  # fmt: skip
NO_ARRAYS = ("plain", "whole")
"""Fields that hold a single value wherever they hold any: a store may take shorter ways there."""
INTEGERS = ["0", "-0", "1", "2", "-1", "100", "200", "9007199254740993", "-9007199254740993"]
TYPES = {"when": "time", "source.ip": "ip"}


def _values(type_: str) -> st.SearchStrategy[str]:
    """A value's JSON text."""
    if type_ == "string":
        return st.one_of(st.sampled_from(WORDS), st.text(max_size=4)).filter(_encodes).flatmap(_spellings)
    if type_ in ("decimal", "integer"):
        return st.sampled_from(NUMBERS if type_ == "decimal" else INTEGERS)
    if type_ == "boolean":
        return st.sampled_from(["true", "false"])
    return st.sampled_from(TIMES if type_ == "time" else ADDRESSES).map(json.dumps)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


def _spellings(text: str) -> st.SearchStrategy[str]:
    """The same string with and without escapes."""
    return st.sampled_from([json.dumps(text, ensure_ascii=False), json.dumps(text)])


def _several(type_: str) -> st.SearchStrategy[str]:
    """One value, null, or an array of values, nulls and arrays."""
    value = _values(type_)
    element = st.one_of(value, st.just("null"))
    array = st.lists(st.one_of(element, st.lists(element, max_size=2).map(_array)), max_size=3).map(_array)
    return st.one_of(value, value, value, st.just("null"), array)


def _array(items: list[str]) -> str:
    return "[" + ", ".join(items) + "]"


@st.composite
def _member(draw: st.DrawFn, field: str, type_: str) -> list[tuple[str, str]]:
    """Top-level members that give the field its values: nested, dotted, half dotted, or through an array of objects."""
    value = draw(_values(type_) if field in NO_ARRAYS else _several(type_))
    segments = field.split(".")
    form = draw(st.sampled_from(["nested", "nested", "dotted", "half", "objects"])) if len(segments) > 1 else "nested"
    if form == "dotted":
        return [(field, value)]
    if form == "half":
        cut = draw(st.integers(1, len(segments) - 1))
        segments = [".".join(segments[:cut]), ".".join(segments[cut:])]
    inner = value
    for segment in reversed(segments[1:]):
        inner = "{" + json.dumps(segment) + ": " + inner + "}"
    if form == "objects":
        other = draw(st.sampled_from(["{}", inner, '{"unrelated": 1}', "null"]))
        inner = _array([inner, other])
    return [(segments[0], inner)]


@st.composite
def lines(draw: st.DrawFn, number: int) -> str:
    """One message as a line of JSON."""
    moment = START + timedelta(milliseconds=draw(st.integers(0, 4 * 86_400_000)))
    if draw(st.booleans()):
        moment = moment.replace(minute=0, second=0, microsecond=0)
    members: list[tuple[str, str]] = [
        ("time", json.dumps(moment.isoformat().replace("+00:00", draw(st.sampled_from(["Z", "+00:00", "-00:00"]))))),
        ("id", json.dumps(f"id-{number}")),
    ]
    customer = draw(
        st.sampled_from(['"A"', '"B"', '"B"', '"Ö"', '"00123"', "123", '["A"]', '["A", "B"]', "null", '""', "true"])
    )
    if draw(st.integers(0, 9)):
        members.append(("customer", customer))
    names = draw(st.lists(st.sampled_from(sorted(FIELDS)), unique=True, max_size=6))
    used: set[str] = set()
    for name in names:
        for key, value in draw(_member(name, FIELDS[name])):
            # two members of one name in an object are another test's business
            if key not in used:
                used.add(key)
                members.append((key, value))
    members = draw(st.permutations(members))
    separator = draw(st.sampled_from([",", ", "]))
    return "{" + separator.join(f"{json.dumps(key)}:{value}" for key, value in members) + "}"


@st.composite
def datasets(draw: st.DrawFn, most: int = 25) -> list[str]:
    """A few messages, each with an id of its own."""
    size = draw(st.integers(1, most))
    return [draw(lines(number)) for number in range(size)]


def _literals(type_: str) -> st.SearchStrategy[Any]:
    if type_ == "string":
        return st.sampled_from(WORDS)
    if type_ in ("decimal", "integer"):
        return st.sampled_from(
            [0, 1, 2, 2.5, -2.5, 0.1, 100, 200, 300, 9007199254740993, 9007199254740992, 1e-7, 299.9]
        )
    if type_ == "boolean":
        return st.booleans()
    return st.sampled_from(TIMES if type_ == "time" else ADDRESSES)


@st.composite
def _leaf(draw: st.DrawFn) -> Filter:
    field = draw(st.sampled_from(sorted(FIELDS)))
    type_ = FIELDS[field]
    choices = ["equals", "equals", "exists"]
    own = {"string": ["text"], "decimal": ["range"], "integer": ["range"], "time": ["moment"], "ip": ["cidr"]}
    choices += own.get(type_, [])
    match draw(st.sampled_from(choices)):
        case "equals":
            return filters.OneOf(field, tuple(draw(st.lists(_literals(type_), min_size=1, max_size=3))))
        case "text":
            operator = draw(st.sampled_from(["prefix", "wildcard", "contains"]))
            text = draw(st.sampled_from([*WORDS, "*", "a*", "?", "*b", "a?", "/v1/*", "\\*", "a\\%*", "*\\\\*"]))
            return filters.TextMatch(field, operator, text)
        case "range":
            return filters.Compare(field, draw(st.sampled_from(["gt", "gte", "lt", "lte"])), draw(_literals("decimal")))
        case "moment":
            moment = START + timedelta(milliseconds=draw(st.sampled_from([0, 123, 124, 1, 86_400_000])))
            return filters.Compare(field, draw(st.sampled_from(["gt", "gte", "lt", "lte"])), moment)
        case "cidr":
            nets = draw(
                st.sampled_from([["10.0.0.0/8"], ["10.0.1.1"], ["2001:db8::/32"], ["::/0"], ["0.0.0.0/0", "::1"]])
            )
            return filters.parse({field: {"cidr": nets}})
        case _:
            return filters.Exists(field)


def filter_trees() -> st.SearchStrategy[Filter]:
    """Filters of every operator, combined."""
    return st.recursive(
        st.one_of(st.just(filters.EVERYTHING), _leaf()),
        lambda inner: st.one_of(
            inner.map(filters.Not),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: filters.All(tuple(parts))),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: filters.Any_(tuple(parts))),
        ),
        max_leaves=5,
    )
