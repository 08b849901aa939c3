"""Fields that hold one kind of value only are counted by shorter SQL, which gives what plain Python gives."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from stores import Loaded, expected, load, tallies

from config import filters
from config.filters import Filter
from config.models import Aggregation
from ledger.database import Database
from logviews.store import CountQuery

START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
INTEGERS = ["0", "-0", "7", "-7", "70", "200", "9007199254740993", "99999999999999999", "-99999999999999999"]
WORDS = ["a", "/v1/x", "/v10", "/v2/", "/v1", "é", "😀", 'q"uote', "back\\slash", "7", ""]
# what stands in other messages, and decides whether the short way may be taken
COMPANY = {"whole": [], "fraction": ["7.0", "-2.5", "7e0"], "array": ["[7,-0]", "[8,9]"], "nothing": ["null"]}


def store_of(ledger: Database, folder: Path, numbers: list[str], words: list[str]) -> Loaded:
    lines = []
    for number, text in enumerate(numbers + [json.dumps(word, ensure_ascii=False) for word in words]):
        field = "number" if number < len(numbers) else "word"
        lines.append(
            f'{{"time":"2026-10-02T00:00:{number:02}Z","customer":"A","id":"{number}","{field}":{text},"all":1}}'
        )
    return load(ledger, folder, lines, fields=("number", "word", "all"), files=2)


def check(loaded: Loaded, where: Filter, aggregation: Aggregation = "messages", field: str | None = None) -> None:
    query = CountQuery("view", where, aggregation, field, 2, (START, END))
    assert tallies(loaded.store.count(query)) == expected(loaded, query), query


@pytest.mark.parametrize("company", COMPANY)
def test_integers_compare_as_numbers_whatever_stands_beside_them(
    ledger: Database, tmp_path: Path, company: str
) -> None:
    loaded = store_of(ledger, tmp_path, INTEGERS + COMPANY[company], ["a"])
    for literal in (0, 7, -7, 7.0, 7.5, 70, 9007199254740992, 9007199254740993, 10**25, 1e300, -1e300):
        equal = filters.OneOf("number", (literal,))
        check(loaded, equal)
        check(loaded, filters.Not(equal))
        check(loaded, filters.Any_((equal, filters.Exists("word"))))
        for operator in ("gt", "gte", "lt", "lte"):
            compared = filters.Compare("number", operator, literal)
            check(loaded, compared)
            check(loaded, filters.Not(compared))
    check(loaded, filters.OneOf("number", (0, 200, "7", True)))


@pytest.mark.parametrize("company", COMPANY)
@pytest.mark.parametrize("aggregation", ["distinct", "sum", "min", "max", "average", "latest"])
def test_integers_aggregate_as_numbers_whatever_stands_beside_them(
    ledger: Database, tmp_path: Path, company: str, aggregation: Aggregation
) -> None:
    loaded = store_of(ledger, tmp_path, INTEGERS + COMPANY[company], ["a"])
    check(loaded, filters.All(()), aggregation, "number")
    check(loaded, filters.Compare("number", "lte", 0), aggregation, "number")


@pytest.mark.parametrize("company", [[], ["null"], ['["/v1/y","b"]']], ids=["only", "null", "array"])
def test_strings_match_by_their_text_whatever_stands_beside_them(
    ledger: Database, tmp_path: Path, company: list[str]
) -> None:
    loaded = store_of(ledger, tmp_path, ["1"], [*WORDS, *map(json.loads, company)])
    for operator in ("prefix", "contains", "wildcard"):
        for text in ("/v1/", "/v1", "", "é", "😀", '"', "\\", "*1*", "?"):
            if operator != "wildcard" or not text.endswith("\\"):
                matched = filters.TextMatch("word", operator, text)
                check(loaded, matched)
                check(loaded, filters.Not(matched))
    for literals in (("a",), ("a", "", 'q"uote'), ("7", 7), (7,)):
        check(loaded, filters.OneOf("word", literals))
        check(loaded, filters.Not(filters.OneOf("word", literals)))
    check(loaded, filters.All(()), "distinct", "word")


def test_a_message_without_the_field_is_in_the_opposite_of_everything_said_of_it(
    ledger: Database, tmp_path: Path
) -> None:
    loaded = store_of(ledger, tmp_path, ["1", "2"], ["a", "b"])
    one = filters.OneOf("number", (1,))
    for where in (
        filters.Not(one),
        filters.Not(filters.Not(one)),
        filters.Not(filters.All((one, filters.Exists("all")))),
        filters.Not(filters.Any_((one, filters.OneOf("word", ("a",))))),
        filters.All((filters.Not(one), filters.Not(filters.TextMatch("word", "prefix", "a")))),
        filters.Not(filters.Any_((filters.Not(one), filters.Compare("number", "lt", 0)))),
    ):
        check(loaded, where)
