"""Sums move with their tallies, exactly, or say that they cannot tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.models import Aggregation
from ledger.tallies import Amount
from logviews.tallies.sums import EXTREMES, NOTHING, moved, plus, together

AGGREGATIONS = get_args(get_args(Aggregation)[0]) + get_args(get_args(Aggregation)[1])
START = datetime(2026, 10, 1, tzinfo=UTC)


@st.composite
def amounts(draw: st.DrawFn, aggregation: Aggregation) -> Amount:
    messages = draw(st.integers(0, 3))
    values = 0 if not messages else draw(st.integers(0, 3))
    if not values:
        return Amount(messages, 0, None)
    if aggregation in ("messages", "distinct"):
        return Amount(messages, values, values)
    quantity = draw(st.sampled_from([0, 1, -1, 2**70, Fraction(1, 3), Fraction(-5, 4)]))
    if aggregation != "latest":
        return Amount(messages, values, quantity)
    newest = START + timedelta(hours=draw(st.integers(0, 2)))
    return Amount(messages, values, quantity, newest, draw(st.sampled_from(["", "a", "b"])))


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@given(data=st.data())
def test_a_sum_that_moves_is_what_its_tallies_come_to(aggregation: Aggregation, data: st.DataObject) -> None:
    tallies = data.draw(st.lists(amounts(aggregation), min_size=1, max_size=4))
    place, new = data.draw(st.integers(0, len(tallies) - 1)), data.draw(amounts(aggregation))
    before = together(aggregation, tallies)
    found = moved(aggregation, before, tallies[place], new)
    expected = together(aggregation, [*tallies[:place], new, *tallies[place + 1 :]])
    if found is None:  # only what the tally itself had held may have to be looked up
        assert aggregation in EXTREMES and tallies[place].values
    else:
        assert same(found) == same(expected)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@given(data=st.data())
def test_a_tally_that_only_grows_never_needs_the_others(aggregation: Aggregation, data: st.DataObject) -> None:
    rest, old, more = (data.draw(amounts(aggregation)) for _ in range(3))
    before, new = plus(aggregation, rest, old), plus(aggregation, old, more)
    found = moved(aggregation, before, old, new)
    assert found is not None
    assert same(found) == same(plus(aggregation, rest, new))


def test_a_sum_that_does_not_hold_its_tally_is_looked_up() -> None:
    assert moved("messages", Amount(1, 1, 1), Amount(2, 2, 2), NOTHING) is None


def same(amount: Amount) -> Any:
    """A sum of nothing may be 0 or None: both mean that there was no value."""
    return amount if amount.values else (amount.messages, amount.values)
