"""Bytes that travel: what is written directly is what the library would write, and reads back as it was."""

from __future__ import annotations

import base64
import quopri
from email.headerregistry import Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notice_examples import parsed

from notifiers.mime import WIRE, alternatives, encoded, header

TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=400)


def by_the_library(name: str, value: str | Address) -> bytes:
    _, stored = WIRE.header_store_parse(name, value)
    return WIRE.fold_binary(name, stored)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_a_name_is_written_as_the_library_does_or_reads_the_same(name: str) -> None:
    address = Address(display_name=name.strip(), username="anna", domain="example.com")
    written = header("To", address) + b"\r\n"
    (read,) = parsed(written)["To"].addresses
    (expected,) = parsed(by_the_library("To", address) + b"\r\n")["To"].addresses
    assert (read.display_name.split(), read.addr_spec) == (expected.display_name.split(), "anna@example.com")


@pytest.mark.parametrize("value", ["92.3% of the 100,000 used", "a" * 300, "\u00c5sa: 92\u00a0%", "=?utf-8?q?x?="])
def test_a_subject_is_what_the_library_writes(value: str) -> None:
    assert header("Subject", value) == by_the_library("Subject", value)


@pytest.mark.parametrize("value", ["a\r\nBcc: b@example.com", "a\nb", "a\rb"])
def test_a_line_end_never_gets_into_a_header(value: str) -> None:
    with pytest.raises(ValueError, match=r"linefeed|carriage"):
        header("Subject", value)


@given(TEXTS)
def test_a_body_reads_back_in_lines_that_no_relay_has_to_change(content: str) -> None:
    encoding, body = encoded(content)
    assert body.isascii()
    assert body.endswith(b"\r\n")
    assert body.count(b"\n") == body.count(b"\r\n")
    assert max(map(len, body.split(b"\r\n"))) <= 78
    decoded = {"7bit": bytes, "quoted-printable": quopri.decodestring, "base64": base64.b64decode}[encoding](body)
    assert decoded.decode() == "\r\n".join(content.splitlines()) + "\r\n"


def test_each_language_has_the_encoding_that_is_short_and_readable() -> None:
    assert encoded("Used: 92,340\n")[0] == "7bit"
    assert (
        encoded("Anv\u00e4nt: 92\u00a0340\n" + "av gr\u00e4nsen, som \u00e4r inkluderad\n" * 9)[0] == "quoted-printable"
    )
    assert encoded("\u4f7f\u7528\u91cf\n" * 20)[0] == "base64"


@given(TEXTS, TEXTS)
def test_both_parts_of_a_message_read_back(text: str, html: str) -> None:
    message = parsed(b"Subject: x\r\n" + alternatives(text, html, "=_boundary"))
    assert not message.defects
    found = [part.get_content().splitlines() for part in message.iter_parts()]
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert found == [("\r\n".join(item.splitlines()) + "\r\n").splitlines() for item in (text, html)]
