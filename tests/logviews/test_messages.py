"""What a line is: read strictly, with a place and a reason when it is no message."""

from __future__ import annotations

import io

import pytest
from stores import settings

from logviews import messages
from logviews.intake import strict
from logviews.messages import BadLine, Number


def refusal(line: str) -> tuple[int, str]:
    with pytest.raises(BadLine) as refused:
        messages.parse(line)
    return refused.value.column, refused.value.reason


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ('{"a":NaN}', 6, "NaN is not a JSON number"),
        ('{"NaN":"-Infinity","b":-Infinity}', 24, "-Infinity is not a JSON number"),
        ('{"a":1,}', 8, "not JSON"),
        ('{"a":[1,]}', 9, "not JSON"),
        ('  {"a":1} {"a":2}', 11, "not JSON: Extra data"),
        ('{"a":1}x', 8, "not JSON: Extra data"),
        ('[{"a":1}]', 1, "not a JSON object"),
        ('"text"', 1, "not a JSON object"),
        ('{"a":01}', 7, "not JSON"),
        ('{"a":"\\ud800"}', 7, "without its other half"),
        ('{"a":"\x01"}', 7, "not JSON"),
        ('{"a":"b', 6, "not JSON"),
        ('{"a":"\\x41"}', 7, "not JSON"),
    ],
)
def test_a_bad_line_is_refused_with_its_column(line: str, column: int, reason: str) -> None:
    found = refusal(line)
    assert reason in found[1]
    assert found[0] == column


def test_nesting_is_read_to_a_stated_depth_and_refused_beyond() -> None:
    deep = messages.MAX_DEPTH
    assert messages.values(messages.parse('{"a":' + "[" * (deep - 1) + "1" + "]" * (deep - 1) + "}"), "a") == ["1"]
    for much in (deep, 2 * deep, 100_000):
        assert "nested more than 500 deep" in refusal('{"a":' + "[" * much + "1" + "]" * much + "}")[1]
    many_but_flat = "[" + ",".join(["[1]"] * 1000) + "]"
    assert len(messages.values(messages.parse('{"a":' + many_but_flat + "}"), "a")) == 1000


def test_numbers_keep_their_spelling() -> None:
    message = messages.parse('{"a":[1.50,-0,1e2,9223372036854775808,0.12345678901234567890]}')
    assert messages.values(message, "a") == ["1.50", "-0", "1e2", "9223372036854775808", "0.12345678901234567890"]
    assert all(isinstance(value, Number) for value in messages.values(message, "a"))


def test_of_two_equal_keys_the_first_counts() -> None:
    assert messages.values(messages.parse('{"a":1,"a":2}'), "a") == ["1"]


def test_a_dotted_field_finds_nested_literal_and_half_dotted_keys_and_objects_in_arrays() -> None:
    for line in (
        '{"a":{"b":{"c":5}}}',
        '{"a.b.c":5}',
        '{"a.b":{"c":5}}',
        '{"a":{"b.c":5}}',
        '{"a":[{"b":[{"c":5}]}]}',
        '{"a":[null,{},{"b.c":[null,5]}]}',
    ):
        assert messages.values(messages.parse(line), "a.b.c") == ["5"], line


def test_content_ignores_spelling_and_order_and_nothing_else() -> None:
    same = ['{"a":"é","b":[1,{"c":null}]}', ' {"b":[1, {"c":null}], "a":"\\u00e9"} ']
    assert messages.content(same[0]) == messages.content(same[1])
    for other in ('{"a":1}', '{"a":1.0}', '{"a":"1"}', '{"a":true}', '{"a":[1]}', '{"a":"1.0"}', '{"a":null}', "{}"):
        for another in (
            '{"a":1}',
            '{"a":1.0}',
            '{"a":"1"}',
            '{"a":true}',
            '{"a":[1]}',
            '{"a":"1.0"}',
            '{"a":null}',
            "{}",
        ):
            assert (messages.content(other) == messages.content(another)) == (other == another)
    assert messages.content('{"a":' + "9" * 5000 + "}") != messages.content('{"a":' + "9" * 5001 + "}")


def test_a_scan_tells_where_each_line_lies(tmp_path: object) -> None:
    good = '{"time":"2026-10-01T00:00:00Z","customer":"a","id":"1"}'
    content = ("\ufeff" + good + "\r\n\r\n  \n" + good[:-1] + "\n" + good).encode() + b"\n\xff\n"
    rules = strict.rules_of(settings(tmp_path))  # type: ignore[arg-type]
    found = list(strict.scan(io.BytesIO(content), rules))
    assert [line.number for line in found] == [1, 4, 5, 6]
    assert [line.problem is None for line in found] == [True, False, True, False]
    assert content[found[1].start : found[1].end] == (good[:-1] + "\n").encode()
    assert found[3].problem is not None
    assert found[3].problem.reason == "not UTF-8 text"
