"""The roster: who is counted."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import table
from config.errors import ConfigError, Problem
from config.load import Loaded, load
from config.models import TierSelection, View

HEADER = "id,aliases,name,tier,emails,zone,language,billing_day,from,until\n"
MAIN = """\
settings: {zone: Europe/Stockholm, language: sv}
tiers: {basic: {}, pro: {}}
customers: {file: FILE}
"""


def loaded(tmp_path: Path, text: str | bytes, file: str = "customers.csv") -> Loaded:
    (tmp_path / file).write_bytes(text.encode() if isinstance(text, str) else text)
    (tmp_path / "t.yaml").write_text(MAIN.replace("FILE", file))
    return load(tmp_path / "t.yaml", {})


def problems(tmp_path: Path, text: str | bytes, file: str = "customers.csv") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text, file)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def test_a_customer_has_what_is_written_and_the_settings_for_the_rest(tmp_path: Path) -> None:
    row = '00123,x; y,"Acme, ""the"" first",pro,a@example.com;B@Example.COM,Asia/Tokyo,de-AT,15,2026-01-01,2027-01-01\n'
    roster = loaded(tmp_path, HEADER + row + "B,,,,,,,,,\n").roster
    first, second = roster.customers.values()
    assert first.id == "00123"
    assert first.aliases == ("x", "y")
    assert first.name == 'Acme, "the" first'
    assert first.tier == "pro"
    assert first.emails == ("a@example.com", "B@example.com")
    assert (first.zone, first.language, first.billing_day) == ("Asia/Tokyo", "de-AT", 15)
    assert (first.valid_from, first.valid_until) == (date(2026, 1, 1), date(2027, 1, 1))
    assert (second.name, second.tier, second.emails) == ("B", None, ())
    assert (second.zone, second.language, second.billing_day) == ("Europe/Stockholm", "sv", 1)
    assert (second.valid_from, second.valid_until) == (None, None)


def test_columns_may_be_any_that_include_the_id_in_any_order(tmp_path: Path) -> None:
    roster = loaded(tmp_path, "tier,id\npro,A\n").roster
    assert roster.customers["A"].tier == "pro"


def test_csv_yaml_and_inline_say_the_same(tmp_path: Path) -> None:
    from_csv = loaded(tmp_path, "id,aliases,emails,from,billing_day\n007,a;b,x@example.com,2026-02-01,31\n").roster
    written = "- {id: 007, aliases: [a, b], emails: x@example.com, from: 2026-02-01, billing_day: 31}\n"
    from_yaml = loaded(tmp_path, written, "customers.yaml").roster
    (tmp_path / "inline.yaml").write_text(MAIN.replace("{file: FILE}", "\n  " + written))
    inline = load(tmp_path / "inline.yaml", {}).roster
    assert from_csv.customers == from_yaml.customers == inline.customers


def test_ids_keep_commas_quotes_newlines_emoji_and_sql(tmp_path: Path) -> None:
    ids = ["a,b", 'say "hi"', "two\nlines", "\N{PILE OF POO}", "'; DROP TABLE customer; --", " blank ", "åäö", "\u2028"]
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["id"])
    writer.writerows([id_] for id_ in ids)
    roster = loaded(tmp_path, stream.getvalue()).roster
    assert list(roster.customers) == sorted(ids, key=lambda id_: id_.encode())
    assert all(roster.find(id_) is roster.customers[id_] for id_ in ids)


def test_a_byte_order_mark_and_any_line_end_are_fine(tmp_path: Path) -> None:
    assert list(loaded(tmp_path, b"\xef\xbb\xbfid,tier\r\nA,pro\r\n\r\nB,basic").roster.customers) == ["A", "B"]


def test_an_id_or_alias_means_one_customer(tmp_path: Path) -> None:
    found = problems(tmp_path, "id,aliases\nA,x;y\nB,A\nx,\nC,y\nA,\nD,D\nE,e;e\n")
    assert found == [
        "customers.csv:3:3: 'A' already means a customer (first at customers.csv:2:1)",
        "customers.csv:4:1: 'x' already means a customer (first at customers.csv:2:1)",
        "customers.csv:5:3: 'y' already means a customer (first at customers.csv:2:1)",
        "customers.csv:6:1: 'A' already means a customer (first at customers.csv:2:1)",
        "customers.csv:7:3: the alias 'D' is written twice for this customer "
        "(remove one; the id itself needs no alias)",
        "customers.csv:8:3: the alias 'e' is written twice for this customer "
        "(remove one; the id itself needs no alias)",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            "customers.csv: the file is empty (begin with the header "
            "id,aliases,name,tier,emails,zone,language,billing_day,from,until)",
        ),
        (
            "id\n",
            "customers.csv: the roster has no customers "
            "(without the customers section every customer value found is a customer)",
        ),
        (
            "name\nA\n",
            "customers.csv:1:1: the column 'id' is missing "
            "(the first line names the columns: id,aliases,name,tier,emails,zone,language,billing_day,from,until)",
        ),
        ("Id\nA\n", "customers.csv:1:1: unknown column 'Id' (did you mean id?)"),
        (
            'id,name\nA,"x" y\n',
            "customers.csv:2:1: text follows a quoted cell (write a double quote inside quotes twice)",
        ),
        (
            "id\nA,B\n",
            "customers.csv:2:1: the row has 2 cells, and the header 1 cell "
            "(put a cell that holds a comma in double quotes)",
        ),
        (b"id\nA\xe5\n", "customers.csv:2:2: the byte 0xE5 is not UTF-8 (save the file as UTF-8)"),
        (
            'id,name,zone\nA,"two\nlines",Mars\n',
            "customers.csv:3:8: zone: there is no time zone 'Mars'; use an IANA name, such as Europe/Stockholm",
        ),
    ],
)
def test_a_broken_roster_is_told_by_its_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert message in problems(tmp_path, text)


def test_a_wrong_column_is_not_told_a_hundred_thousand_times(tmp_path: Path) -> None:
    found = problems(tmp_path, "id,tier\n" + "".join(f"{number},gold\n" for number in range(1_000)))
    assert len(found) == 101
    assert found[-1] == "customers.csv:101:4: what follows was not checked (mend the problems above first)"


def test_an_alias_finds_its_customer_and_a_stranger_nobody(tmp_path: Path) -> None:
    roster = loaded(tmp_path, "id,aliases\nA,x\n").roster
    assert roster.find("x") is roster.customers["A"]
    assert roster.find("X") is None


def view(customers: object = None) -> View:
    return View.model_validate({"store": "s", "customers": customers})


def test_a_view_selects_by_tier_by_list_or_everybody(tmp_path: Path) -> None:
    roster = loaded(tmp_path, "id,tier\nb,pro\na,basic\nc,\n").roster
    ids = {
        name: [c.id for c in roster.selected(view(what))]
        for name, what in {
            "all": None,
            "pro": {"tier": "pro"},
            "both": {"tier": ["pro", "basic"]},
            "listed": ["c", "a"],
        }.items()
    }
    assert ids == {"all": ["a", "b", "c"], "pro": ["b"], "both": ["a", "b"], "listed": ["a", "c"]}
    assert isinstance(view({"tier": "pro"}).customers, TierSelection)
    for what in (None, {"tier": "pro"}, ["c"]):
        chosen = roster.selected(view(what))
        assert [c for c in roster.customers.values() if roster.selects(view(what), c)] == list(chosen)


def test_without_a_customers_section_everybody_found_is_a_customer(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("settings: {zone: Asia/Tokyo, language: ja}\n")
    roster = load(tmp_path / "t.yaml", {}).roster
    assert roster.open
    anyone = roster.find("anyone")
    assert anyone is not None
    assert (anyone.id, anyone.name, anyone.zone, anyone.language, anyone.tier) == (
        "anyone",
        "anyone",
        "Asia/Tokyo",
        "ja",
        None,
    )
    assert roster.selected(view()) == ()
    assert [customer.id for customer in roster.selected(view(["b", "a"]))] == ["a", "b"]
    assert roster.selects(view(), anyone)
    assert not roster.selects(view(["b"]), anyone)


@given(st.lists(st.lists(st.text('ab,"\n é;', max_size=6), min_size=2, max_size=2), min_size=1, max_size=5))
def test_the_place_of_every_cell_is_where_it_begins(rows: list[list[str]]) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([["id", "name"], *rows])
    found = table.Table(stream.getvalue(), "f.csv", ["id", "name"], required="id", lists=())
    broken: list[Problem] = []
    for row, cells in zip(found.rows(broken), rows, strict=True):
        node = row.node()
        for column, cell in zip(("id", "name"), cells, strict=True):
            place = node.children[column].place
            assert place.line is not None
            assert place.column is not None
            rest = [found.lines[place.line - 1][place.column - 1 :], *found.lines[place.line :]]
            assert next(csv.reader(rest))[0] == cell
    assert not broken
