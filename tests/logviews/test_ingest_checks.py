"""What is not counted but refused, and that declaring a type mends it where it should."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from stores import AT, load, settings

from config import filters
from config.filters import Filter
from config.models import Aggregation
from ledger.database import Database
from logviews.embedded.store import Embedded
from logviews.intake.files import IngestError
from logviews.intake.ingest import Ingest
from logviews.store import CountQuery, StoreUnavailable

START = datetime(2026, 10, 1, tzinfo=UTC)


def lines(*values: str, day: int = 5) -> list[str]:
    """Messages whose field `v` has these JSON texts."""
    return [
        f'{{"time":"2026-10-{day:02}T00:00:00Z","customer":"a","id":"{day}-{number}","v":{value}}}'
        for number, value in enumerate(values)
    ]


def query(
    where: Filter | None = None, aggregation: Aggregation = "messages", field: str | None = None, scale: int = 0
) -> CountQuery:
    edges = (START, START + timedelta(days=31))
    return CountQuery("view", where or filters.EVERYTHING, aggregation, field, scale, edges)


def counted(store: Embedded, asked: CountQuery) -> list[Any]:
    return [tally.quantity for tally in store.count(asked)]


def refusal(store: Embedded, asked: CountQuery) -> str:
    with pytest.raises(StoreUnavailable) as refused:
        list(store.count(asked))
    assert str(refused.value).startswith("view view: ")
    return str(refused.value)


EQUALS_5 = filters.OneOf("v", (5,))


def test_a_field_that_no_message_ever_had_is_refused_unless_it_is_declared(ledger: Database, tmp_path: Path) -> None:
    where = filters.OneOf("w", ("x",))
    assert "has ever had the field w" in refusal(load(ledger, tmp_path, lines("1")).store, query(where))
    assert "has ever had the field w" in refusal(load(ledger, tmp_path, lines("1")).store, query(None, "sum", "w"))
    null = load(ledger, tmp_path, lines("null", "[]")).store
    assert "has ever had the field v" in refusal(null, query(EQUALS_5))
    assert counted(load(ledger, tmp_path, lines("1"), types={"w": "string"}).store, query(where)) == []
    assert counted(load(ledger, tmp_path, []).store, query(where)) == []


def test_a_field_that_was_there_in_another_month_is_counted_as_absent_now(ledger: Database, tmp_path: Path) -> None:
    early = [line.replace("2026-10", "2026-08") for line in lines("5", day=6)]
    store = load(ledger, tmp_path, [*early, *lines("null")], files=2).store
    assert counted(store, query(EQUALS_5)) == []
    assert counted(store, query()) == [1]


@pytest.mark.parametrize("others", [['"5"'], ["true"], ['["5"]'], ['[5,"5"]']])
def test_mixed_types_are_refused_within_a_part_and_across_parts(
    ledger: Database, tmp_path: Path, others: list[str]
) -> None:
    for files in (1, 2):
        store = load(ledger, tmp_path, lines("5", *others), files=files).store
        assert "so a comparison would miss some; declare its type" in refusal(store, query(EQUALS_5))
    assert counted(store, query()) == [2]  # a view that does not use the field


def test_a_declared_type_keeps_other_messages_out(ledger: Database, tmp_path: Path) -> None:
    for type_, good, bad in (
        ("integer", "5", ["5.0", '"5"', "true", "{}", "9223372036854775808", '[5,"5"]']),
        ("decimal", "5.0", ['"5"', "0.123456789012345678", "true"]),
        ("string", '"5"', ["5", "true", "{}", '["5",5]']),
        ("boolean", "true", ['"true"', "1"]),
        ("time", '"2026-10-01T00:00:00Z"', ['"2026-10-01"', "5", '"2026-10-01T00:00:00"']),
        ("ip", '"::1"', ['"::g"', '"10.0.0.256"', '"10.0.0.01"', "10", '"10.0.0.1/8"']),
    ):
        for value in bad:
            with pytest.raises(IngestError, match=r":2:\d+: v is .* declared " + type_):
                load(ledger, tmp_path, lines(good, value), types={"v": type_})
        good_only = load(ledger, tmp_path, lines(good, f"[{good},null]", "null"), types={"v": type_}).store
        assert counted(good_only, query(filters.Exists("v"))) == [2]


def test_what_was_there_before_a_type_was_declared_is_still_refused(ledger: Database, tmp_path: Path) -> None:
    for before, type_, sentence in (
        ('"x"', "integer", "declared integer, but messages from before hold strings"),
        ("1.5", "integer", "declared integer, but messages from before hold decimals"),
        ("true", "string", "declared string, but messages from before hold true/false"),
    ):
        store = load(ledger, tmp_path, lines(before)).store
        declared = Embedded(store.name, settings(store.store.folder, types={"v": type_}), (), ledger)
        assert sentence in refusal(declared, query(filters.Exists("v")))


@pytest.mark.parametrize(
    "value",
    ["9223372036854775808", "-9223372036854775809", "0.123456789012345678", "1" * 40, "[1,123456789012345678901]"],
)
def test_long_numbers_are_refused_in_a_used_field_and_harmless_in_others(
    ledger: Database, tmp_path: Path, value: str
) -> None:
    store = load(ledger, tmp_path, lines(value)).store
    assert "more than 17 significant digits or beyond 2^63" in refusal(store, query(None, "sum", "v"))
    assert counted(store, query()) == [1]


def test_numbers_of_17_digits_are_counted_exactly(ledger: Database, tmp_path: Path) -> None:
    store = load(ledger, tmp_path, lines("90071992547409930", "90071992547409931", "0.00012345678901234567")).store
    assert counted(store, query(filters.OneOf("v", (90071992547409931,)))) == [1]
    whole = load(ledger, tmp_path, lines("90071992547409930", "90071992547409931")).store
    assert counted(whole, query(None, "sum", "v")) == [180143985094819861]


def test_comparisons_that_cannot_mean_anything_are_refused(ledger: Database, tmp_path: Path) -> None:
    texts, numbers = load(ledger, tmp_path, lines('"x"')).store, load(ledger, tmp_path, lines("5")).store
    moment = datetime(2026, 10, 1, tzinfo=UTC)
    assert "holds strings, which gt cannot compare with a number" in refusal(
        texts, query(filters.Compare("v", "gt", 5))
    )
    assert "holds numbers, which lt cannot compare with a time" in refusal(
        numbers, query(filters.Compare("v", "lt", moment))
    )
    assert "holds numbers, and prefix is for strings" in refusal(numbers, query(filters.TextMatch("v", "prefix", "5")))
    assert "holds numbers, and cidr is for addresses" in refusal(
        numbers, query(filters.parse({"v": {"cidr": ["::/0"]}}))
    )
    assert "sum needs numbers, but v holds strings" in refusal(texts, query(None, "sum", "v"))
    assert "latest needs numbers, but v holds strings" in refusal(texts, query(None, "latest", "v"))
    inside_not = filters.Not(filters.All((filters.Compare("v", "gt", 5),)))
    assert "cannot compare" in refusal(texts, query(inside_not))


def test_objects_are_refused_and_a_field_inside_them_counts(ledger: Database, tmp_path: Path) -> None:
    for value in ('{"w":5}', '[{"w":5}]', '[{"w":5},{"w":6}]', '["x",{"w":5}]'):
        store = load(ledger, tmp_path, lines(value)).store
        assert "v holds objects; name a field inside it" in refusal(store, query(filters.Exists("v")))
        assert counted(store, query(filters.OneOf("v.w", (5,)))) == [1]


def test_a_sum_of_fractions_needs_a_scale_that_holds_them(ledger: Database, tmp_path: Path) -> None:
    store = load(ledger, tmp_path, lines("1.25", "2")).store
    assert "v holds 1.25, which has decimals; state how many in `scale`" in refusal(store, query(None, "sum", "v"))
    assert "v holds 1.25, which has more than 1 decimals" in refusal(store, query(None, "sum", "v", 1))
    assert [str(quantity) for quantity in counted(store, query(None, "sum", "v", 2))] == ["13/4"]
    assert [str(quantity) for quantity in counted(store, query(None, "max", "v"))] == ["2"]


def test_an_equality_that_can_match_nothing_is_warned_of(
    ledger: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = load(ledger, tmp_path, lines("5")).store
    with caplog.at_level(logging.WARNING):
        assert counted(store, query(EQUALS_5)) == [1]
        assert caplog.messages == []
        assert counted(store, query(filters.OneOf("v", ("5",)))) == []
    [warning] = caplog.messages
    assert "v holds numbers, but is compared with '5', which matches nothing; the literal's type decides" in warning


def test_a_part_that_is_gone_makes_its_store_unavailable(ledger: Database, tmp_path: Path) -> None:
    store = load(ledger, tmp_path, lines("5")).store
    [part] = (store.store.folder / "parts").iterdir()
    part.unlink()
    with pytest.raises(StoreUnavailable, match="is missing; restore it from a backup"):
        list(store.count(query()))


def test_a_damaged_part_makes_its_store_unavailable(ledger: Database, tmp_path: Path) -> None:
    store = load(ledger, tmp_path, lines("5")).store
    [part] = (store.store.folder / "parts").iterdir()
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(StoreUnavailable, match=f"store {store.name} cannot be read"):
        list(store.count(query()))
    with pytest.raises(Exception, match="cannot be taken in"):
        Ingest(store.name, store.store, (), ledger).take(_file(tmp_path), AT)


def _file(tmp_path: Path) -> Path:
    path = tmp_path / "more"
    path.write_text(lines("6", day=7)[0] + "\n")
    return path
