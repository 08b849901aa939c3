from __future__ import annotations

from email.utils import getaddresses
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.provisional import domains
from notice_examples import OPS, exceeded, facts, parsed, stored, text_of

from config.models import Email
from ledger.facts import OPS_DIGEST, OVER_LIMIT
from ledger.outbox import StoredNotice
from ledger.records import RenderedNotice
from notifiers.errors import NoticeError
from notifiers.message import compose
from notifiers.render import render


def composed(notice: StoredNotice | None = None, **changes: Any) -> RenderedNotice:
    arguments: dict[str, Any] = {
        "delivery_id": 7, "address": "anna@example.com", "message_id": "<3fa9c1d2e4.1@example.com>",
        "mail": Email(sender="Usage <usage@example.com>", reply_to="help@example.com"), "default_language": "en",
    }  # fmt: skip
    return compose(notice or stored(), **{**arguments, **changes})


def test_the_headers_are_those_of_an_automatic_message() -> None:
    message = parsed(composed().message)
    assert message["From"] == "Usage <usage@example.com>"
    assert message["To"] == "Acme AB <anna@example.com>"
    assert message["Reply-To"] == "help@example.com"
    assert message["Subject"] == "Acme AB: 92.3% of the 100,000 monthly limit used"
    assert message["Date"] == "Sun, 25 Oct 2026 08:00:00 +0000"
    assert message["Message-ID"] == "<3fa9c1d2e4.1@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_an_english_text_part_can_be_searched_in_the_raw_file() -> None:
    raw = composed().message
    for words in (b"92,340 API calls", b"92.3%", b"100,000", b"projected to exceed", b"Pro", b"$2,000", b"500,000"):
        assert any(words in line for line in raw.split(b"--=_")[1].split(b"\r\n"))


def test_the_same_notice_is_the_same_bytes() -> None:
    assert composed().message == composed().message
    assert composed().message != composed(stored(id_="another")).message


def test_lines_are_short_and_end_as_mail_wants() -> None:
    swedish = stored(exceeded(language="sv", name="Åsa " * 60), template=OVER_LIMIT)
    for raw in (composed().message, composed(swedish).message):
        assert raw.count(b"\n") == raw.count(b"\r\n")
        assert raw.isascii()
        body = raw.split(b"\r\n\r\n", 1)[1]
        assert max(map(len, body.split(b"\r\n"))) <= 78


def test_operations_are_addressed_without_a_name() -> None:
    message = parsed(composed(stored(OPS.to_json(), template=OPS_DIGEST), address="ops@example.com").message)
    assert message["To"] == "ops@example.com"


HOSTILE = st.text(max_size=60) | st.text(alphabet='",<>@;:()[]\\=?\r\n\t åß😀\u202e\ud800x', max_size=40)
LOCAL = st.from_regex(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}", fullmatch=True)


@given(name=HOSTILE, id_=HOSTILE.filter(bool), title=HOSTILE, local=LOCAL, domain=domains(max_length=40))
@example(name='Åsa, "x" <b@example.org>', id_="a", title="t", local="a", domain="example.com")
@example(name="x\r\nBcc: b@example.org", id_="a\nb", title="\r\n\r\n", local="a", domain="example.com")
@example(name="=?utf-8?q?x=2C_b=40example=2Eorg?=", id_="a", title="t", local="a", domain="example.com")
def test_hostile_names_leave_one_recipient_the_subject_and_both_parts(
    name: str, id_: str, title: str, local: str, domain: str
) -> None:
    document = facts(name=name, customer=id_, monitor_title=title)
    address = f"{local}@{domain}"
    raw = composed(stored(document), address=address).message
    message = parsed(raw)
    assert [one.addr_spec for one in message["To"].addresses] == [address]
    assert [found for _, found in getaddresses([str(message["To"])])] == [address]
    content = render("near_limit", document)
    assert str(message["Subject"]) == content.subject
    assert sorted(message.keys()) == sorted(
        ["From", "To", "Reply-To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    )
    assert text_of(raw) == content.text
    assert text_of(raw, "html") == content.html


@given(address=HOSTILE)
def test_whatever_the_address_says_there_is_one_recipient_or_a_sentence(address: str) -> None:
    try:
        raw = composed(address=address).message
    except NoticeError:
        return
    # Python's parser keeps what lies beyond ASCII in a header (RFC 6532) as surrogates
    found = [one.addr_spec.encode(errors="surrogateescape").decode() for one in parsed(raw)["To"].addresses]
    assert found == [address]


@pytest.mark.parametrize(
    "address", ["", "anna", "@example.com", "a@x.com, b@x.com", "a@x.com\r\nBcc: b@x.com", "<a@x.com>", "a b@x.com"]
)
def test_what_is_no_address_is_refused_with_a_sentence(address: str) -> None:
    with pytest.raises(NoticeError, match=r"no mail address|no message"):
        composed(address=address)


def test_an_address_beyond_ascii_is_kept_as_it_is() -> None:
    assert "\r\nTo: Acme AB <åsa@exämple.com>\r\n".encode() in composed(address="åsa@exämple.com").message


def test_a_sender_that_is_no_address_is_named_by_its_setting() -> None:
    with pytest.raises(NoticeError, match=r"settings\.email\.sender"):
        composed(mail=Email.model_construct(sender="Usage", reply_to=None))


def test_the_label_begins_a_file_name_safely() -> None:
    assert composed().label == "2026-10-25_near_limit_acme-ab"
    assert composed(stored(facts(name="../../etc/ \0Ä", customer="x"))).label == "2026-10-25_near_limit_etc-a"
    assert composed(stored(facts(name="日本", customer="x"))).label == "2026-10-25_near_limit_customer"
