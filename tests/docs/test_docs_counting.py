"""The examples of docs/counting.md are what the program counts, in plain Python and on the embedded store."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pages import ROOT, blocks, rows, section

from config.filters import OPERATORS
from config.load import Loaded, load
from config.models import Config
from config.roster import Roster
from ledger.database import open_database
from ledger.quantities import quantity_text
from ledger.records import Period
from logviews import reference
from logviews.embedded.store import Embedded
from logviews.fields import used_fields
from logviews.intake.ingest import Ingest
from logviews.messages import parse, raw_text, values
from logviews.readings import Integrity, ViewCount, count_view
from logviews.store import StoreUnavailable

PAGE = ROOT / "docs/counting.md"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
STORE = "stores: {s: {type: embedded, folder: events, fields: {time: time, customer: customer, id: id}}}\n"
FILTERS = [[cell.strip("`") for cell in cells] for cells in rows(section(PAGE, "## Filters"))]
FIELDS = [[cell.strip("`") for cell in cells] for cells in rows(section(PAGE, "## Fields and values"))]


def configuration(folder: Path, views: str) -> Loaded:
    (folder / "tallywatch.yaml").write_text(f"{STORE}views:\n{views}", encoding="utf-8")
    return load(folder / "tallywatch.yaml", {})


def counted(folder: Path, loaded: Loaded, lines: list[str], names: list[str]) -> dict[str, ViewCount]:
    config: Config = loaded.config
    (folder / "log.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    database = open_database(config.settings.database, simulation=False, now=NOW)
    try:
        fields = used_fields(config, "s")
        Ingest("s", config.stores["s"], fields, database).take(folder / "log.jsonl", NOW)
        store = Embedded("s", config.stores["s"], fields, database)
        period = Period(datetime(2026, 10, 1, tzinfo=UTC), NOW, "UTC")
        roster: Roster = loaded.roster
        return {
            name: count_view(store, name, config.views[name], roster, lambda _: period, default_zone="UTC")
            for name in names
        }
    finally:
        database.close()


def message(number: int, example: str) -> str:
    own = f'"time": "2026-10-02T00:00:00Z", "customer": "C", "id": "{number}"'
    return "{" + own + ", " + example.removeprefix("{")


@pytest.mark.parametrize("cells", FILTERS, ids=lambda cells: cells[0])
def test_each_example_of_the_filter_language_matches_what_it_says(cells: list[str], tmp_path: Path) -> None:
    _, where, matching, other = cells
    loaded = configuration(tmp_path, f"  v: {{store: s, where: {where}}}\n")
    filter_ = loaded.config.views["v"].where
    assert reference.matches(filter_, parse(matching), {})
    assert not reference.matches(filter_, parse(other), {})
    lines = [message(1, matching), message(2, other), message(3, other)]
    found = counted(tmp_path, loaded, lines, ["v"])["v"]
    assert found.integrity.total == 1


def test_each_operator_of_the_filter_language_has_an_example() -> None:
    named = {name for cells in FILTERS for name in re.findall(r"[a-z]+", cells[0])}
    assert {*OPERATORS, "all", "any"} <= named
    for cells in FILTERS:
        assert cells[0] not in OPERATORS or f"{cells[0]}:" in cells[1], cells


@pytest.mark.parametrize("cells", FIELDS, ids=lambda cells: cells[0])
def test_each_example_of_a_field_has_the_values_that_it_says(cells: list[str]) -> None:
    found = [float(raw_text(value)) for value in values(parse(cells[0]), "a.b")]
    assert found == ast.literal_eval(cells[1])


def test_each_example_of_an_aggregation_is_what_is_counted(tmp_path: Path) -> None:
    (example,) = (block for block in blocks(PAGE, "json") if block.notes.get("messages") == "example")
    table = [
        [cell.strip("`") for cell in cells] for cells in rows(section(PAGE, "## What is counted")) if len(cells) == 2
    ]
    assert len(table) >= 7
    views = "".join(f"  v{number}: {{store: s, count: {count}}}\n" for number, (count, _) in enumerate(table))
    loaded = configuration(tmp_path, views)
    found = counted(tmp_path, loaded, example.text.splitlines(), [f"v{number}" for number in range(len(table))])
    for number, (count, expected) in enumerate(table):
        name = f"v{number}"
        (reading,) = found[name].readings.values() or found[name].unknown.values()
        text = quantity_text(reading.quantity, loaded.config.views[name].aggregation)
        assert str(text) == expected, count


def test_the_integrity_figures_are_all_explained() -> None:
    explained = {cells[0].strip("`") for cells in rows(section(PAGE, "## Integrity figures"))}
    assert explained == set(Integrity.__slots__) - {"view"}


REFUSED = {
    "a field that no message of a non-empty store has ever had": (
        "where: {nowhere: a}", ["{}"], "has ever had the field nowhere"
    ),
    "a field with numbers in some messages and text in others": (
        "where: {f: 1}", ['{"f": 1}', '{"f": "1"}'], "holds strings and numbers"
    ),
    "a range over text, a text operator over numbers": (
        "where: {f: {gt: 1}}", ['{"f": "2"}'], "gt cannot compare with a number"
    ),
    "an aggregation other than `distinct` over text": ("count: {sum: f}", ['{"f": "2"}'], "sum needs numbers"),
    "a field that holds objects": ("where: {f: {exists: true}}", ['{"f": {"g": 1}}'], "holds objects"),
    "a number of more than 17 significant digits, or an integer beyond 2^63": (
        "count: {sum: f}", ['{"f": 9223372036854775808}'], "more than 17 significant digits"
    ),
    "a sum of values with decimals": ("count: {sum: f}", ['{"f": 0.5}'], "state how many in `scale`"),
}  # fmt: skip


def test_each_refusal_in_the_table_is_tested() -> None:
    named = {cells[0] for cells in rows(section(PAGE, "## Exactness"))}
    assert named - set(REFUSED) == {"a part of the store that is missing"}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_page_says_is_refused_is_refused(case: str, tmp_path: Path) -> None:
    view, examples, reason = REFUSED[case]
    loaded = configuration(tmp_path, f"  v: {{store: s, {view}}}\n")
    lines = [message(number, text if text != "{}" else '{"other": 1}') for number, text in enumerate(examples, 1)]
    with pytest.raises(StoreUnavailable, match=re.escape(reason)):
        counted(tmp_path, loaded, lines, ["v"])
