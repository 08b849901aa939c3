"""Judging is exact: a max is breached above it and not at it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from building import STOCKHOLM, member, monthly, reading, utc, verdict
from hypothesis import given
from hypothesis import strategies as st

from config.models import MeterPrice, Monitor, Route, View
from ledger.periods import period_containing, period_of_month
from ledger.records import TOTAL, Period, Reason, customer
from monitors.forecast import straight
from monitors.gates import is_open
from monitors.judge import judge, unavailable
from monitors.quantities import percent_text
from monitors.units import unit_of

OCTOBER = period_of_month("2026-10", STOCKHOLM)
AT = utc(2026, 10, 25, 9)


def one_threshold(limit: str, severity: str = "warning") -> Monitor:
    return Monitor.model_validate(
        {
            "view": "v",
            "window": "month",
            "schedule": {"every": "15m"},
            "thresholds": {"t": {"severity": severity, "max": limit}},
        }
    )


def plan(included: int) -> MeterPrice:
    return MeterPrice(included=included, overage=Decimal("0.01"))


def judged(monitor: Monitor, quantity, included: int | None = None):
    found = reading(customer("A"), OCTOBER, quantity, AT)
    return judge("m", monitor, found, plan=None if included is None else plan(included), projected=None, at=AT)


quantities = st.one_of(
    st.integers(-(10**20), 10**20), st.fractions(min_value=-(10**6), max_value=10**6, max_denominator=10**6)
)


@given(
    quantity=quantities,
    percent=st.decimals(min_value=0, max_value=1000, places=3, allow_nan=False),
    included=st.integers(0, 10**18),
)
def test_a_percentage_is_judged_as_in_school(quantity, percent, included):
    found = judged(one_threshold(f"{percent}%"), quantity, included)
    assert found.thresholds[0].breached == (Fraction(quantity) * 100 > Fraction(percent) * included)
    assert found.state == ("warning" if found.thresholds[0].breached else "ok")


@given(quantity=quantities, limit=st.decimals(min_value=0, max_value=10**12, places=4, allow_nan=False))
def test_an_absolute_limit_needs_no_plan(quantity, limit):
    found = judged(one_threshold(f"{limit:f}", "error"), quantity)
    assert found.thresholds[0].breached == (Fraction(quantity) > Fraction(limit))
    assert found.included is None


@pytest.mark.parametrize(
    ("quantity", "state"),
    [
        (0, "ok"),
        (90_000, "ok"),
        (90_001, "warning"),
        (110_000, "warning"),
        (110_001, "error"),
        (Fraction(180_001, 2), "warning"),
    ],
)
def test_the_reference_limits_lie_where_they_should(quantity, state):
    found = verdict(monthly(), member("A"), quantity, AT)
    assert found.state == state
    assert [result.limit for result in found.thresholds] == [90_000, 110_000]
    assert found.reason == (Reason.WITHIN_LIMITS if state == "ok" else Reason.ABOVE_MAX)


def test_a_limit_is_a_whole_number_where_it_can_be():
    assert judged(one_threshold("33.3%"), 0, 1000).thresholds[0].limit == 333
    assert judged(one_threshold("33.3%"), 0, 1001).thresholds[0].limit == Fraction(333_333, 1000)


def test_no_value_breaches_nothing_and_says_so():
    found = verdict(monthly(), member("A"), None, AT)
    assert (found.state, found.reason, found.projected) == ("ok", Reason.NO_DATA, None)
    assert [result.breached for result in found.thresholds] == [False, False]


@pytest.mark.parametrize("tier", [None, "custom"])
def test_a_percentage_of_nothing_is_not_judged(tier):
    found = verdict(monthly(), member("A", tier), 10**9, AT)
    assert (found.state, found.reason, found.included) == ("ok", Reason.NOTHING_INCLUDED, None)
    assert [(result.limit, result.breached) for result in found.thresholds] == [(None, None), (None, None)]


def test_an_absolute_limit_is_judged_beside_a_percentage_that_is_not():
    thresholds = {"share": {"severity": "error", "max": "10%"}, "many": {"severity": "warning", "max": "5"}}
    found = verdict(monthly(thresholds=thresholds, notify={}), member("A", None), 6, AT)
    assert (found.state, found.reason) == ("warning", Reason.ABOVE_MAX)
    assert [result.breached for result in found.thresholds] == [None, True]


def test_including_nothing_is_not_the_same_as_having_no_plan():
    assert judged(one_threshold("100%"), 0, 0).thresholds[0].breached is False
    assert judged(one_threshold("100%"), 1, 0).thresholds[0].breached is True


def test_when_the_store_is_unavailable_nothing_is_known():
    it = monthly()
    found = unavailable(it.name, it.monitor, customer("A"), OCTOBER, plan=it.plan(member("A")), at=AT)
    assert (found.state, found.reason, found.quantity, found.counted_to) == (
        "unavailable",
        Reason.STORE_UNAVAILABLE,
        None,
        None,
    )
    assert [(result.limit, result.breached) for result in found.thresholds] == [(90_000, None), (110_000, None)]


@given(quantity=st.integers(0, 10**15), elapsed=st.integers(1, 31 * 86_400_000))
def test_a_projection_is_exact_and_never_below_what_was_counted(quantity, elapsed):
    at = min(OCTOBER.start + timedelta(milliseconds=elapsed), OCTOBER.end)
    projected = straight(reading(TOTAL, OCTOBER, quantity, at), "messages")
    whole, so_far = OCTOBER.end - OCTOBER.start, at - OCTOBER.start
    assert projected * (so_far // timedelta(milliseconds=1)) == quantity * (whole // timedelta(milliseconds=1))
    assert projected >= quantity


def test_nothing_is_projected_at_the_start_without_a_value_or_for_what_does_not_add_up():
    at = OCTOBER.start + timedelta(days=1)
    assert straight(reading(TOTAL, OCTOBER, 5, OCTOBER.start), "messages") is None
    assert straight(reading(TOTAL, OCTOBER, None, at), "sum") is None
    for aggregation in ("distinct", "min", "max", "average", "latest"):
        assert straight(reading(TOTAL, OCTOBER, 5, at), aggregation) is None


def test_when_all_is_counted_the_projection_is_the_quantity():
    assert straight(reading(TOTAL, OCTOBER, 12_345, OCTOBER.end), "sum") == 12_345


def test_a_contract_that_covers_half_a_period_is_projected_over_that_half():
    half = Period(utc(2026, 10, 16), utc(2026, 11, 1), "UTC")
    whole = Period(utc(2026, 10, 1), utc(2026, 11, 1), "UTC")
    found = reading(TOTAL, whole, 100, utc(2026, 10, 20))
    assert straight(found, "messages", half) == 400
    assert straight(found, "messages") == Fraction(100 * 31, 19)


@pytest.mark.parametrize(
    ("quantity", "included", "text"),
    [
        (92_340, 100_000, "92.34"),
        (127_450, 100_000, "127.45"),
        (99_999, 100_000, "99.99"),
        (999_999, 1_000_000, "99.99"),
        (0, 10, "0.00"),
        (1, 3, "33.33"),
        (2, 3, "66.66"),
        (-1, 3, "-33.33"),
        (5, 0, None),
        (None, 10, None),
        (5, None, None),
    ],
)
def test_a_percentage_is_cut_and_not_rounded(quantity, included, text):
    assert percent_text(quantity, included) == text


def route(**gates: str) -> Route:
    return Route.model_validate({"when": ["t"], "to": ["customer"], **gates})


def test_days_are_days_of_the_period_in_the_subjects_zone():
    tokyo = period_containing("billing month", AT, "Asia/Tokyo", 15)  # 15 October to 14 November
    assert is_open(route(days="11"), tokyo, utc(2026, 10, 24, 15))
    assert not is_open(route(days="11"), tokyo, utc(2026, 10, 24, 14, 59))
    assert is_open(route(days="25-28"), OCTOBER, utc(2026, 10, 24, 22))
    assert not is_open(route(days="25-28"), OCTOBER, utc(2026, 10, 24, 21, 59))
    assert not is_open(route(days="25-28"), OCTOBER, utc(2026, 10, 28, 23))


def test_hours_are_hours_of_the_subjects_wall_clock():
    assert is_open(route(hours="09:00-17:00"), OCTOBER, utc(2026, 10, 26, 8))  # 09:00, after the clocks went back
    assert not is_open(route(hours="09:00-17:00"), OCTOBER, utc(2026, 10, 26, 7, 59))
    assert not is_open(route(hours="09:00-17:00"), OCTOBER, utc(2026, 10, 26, 16))
    assert is_open(route(hours="22:00-06:00"), OCTOBER, utc(2026, 10, 26, 22))
    assert is_open(route(), OCTOBER, utc(2026, 10, 26, 22))


@pytest.mark.parametrize(
    ("fields", "unit"),
    [
        ({}, "messages"),
        ({"meter": "api_calls"}, "API calls"),
        ({"meter": "http_requests"}, "HTTP requests"),
        ({"meter": "stored-gb"}, "stored GB"),
        ({"meter": "api_calls", "unit": "anrop"}, "anrop"),
    ],
)
def test_a_unit_is_the_views_own_or_made_from_its_meter(fields, unit):
    assert unit_of(View.model_validate({"store": "s", **fields})) == unit
