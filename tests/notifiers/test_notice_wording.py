"""How a limit is spoken of: by its number where that reads as one, and with its unit where it is small."""

from __future__ import annotations

from dataclasses import replace

import pytest
from notice_examples import REFERENCE

from notifiers.render import render


def said(included: str, quantity: str, percent: str, *, exceeded: bool = False) -> str:
    """Subject and text of a notice, on one line."""
    stated = replace(REFERENCE, included=included, quantity=quantity, percent=percent, exceeded=exceeded)
    content = render("over_limit" if exceeded else "near_limit", stated.to_json())
    return " ".join(f"{content.subject}\n{content.text}".split())


def test_the_reference_case_says_its_limit_in_the_words_that_are_agreed() -> None:
    text = said("100000", "92340", "92.34")
    assert "Acme AB: 92.3% of the 100,000 monthly limit used" in text
    assert "You have used 92,340 API calls, 92.3% of the 100,000 monthly limit of the Basic plan." in text


@pytest.mark.parametrize(("included", "percent"), [("10", "130.00"), ("999", "1.30")])
def test_a_small_limit_is_told_with_what_it_counts(included: str, percent: str) -> None:
    text = said(included, "13", percent)
    assert f"of the monthly limit of {included} API calls of the Basic plan." in text
    assert f"the {included} monthly limit" not in text


def test_a_small_limit_that_is_exceeded_is_told_so_in_the_subject() -> None:
    assert "Acme AB: monthly limit of 10 API calls exceeded" in said("10", "13", "130.00", exceeded=True)
    assert "Acme AB: 1,000 monthly limit exceeded" in said("1000", "1300", "130.00", exceeded=True)
