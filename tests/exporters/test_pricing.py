from __future__ import annotations

import decimal
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import UsageError
from config.models import MeterPrice, Step
from exporters import pricing

CENTS = Decimal("0.01")


def price(included: int, overage: Decimal | Sequence[tuple[int | None, Decimal]]) -> MeterPrice:
    if isinstance(overage, Decimal):
        return MeterPrice.model_construct(included=included, overage=overage)
    return MeterPrice.model_construct(included=included, overage=tuple(Step(to=to, price=each) for to, each in overage))


@pytest.mark.parametrize(
    ("quantity", "included", "overage", "amount"),
    [(127_450, 100_000, 27_450, "274.50"), (87_230, 100_000, 0, "0.00"), (512_890, 500_000, 12_890, "128.90")],
)
def test_the_reference_case_comes_out_cent_for_cent(quantity: int, included: int, overage: int, amount: str) -> None:
    charge = pricing.charge(quantity, price(included, CENTS), 2)
    assert (charge.overage, str(charge.amount)) == (overage, amount)


@pytest.mark.parametrize(
    ("amount", "exponent", "text"),
    [
        ("2.675", 2, "2.68"), ("2.665", 2, "2.67"), ("2.674999", 2, "2.67"), ("0.5", 0, "1"), ("1.5", 0, "2"),
        ("2.5", 0, "3"), ("0.0005", 3, "0.001"), ("0.00049", 3, "0.000"), ("-2.675", 2, "-2.68"), ("7", 2, "7.00"),
    ],
)  # fmt: skip
def test_an_amount_is_rounded_half_up_to_the_currencys_exponent(amount: str, exponent: int, text: str) -> None:
    assert format(pricing.rounded(Fraction(amount), exponent), "f") == text


@pytest.mark.parametrize(
    ("currency", "exponent"), [("USD", 2), ("JPY", 0), ("RSD", 2), ("KWD", 3), ("IQD", 3), ("ISK", 0), ("CLF", 4)]
)
def test_exponents_are_those_of_iso_4217(currency: str, exponent: int) -> None:
    assert pricing.exponent(currency) == exponent


@pytest.mark.parametrize("currency", ["usd", "ABC", "", "XAU"])
def test_a_currency_that_cannot_be_rounded_is_refused_with_a_sentence(currency: str) -> None:
    with pytest.raises(UsageError, match=r"settings\.currency"):
        pricing.exponent(currency)


prices = st.integers(0, 10**6).map(lambda units: Decimal(f"{units}E-4"))
steps = st.lists(st.integers(1, 40), max_size=4, unique=True).flatmap(
    lambda ends: st.lists(prices, min_size=len(ends) + 1, max_size=len(ends) + 1).map(
        lambda each: list(zip([*sorted(ends), None], each, strict=True))
    )
)


@given(quantity=st.integers(0, 120), included=st.integers(0, 60), graduated=steps, exponent=st.integers(0, 4))
def test_steps_cost_what_their_units_cost_one_by_one(
    quantity: int, included: int, graduated: list[tuple[int | None, Decimal]], exponent: int
) -> None:
    ten_thousandths = 0  # integers alone
    for unit in range(1, max(0, quantity - included) + 1):
        each = next(each for to, each in graduated if to is None or unit <= to)
        ten_thousandths += int(each * 10_000)
    shift = 10 ** (4 - exponent)
    expected = (2 * ten_thousandths + shift) // (2 * shift)
    charge = pricing.charge(quantity, price(included, graduated), exponent)
    assert charge.overage == max(0, quantity - included)
    assert charge.amount * 10**exponent == expected
    assert -charge.amount.as_tuple().exponent == exponent


@given(
    quantity=st.integers(0, 10**60),
    included=st.integers(0, 10**30),
    each=st.integers(0, 10**30),
    places=st.integers(0, 12),
    precision=st.integers(1, 28),
)
def test_huge_quantities_are_exact_whatever_the_decimal_context(
    quantity: int, included: int, each: int, places: int, precision: int
) -> None:
    one = Decimal(f"{each}E-{places}")
    with decimal.localcontext(prec=precision):
        amount = pricing.charge(quantity, price(included, one), 2).amount
    beyond, scale = max(0, quantity - included), 10**places
    assert amount.as_tuple().exponent == -2
    assert int("".join(map(str, amount.as_tuple().digits))) == (200 * beyond * each + scale) // (2 * scale)


@given(
    quantity=st.fractions(min_value=0, max_value=1000, max_denominator=1).flatmap(
        lambda whole: st.integers(0, 9999).map(lambda part: whole + Fraction(part, 10_000))
    )
)
def test_a_fractional_quantity_is_priced_exactly(quantity: Fraction) -> None:
    charge = pricing.charge(quantity, price(10, Decimal("0.3")), 2)
    beyond = max(Fraction(0), quantity - 10)
    assert charge.overage == beyond
    assert abs(Fraction(charge.amount) - beyond * Fraction(3, 10)) <= Fraction(1, 200)


def test_no_data_and_negative_sums_cost_nothing() -> None:
    for quantity in (None, -5, Fraction(-1, 2)):
        assert pricing.charge(quantity, price(0, CENTS), 2) == pricing.Charge(0, Decimal("0.00"))


def test_steps_that_end_too_early_are_an_error_and_not_free() -> None:
    with pytest.raises(ValueError, match="end at 10"):
        pricing.charge(11, price(0, [(10, CENTS)]), 2)
    assert pricing.charge(10, price(0, [(10, CENTS)]), 2).amount == Decimal("0.10")


@given(st.lists(st.integers(0, 10**40), max_size=20))
def test_totals_add_rounded_lines_exactly(units: list[int]) -> None:
    assert pricing.total([Decimal(f"{unit}E-2") for unit in units], 2) == Decimal(f"{sum(units)}E-2")
    with pytest.raises(ValueError, match="more than 2 decimals"):
        pricing.total([Decimal("0.001")], 2)


def test_an_average_is_stated_with_six_decimals_cut() -> None:
    assert pricing.stated(Fraction(2, 3), "average") == Fraction(666_666, 10**6)
    assert pricing.stated(Fraction(-2, 3), "average") == Fraction(-666_666, 10**6)
    assert pricing.stated(Fraction(5, 2), "sum") == Fraction(5, 2)
    assert pricing.stated(None, "average") is None
