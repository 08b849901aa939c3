"""Tables for people, without a command: widths, numbers, folding."""

from __future__ import annotations

import pytest

from tallywatch.cli.tables import blocks, grouped, number, print_table, word, wrapped

ROWS = [
    {"customer": "00123", "used": 1234567, "share": "1234.50"},
    {"customer": "7", "used": 2**53 + 1, "share": None},
]
COLUMNS = (word("customer"), number("used"), number("share", "%"))


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 30 columns."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")


def test_numbers_stand_to_the_right_with_grouped_digits_and_ids_stay_as_they_are(capsys) -> None:
    print_table(ROWS, COLUMNS)
    assert printed(capsys) == [
        " customer                   used         %",
        " ─────────────────────────────────────────",
        " 00123                 1,234,567  1,234.50",
        " 7         9,007,199,254,740,993",
    ]


def test_a_table_that_goes_elsewhere_than_to_a_terminal_is_as_wide_as_what_it_holds(capsys) -> None:
    print_table([{"customer": "x" * 300}], (word("customer"),))
    heading, rule, row = printed(capsys)
    assert (heading, len(rule), row) == (" customer", 301, " " + "x" * 300)


def test_on_a_narrow_terminal_words_fold_between_words_and_numbers_stay_whole(capsys, monkeypatch) -> None:
    narrow(monkeypatch)
    print_table([{"why": "the customer called it a day", "used": 1234567890}], (word("why"), number("used")))
    lines = printed(capsys)
    assert lines[2:] == [" the customer    1,234,567,890", " called it a", " day"]


def test_a_word_that_is_too_long_is_cut_into_pieces_also_one_of_wide_characters(capsys, monkeypatch) -> None:
    narrow(monkeypatch)
    print_table([{"customer": "x" * 40}], (word("customer"),))
    assert printed(capsys)[2:] == [" " + "x" * 29, " " + "x" * 11]
    print_table([{"customer": "顧" * 20}], (word("customer"),))
    assert printed(capsys)[2:] == [" " + "顧" * 14, " " + "顧" * 6]


def test_a_sentence_is_broken_on_a_terminal_only(monkeypatch) -> None:
    sentence = "one two three four five six seven eight"
    assert wrapped(sentence) == sentence
    narrow(monkeypatch)
    assert wrapped(sentence) == "one two three four five six\n  seven eight"


def test_an_optional_column_is_left_out_where_it_is_empty_and_not_where_it_is_0(capsys) -> None:
    columns = (word("customer"), number("overage", optional=True), word("known", optional=True))
    print_table([{"customer": "a", "overage": 0, "known": None}], columns)
    assert printed(capsys)[0] == " customer  overage"


def test_control_characters_of_an_id_do_not_reach_the_terminal(capsys) -> None:
    print_table([{"customer": "a\x1b[31m\nb"}], (word("customer"),))
    assert printed(capsys)[2] == " a\ufffd[31m\ufffdb"


def test_columns_that_do_not_fit_side_by_side_come_in_groups_and_none_is_lost() -> None:
    columns = [number(str(place), f"day-{place}") for place in range(20)]
    found = blocks([{"customer": "x"}], word("customer"), columns, 40)
    assert [column for group in found for column in group] == columns
    assert [len(group) for group in found] == [4, 4, 4, 3, 3, 2]
    assert len(blocks([], word("customer"), columns, 5)) == 20  # one each where not even one fits


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1,234,567"),
        (-1234, "-1,234"),
        ("-0.50", "-0.50"),
        ("1234567.000001", "1,234,567.000001"),
        (str(2**70) + ".5", "1,180,591,620,717,411,303,424.5"),
        ("n/a", "n/a"),
        (None, ""),
    ],
)
def test_digits_are_grouped_exactly(value: object, text: str) -> None:
    assert grouped(value) == text
