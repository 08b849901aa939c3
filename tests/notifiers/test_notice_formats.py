from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifiers.formats import exponent, formats

EVERYWHERE = ("en", "sv", "de", "fr", "ar", "hi", "ja", "fa", "he", "pl", "de-CH", "pt_BR", "zh-Hans-CN")


@pytest.mark.parametrize(
    ("language", "number", "percent", "money"),
    [
        ("en", "92,340", "92.3%", "$2,000"),
        ("sv", "92\u00a0340", "92,3\u00a0%", "2\u00a0000\u00a0US$"),
        ("de", "92.340", "92,3\u00a0%", "2.000\u00a0$"),
        ("fr", "92\u202f340", "92,3\u202f%", "2\u202f000\u00a0$US"),
        ("ar", "92,340", "92.3%", "2,000\u00a0US$"),
        ("hi", "92,340", "92.3%", "$2,000"),
        ("ja", "92,340", "92.3%", "$2,000"),
    ],
)
def test_figures_are_written_as_the_language_writes_them(language: str, number: str, percent: str, money: str) -> None:
    written = formats(language)
    assert written.number("92340") == number
    assert written.percent("92.34").replace("\u00a0", " ") == percent.replace("\u00a0", " ").replace("\u202f", " ")
    assert written.money("2000", "USD") == money


@pytest.mark.parametrize("language", EVERYWHERE)
def test_digits_are_latin_in_every_language(language: str) -> None:
    written = formats(language)
    figures = written.number("9876543210") + written.percent("12.3") + written.money("4.56", "EUR")
    assert {character for character in figures if character.isdigit()} <= set("0123456789")


@pytest.mark.parametrize(
    ("value", "shown"),
    [("99.96", "99.9%"), ("99.99", "99.9%"), ("100.00", "100%"), ("0.09", "0%"), ("92.00", "92%"), ("92.35", "92.3%"),
     ("131000.05", "131,000%")],
)  # fmt: skip
def test_percentages_are_cut_and_never_rounded_up(value: str, shown: str) -> None:
    assert formats("en").percent(value) == shown


@pytest.mark.parametrize(
    ("value", "currency", "shown"),
    [("2000", "USD", "$2,000"), ("2000.00", "USD", "$2,000"), ("274.5", "USD", "$274.50"), ("0.01", "USD", "$0.01"),
     ("0.00042", "EUR", "€0.00042"), ("0.125", "USD", "$0.125"), ("0", "EUR", "€0"), ("1500", "JPY", "¥1,500"),
     ("0.5", "JPY", "¥0.5"), ("1.5", "RSD", "RSD\u00a01.50"), ("1.5", "KWD", "KWD\u00a01.500")],
)  # fmt: skip
def test_money_keeps_every_digit_and_has_no_needless_decimals(value: str, currency: str, shown: str) -> None:
    assert formats("en").money(value, currency).replace("\u00a0", "") == shown.replace("\u00a0", "")


@given(st.decimals(min_value=0, max_value=Decimal(10) ** 40, allow_nan=False, allow_infinity=False, places=9))
def test_no_price_is_ever_rounded(amount: Decimal) -> None:
    shown = formats("en").money(format(amount, "f"), "USD")
    assert Decimal(shown.lstrip("$").replace(",", "")) == amount


@given(st.integers(min_value=0, max_value=10**60))
def test_whole_quantities_are_exact_whatever_their_size(quantity: int) -> None:
    assert formats("de").number(str(quantity)).replace(".", "") == str(quantity)


@given(st.text(max_size=20))
def test_no_language_tag_makes_formats_fail(tag: str) -> None:
    assert formats(tag, default=tag).number("1000") is not None


def test_an_unknown_language_means_its_parent_or_else_the_default() -> None:
    assert formats("sv-XY").number("92340") == "92\u00a0340"
    assert formats("tlh", default="de").number("92340") == "92.340"
    assert formats("", default="nonsense").number("92340") == "92,340"


@pytest.mark.parametrize("text", ["", "NaN", "Infinity", "a lot"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        formats("en").number(text)


def test_instants_name_their_zone_and_offset_on_both_sides_of_a_change() -> None:
    before = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).isoformat()
    after = datetime(2026, 10, 25, 1, 30, tzinfo=UTC).isoformat()
    written = formats("en")
    assert written.instant(before, "Europe/Stockholm") == "October 25, 2026, 2:30 AM (Europe/Stockholm, UTC+02:00)"
    assert written.instant(after, "Europe/Stockholm") == "October 25, 2026, 2:30 AM (Europe/Stockholm, UTC+01:00)"
    assert written.instant(after, "UTC") == "October 25, 2026, 1:30 AM (UTC)"
    assert formats("sv").instant(after, "Europe/Stockholm").startswith("25 oktober 2026, 02:30")


def test_the_last_day_of_a_period_is_the_one_before_its_end() -> None:
    assert formats("en").last_day("2026-11-01T00:00:00+01:00", "Europe/Stockholm") == "October 31, 2026"


def test_words_written_from_right_to_left_are_isolated_from_the_sentence() -> None:
    day = formats("ar").day("2026-10-01T00:00:00+00:00", "UTC")
    assert (day[0], day[-1]) == ("\u2068", "\u2069")


def test_exponents_are_those_of_iso_4217() -> None:
    assert [exponent(code) for code in ("USD", "JPY", "KWD", "RSD", "IQD", "???")] == [2, 0, 3, 2, 3, 2]
