"""YAML with its source text and its places."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from config import documents
from config.errors import ConfigError, Place
from config.models import Customer, MeterPrice
from config.values import Scalar, literal


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        documents.parse(text, "f.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    "text", ["00123", "no", "1e3", "12:30", "0x10", "1_000", "2026-10-01", "0.10", ".5", "yes", "on"]
)
def test_a_scalar_is_its_source_text(text: str) -> None:
    assert documents.parse(f"a: {text}", "f").value == {"a": text}


def test_a_price_never_passes_through_a_float() -> None:
    written = documents.parse("{included: 100_000, overage: 0.010000000000000000000000001}", "f").value
    price = MeterPrice.model_validate(written)
    assert price.overage == Decimal("0.010000000000000000000000001")
    assert price.included == 100_000


def test_an_id_stays_as_it_was_written() -> None:
    customer = Customer.model_validate(documents.parse("{id: 00123, aliases: [1e3, no, 12:30]}", "f").value)
    assert (customer.id, customer.aliases) == ("00123", ("1e3", "no", "12:30"))


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_a_plain_null_is_none(text: str) -> None:
    assert documents.parse(f"a: {text}\nb: 1\n", "f").value == {"a": None, "b": "1"}


@pytest.mark.parametrize("text", ['"~"', "'null'", '""', "!!str null", "|\n  null"])
def test_a_quoted_null_is_text(text: str) -> None:
    value = documents.parse(f"a: {text}\n", "f").value
    assert isinstance(value, dict)
    assert isinstance(value["a"], Scalar)
    assert not value["a"].plain


def test_quoted_literals_are_strings_and_plain_ones_are_numbers() -> None:
    value = documents.parse("[200, '200', true, \"true\", 1.5, 00123, 1e3]", "f").value
    assert isinstance(value, list)
    assert [literal(item) for item in value] == [200, "200", True, "true", 1.5, "00123", 1000.0]


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=40))
def test_any_text_comes_back_from_double_quotes(text: str) -> None:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    if any(character in text for character in "\u2028\u2029\x85\ufeff\ufffe\uffff"):
        escaped = "".join(f"\\U{ord(character):08X}" for character in text)
    value = documents.parse(f'a: "{escaped}"', "f").value
    assert value == {"a": text}


@given(
    st.recursive(
        st.text("abc019.-", min_size=1, max_size=6).filter(lambda t: t[0] in "abc019" and t[-1] in "abc019"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    )
)
def test_structures_are_those_of_the_yaml_library(value: object) -> None:
    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump({"root": value}, stream)
    assert documents.parse(stream.getvalue(), "f").value == {"root": value}


def test_every_node_has_the_place_of_its_key_and_value() -> None:
    node = documents.parse("a:\n  b: [x, {c: y}]\n", "f").node
    inner = node.at(("a", "b", 1, "c"))
    assert inner is not None
    assert (inner.key, inner.place) == (Place("f", 2, 11), Place("f", 2, 14))


def test_anchors_and_merge_keys_work_and_written_keys_win() -> None:
    text = "base: &b {x: 1, y: 2}\nfirst: {<<: *b, y: 3}\nsecond: {y: 4, <<: [*b, {z: 5, x: 9}]}\nthird: *b\n"
    value = documents.parse(text, "f").value
    assert value == {
        "base": {"x": "1", "y": "2"},
        "first": {"x": "1", "y": "3"},
        "second": {"y": "4", "x": "1", "z": "5"},
        "third": {"x": "1", "y": "2"},
    }


def test_all_duplicate_keys_are_told_with_both_places() -> None:
    assert refused("a: 1\nb: {c: 1, c: 2}\na: 2\n").splitlines() == [
        "f.yaml:2:11: 'c' is written twice (first at f.yaml:2:5)",
        "f.yaml:3:1: 'a' is written twice (first at f.yaml:1:1)",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: *foo bar\n", '1:4: an unquoted value cannot begin with * (quote it: "*foo bar")'),
        ("*x: 1\n", '1:1: an unquoted value cannot begin with * (quote it: "*x")'),
        ("a: @x # why\n", '1:4: an unquoted value cannot begin with @ (quote it: "@x")'),
        ("a: %x\n", '1:4: an unquoted value cannot begin with % (quote it: "%x")'),
        ("a: 'x' y\n", "1:8: text follows a quoted value (put the whole value in quotes)"),
        ("a: - b\n", "1:4: a list entry is not expected here (begin the list on a line of its own)"),
        ('a: "\\q"\n', "1:6: this is no escape in double quotes (use single quotes, or write the backslash twice)"),
        ("a: !foo x\n", "1:4: the tag !foo has no meaning here (remove it)"),
        ("a:\n  - b\n - c\n", "3:2: the indentation does not fit the lines above (indent it like its neighbours)"),
        ("%YAML 9.1\n---\na: b\n", "1:1: this version of YAML cannot be read (remove the %YAML line)"),
        (": 1\n", "1:1: a key is missing before the colon"),
        (
            "a: \x07\n",
            "1:4: the character U+0007 may not stand in YAML (remove it, or write it escaped in double quotes)",
        ),
        (
            "a: b\r\nc: [\r\n",
            "3:1: a value is expected here (close the [ or { before it, and leave no empty place between commas)",
        ),
    ],
)
def test_what_is_no_yaml_is_answered_with_a_place_and_a_way_out(text: str, message: str) -> None:
    assert refused(text) == f"f.yaml:{message}"


@given(st.text("ab:-?{}[],&*#!|>'\"%@` \n\t0", max_size=30))
def test_no_text_at_all_makes_it_fail_otherwise_than_by_a_located_sentence(text: str) -> None:
    try:
        documents.parse(text, "f.yaml")
    except ConfigError as error:
        assert all(problem.place.file == "f.yaml" and problem.reason for problem in error.problems)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_very_deep_nesting_is_a_sentence(opening: str) -> None:
    assert "nested more than 50 levels deep" in refused(opening * 5_000)


def read_error(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        documents.read(path, path.name)
    return str(caught.value)


def test_a_missing_file_is_told_with_what_is_there_instead(tmp_path: Path) -> None:
    assert (
        read_error(tmp_path / "t.yaml")
        == "t.yaml: there is no such file (tallywatch init writes a starting configuration)"
    )
    (tmp_path / "other.yaml").touch()
    assert read_error(tmp_path / "t.yaml") == "t.yaml: there is no such file (there is other.yaml in that folder)"


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "tallywatch.yaml").touch()
    assert read_error(tmp_path).endswith(
        "is a directory, and a file is needed (there is tallywatch.yaml in that folder)"
    )


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# only a comment\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(content)
    assert read_error(path) == "t.yaml: the file is empty (tallywatch init writes a starting configuration)"


def test_invalid_utf8_is_placed(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes("a: 1\nb: å".encode() + b"\xe5\n")
    assert read_error(path) == "t.yaml:2:5: the byte 0xE5 is not UTF-8 (save the file as UTF-8)"
    path.write_bytes("a: 1".encode("utf-16"))
    assert read_error(path) == "t.yaml:1:1: the file is UTF-16 (save it as UTF-8)"


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert documents.read(path).value == {"a": "1"}
