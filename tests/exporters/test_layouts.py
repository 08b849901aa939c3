from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import UsageError
from exporters.layouts import LAYOUTS, layout_named
from exporters.seal import file_name, render
from ledger.periods import period_of_month
from ledger.quantities import decimal_text, parse_quantity
from ledger.records import Period, Quantity
from ledger.statements import Line, StatementKey

OCTOBER = period_of_month("2026-10", "Europe/Stockholm")


def line(customer: str, quantity: Quantity | None = 1, period: Period = OCTOBER) -> Line:
    return Line(customer, "calls", "basic", "api_calls", period, quantity, 100, 0, Decimal("0.00"))


def test_statistics_states_the_periods_end_in_the_customers_zone() -> None:
    lines = [
        line("A", 127_450), line("B", None), line("C", Fraction(5, 2), period_of_month("2026-10", "America/New_York")),
        line("D", -3, period_of_month("2026-10", "Asia/Kathmandu", 15)),
    ]  # fmt: skip
    assert render("statistics", lines) == (
        b"Customer ID,Total Calls,Timestamp\r\n"
        b"A,127450,2026-11-01T00:00:00+01:00\r\n"
        b"B,,2026-11-01T00:00:00+01:00\r\n"
        b"C,2.5,2026-11-01T00:00:00-04:00\r\n"
        b"D,-3,2026-11-15T00:00:00+05:45\r\n"
    )


def test_charges_state_plain_decimals() -> None:
    priced = Line("A", "calls", "basic", "api_calls", OCTOBER, 127_450, 100_000, 27_450, Decimal("274.50"))
    huge = Line("B", "calls", "pro", "api_calls", OCTOBER, 2**70, 0, 2**70, Decimal(f"{2**70}E-2"))
    without_data = Line("C", "calls", "pro", "api_calls", OCTOBER, None, 10, 0, Decimal("0E-3"))
    assert render("charges", [priced, huge, without_data]) == (
        b"Customer ID,Tier,Total Calls,Included Calls,Overage Calls,Overage Amount\r\n"
        b"A,basic,127450,100000,27450,274.50\r\n"
        b"B,pro,1180591620717411303424,0,1180591620717411303424,11805916207174113034.24\r\n"
        b"C,pro,,10,0,0.000\r\n"
    )


def test_only_cells_that_need_it_are_quoted() -> None:
    content = render("statistics", [line('a,b "c"'), line("x\ny"), line("x\ry"), line(" plain 'quoted' ;"), line("🦉")])
    cells = [row.rpartition(b",2026")[0] for row in content.split(b"+01:00\r\n")]
    assert cells[:-1] == [
        b'Customer ID,Total Calls,Timestamp\r\n"a,b ""c""",1',
        b'"x\ny",1',
        b'"x\ry",1',
        b" plain 'quoted' ;,1",
        "🦉,1".encode(),
    ]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), unique=True, max_size=20))
def test_every_customer_id_round_trips(ids: list[str]) -> None:
    content = render("statistics", [line(id_) for id_ in ids]).decode("utf-8")
    rows = list(csv.reader(io.StringIO(content, newline=""), strict=True))
    assert [row[0] for row in rows[1:]] == ids
    assert {len(row) for row in rows} == {3}


@given(st.one_of(st.integers(), st.builds(lambda n, p: Fraction(n, 10**p), st.integers(), st.integers(0, 30))))
def test_a_quantitys_text_is_exact_both_ways(quantity: Quantity) -> None:
    text = decimal_text(quantity)
    assert parse_quantity(text) == quantity
    assert "E" not in text and text == text.strip()


def test_a_quantity_without_an_end_has_no_text() -> None:
    with pytest.raises(ValueError, match="no finite decimal"):
        decimal_text(Fraction(1, 3))
    assert decimal_text(Fraction(1, 5**40)) == "0." + str(2**40).rjust(40, "0")


def test_every_layout_is_found_by_its_name_and_fills_its_columns() -> None:
    for name, layout in LAYOUTS.items():
        assert layout_named(name) is layout
        assert len(layout.row(line("A"))) == len(layout.columns)
    with pytest.raises(UsageError, match="there are statistics, charges"):
        layout_named("invoice")


def test_other_billing_days_have_files_of_their_own() -> None:
    assert file_name(StatementKey("billing", "2026-10", 1)) == "billing.csv"
    assert file_name(StatementKey("billing", "2026-10", 15)) == "billing-day15.csv"


def test_a_period_that_ends_when_the_clock_changes_has_the_offset_after_it() -> None:
    period = Period(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC), "Europe/Stockholm")
    assert b"A,1,2026-10-25T02:00:00+01:00" in render("statistics", [line("A", 1, period)])
