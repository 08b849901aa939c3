"""The channel against a real mail server that misbehaves: each message ends where it belongs, the others leave."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
from pydantic import SecretStr
from smtp_server import AFTER_DOT, DROP, HANG, PASSWORD, USERNAME, Behaviour, Certificates, MailServer, certificates

from config.models import Email
from ledger.records import Receipt, RenderedNotice
from notifiers.smtp import SmtpChannel

Send = Callable[..., dict[int, Receipt]]


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def opened() -> Iterator[list[SmtpChannel]]:
    channels: list[SmtpChannel] = []
    yield channels
    for channel in channels:
        channel.close()


@pytest.fixture
def channel(opened: list[SmtpChannel]) -> Callable[..., SmtpChannel]:
    def make(port: int, *, batch_seconds: float = 60, **changes: object) -> SmtpChannel:
        usual = {
            "transport": "smtp",
            "host": "localhost",
            "port": port,
            "sender": "Usage <usage@example.com>",
            "start_tls": False,
            "connections": 2,
            "timeout": timedelta(seconds=5),
        }
        mail = Email(**{**usual, **changes})  # type: ignore[arg-type]  # whatever a test changes
        opened.append(SmtpChannel(mail, batch_seconds=batch_seconds))
        return opened[-1]

    return make


def message(number: int, address: str | None = None, body: bytes = b"Hello.\r\n") -> RenderedNotice:
    address = address or f"c{number}@example.com"
    head = f"From: usage@example.com\r\nTo: {address}\r\nMessage-ID: <{number}.1@example.com>\r\n\r\n".encode()
    return RenderedNotice(number, f"notice-{number}", address, f"<{number}.1@example.com>", head + body, "label")


def sent(channel: SmtpChannel, *messages: RenderedNotice) -> dict[int, Receipt]:
    receipts = list(channel.deliver(messages))
    found = {receipt.delivery_id: receipt for receipt in receipts}
    assert len(found) == len(receipts), "a message has two receipts"
    return found


def outcomes(receipts: dict[int, Receipt]) -> dict[int, str]:
    return {number: receipt.outcome for number, receipt in sorted(receipts.items())}


def test_messages_arrive_as_they_are_with_their_envelope(channel: Callable[..., SmtpChannel]) -> None:
    body = b"a line\r\n.\r\n..two dots\r\n" + b"x" * 990 + b"\r\nlast\r\n"
    unsubscribe = b"List-Unsubscribe: <https://example.com/" + b"a" * 500 + b">\r\n"
    whole = [message(1, body=body), message(2)]
    long = RenderedNotice(3, "n", "c3@example.com", "<3>", unsubscribe + whole[0].message, "label")
    with MailServer() as server:
        receipts = sent(channel(server.port), *whole, long)
        assert outcomes(receipts) == {1: "delivered", 2: "delivered", 3: "delivered"}
        assert receipts[1].detail == "250 2.0.0 queued"
        got = {item.recipient: item for item in server.accepted}
    assert got["c1@example.com"].message == whole[0].message
    assert got["c3@example.com"].message == long.message
    assert {item.sender for item in got.values()} == {"usage@example.com"}


def test_connections_are_few_and_kept_between_messages_and_batches(channel: Callable[..., SmtpChannel]) -> None:
    with MailServer() as server:
        used = channel(server.port, connections=3)
        for batch in range(3):
            sent(used, *(message(10 * batch + number) for number in range(10)))
        assert server.seen["connection"] == 3
        assert len(server.accepted) == 30


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again_and_costs_no_attempt(
    channel: Callable[..., SmtpChannel],
) -> None:
    with MailServer() as server:
        used = channel(server.port)
        sent(used, message(1), message(2))
        server.drop_everybody()
        assert outcomes(sent(used, message(3), message(4))) == {3: "delivered", 4: "delivered"}


def test_eight_connections_send_at_the_same_time(channel: Callable[..., SmtpChannel]) -> None:
    with MailServer(Behaviour(slow=0.3)) as server:
        began = monotonic()
        receipts = sent(channel(server.port, connections=8), *(message(number) for number in range(16)))
        assert set(outcomes(receipts).values()) == {"delivered"}
        assert server.most_open == 8
        assert monotonic() - began < 3.0  # 4.8 s one after another


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("450 4.2.1 mailbox busy", "retry"),
        ("451 4.3.0 try later", "retry"),
        ("452 4.2.2 full", "retry"),
        ("421 4.3.2 going down", "retry"),
        ("550 5.1.1 no such user", "suppressed"),
        ("550 no such user", "suppressed"),
        ("551 user not local", "suppressed"),
        ("553 mailbox name not allowed", "suppressed"),
        ("511 5.1.1 no such user", "suppressed"),
        ("550 5.2.1 mailbox disabled", "suppressed"),
        ("552 5.2.2 mailbox full", "dead"),
        ("550 5.7.1 you are on a block list", "dead"),
        ("554 transaction failed", "dead"),
        (DROP, "retry"),
    ],
)
def test_what_one_recipient_is_refused_with_decides_about_it_alone(
    channel: Callable[..., SmtpChannel], reply: str, outcome: str
) -> None:
    with MailServer(Behaviour(recipients={"c2@example.com": reply})) as server:
        receipts = sent(channel(server.port, connections=1), *(message(number) for number in (1, 2, 3)))
        assert outcomes(receipts) == {1: "delivered", 2: outcome, 3: "delivered"}
        assert "localhost" in receipts[2].detail
        assert reply == DROP or reply in receipts[2].detail


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [("552 5.3.4 too large", "dead"), ("554 5.6.0 looks like spam", "dead"), ("451 greylisted", "retry")],
)
def test_what_one_message_is_refused_with_decides_about_it_alone(
    channel: Callable[..., SmtpChannel], reply: str, outcome: str
) -> None:
    with MailServer(Behaviour(messages={"c2@example.com": reply})) as server:
        receipts = sent(channel(server.port, connections=1), *(message(number) for number in (1, 2, 3)))
        assert outcomes(receipts) == {1: "delivered", 2: outcome, 3: "delivered"}


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", AFTER_DOT])
@pytest.mark.parametrize("what", [DROP, "421 4.3.2 going down"])
def test_a_connection_lost_at_any_verb_costs_its_message_an_attempt_and_the_others_nothing(
    channel: Callable[..., SmtpChannel], verb: str, what: str
) -> None:
    with MailServer(Behaviour(at={verb: what}, times=1)) as server:
        receipts = sent(channel(server.port, connections=1), *(message(number) for number in (1, 2, 3)))
        assert outcomes(receipts) == {1: "retry", 2: "delivered", 3: "delivered"}
        assert server.seen["connection"] == 2
        # after the last dot the server may have it: that is the one case in which it may come twice
        assert ("c1@example.com" in server.recipients()) == (verb == AFTER_DOT)


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "STARTTLS", "AUTH"])
@pytest.mark.parametrize("what", [DROP, "421 4.3.2 going down", "454 4.7.0 not now", HANG])
def test_a_server_that_fails_while_connecting_leaves_everything_for_later(
    channel: Callable[..., SmtpChannel], signed: Certificates, verb: str, what: str
) -> None:
    with MailServer(Behaviour(at={verb: what}), context=signed.right, login=True) as server:
        used = channel(
            server.port, start_tls=True, ca_file=signed.authority, username=USERNAME, password=SecretStr(PASSWORD),
            timeout=timedelta(seconds=1),
        )  # fmt: skip
        receipts = sent(used, *(message(number) for number in range(5)))
        assert set(outcomes(receipts).values()) == {"retry"}
        assert len(receipts) == 5
        assert server.seen["connection"] == 1  # the others do not try what the first could not
        assert all(f"{verb}" in item.detail or what[:3] in item.detail for item in receipts.values())
        server.behaviour.at.clear()
        assert set(outcomes(sent(used, message(7), message(8))).values()) == {"delivered"}


def test_a_server_that_refuses_connections_leaves_everything_for_later(channel: Callable[..., SmtpChannel]) -> None:
    with socket.socket() as bound:  # bound, and nobody listens
        bound.bind(("127.0.0.1", 0))
        receipts = sent(channel(bound.getsockname()[1]), *(message(number) for number in range(5)))
    assert set(outcomes(receipts).values()) == {"retry"}
    assert "cannot be reached" in receipts[0].detail


def test_starttls_and_login_protect_what_is_sent(channel: Callable[..., SmtpChannel], signed: Certificates) -> None:
    with MailServer(context=signed.right, login=True) as server:
        used = channel(
            server.port, start_tls=None, ca_file=signed.authority, username=USERNAME, password=SecretStr(PASSWORD)
        )
        assert outcomes(sent(used, message(1))) == {1: "delivered"}
        assert server.logins == [(USERNAME.encode(), PASSWORD.encode())]
        assert server.seen["STARTTLS"] == 1


def test_tls_from_the_first_byte(channel: Callable[..., SmtpChannel], signed: Certificates) -> None:
    with MailServer(context=signed.right, tls=True) as server:
        used = channel(server.port, tls=True, start_tls=None, ca_file=signed.authority)
        assert outcomes(sent(used, message(1), message(2), message(3))) == dict.fromkeys((1, 2, 3), "delivered")


def test_a_server_without_starttls_gets_nothing(channel: Callable[..., SmtpChannel]) -> None:
    with MailServer() as server:
        receipts = sent(channel(server.port, start_tls=True), message(1), message(2))
        assert outcomes(receipts) == {1: "retry", 2: "retry"}
        assert "offers no STARTTLS" in receipts[1].detail
        assert "MAIL" not in server.seen


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("trusted", [True, False])
def test_a_wrong_certificate_gets_nothing(
    channel: Callable[..., SmtpChannel], signed: Certificates, tls: bool, trusted: bool
) -> None:
    """One of an authority that we know for another host, or one for this host of an authority that we do not know."""
    shown = signed.wrong if trusted else signed.right
    authority = signed.authority if trusted else None
    with MailServer(context=shown, tls=tls) as server:
        receipts = sent(channel(server.port, tls=tls, start_tls=not tls, ca_file=authority), message(1), message(2))
        assert outcomes(receipts) == {1: "retry", 2: "retry"}
        assert "certificate of localhost is not to be trusted" in receipts[1].detail
        assert server.seen.get("connection", 1) == 1  # over TLS from the first byte not even that is seen
        assert "MAIL" not in server.seen


def test_an_authority_that_cannot_be_read_is_told(channel: Callable[..., SmtpChannel], tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for path in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        receipts = sent(channel(1, start_tls=True, ca_file=path), message(1))
        assert receipts[1].outcome == "retry"
        assert f"settings.email.ca_file: {path} cannot be used" in receipts[1].detail


def test_a_login_that_is_refused_is_tried_once_and_never_repeats_the_password(
    channel: Callable[..., SmtpChannel], signed: Certificates
) -> None:
    with MailServer(Behaviour(at={"AUTH": "535 5.7.8 hunter3 is wrong"}), context=signed.right, login=True) as server:
        used = channel(
            server.port, start_tls=True, ca_file=signed.authority, username=USERNAME, password=SecretStr("hunter3"),
            connections=8,
        )  # fmt: skip
        receipts = sent(used, *(message(number) for number in range(20)))
        assert set(outcomes(receipts).values()) == {"retry"}
        assert server.seen["AUTH"] == 1
        assert "535 5.7.8 ******** is wrong" in receipts[0].detail
        assert not [item for item in receipts.values() if "hunter3" in item.detail]


def test_a_login_without_a_password_or_a_server_that_has_none_is_told(
    channel: Callable[..., SmtpChannel],
) -> None:
    with MailServer() as server:
        receipts = sent(channel(server.port, username=USERNAME), message(1))
        assert "TALLYWATCH_SETTINGS__EMAIL__PASSWORD" in receipts[1].detail


@pytest.mark.parametrize("verb", ["MAIL", "EHLO", "CONNECT"])
def test_a_server_that_says_no_to_everybody_is_asked_once(channel: Callable[..., SmtpChannel], verb: str) -> None:
    with MailServer(Behaviour(at={verb: "554 5.7.1 we know you"})) as server:
        receipts = sent(channel(server.port, connections=1), *(message(number) for number in range(50)))
        assert set(outcomes(receipts).values()) == {"retry"}
        assert len(receipts) == 50
        assert server.seen[verb] == 1
        assert "554 5.7.1 we know you" in receipts[49].detail


def test_more_connections_than_the_server_allows_are_done_without(channel: Callable[..., SmtpChannel]) -> None:
    with MailServer(Behaviour(limit=2, slow=0.02)) as server:
        receipts = sent(channel(server.port, connections=6), *(message(number) for number in range(30)))
        assert set(outcomes(receipts).values()) == {"delivered"}
        assert len(server.accepted) == 30


def test_a_recipient_whose_server_never_answers_delays_nobody_else(channel: Callable[..., SmtpChannel]) -> None:
    with MailServer(Behaviour(recipients={"c0@example.com": HANG})) as server:
        used = channel(server.port, timeout=timedelta(seconds=2))
        seen: dict[int, float] = {}
        began = monotonic()
        receipts = {}
        for receipt in used.deliver([message(number) for number in range(20)]):
            receipts[receipt.delivery_id] = receipt
            seen[receipt.delivery_id] = monotonic() - began
    assert outcomes(receipts) == {0: "retry", **dict.fromkeys(range(1, 20), "delivered")}
    assert "did not answer within 2 seconds, at RCPT" in receipts[0].detail
    assert max(seconds for number, seconds in seen.items() if number) < 1.5
    assert 1.9 < seen[0] < 4


def test_over_one_connection_a_silent_recipient_costs_the_others_its_turn(channel: Callable[..., SmtpChannel]) -> None:
    with MailServer(Behaviour(recipients={"c0@example.com": HANG})) as server:
        used = channel(server.port, timeout=timedelta(seconds=1), connections=1)
        began = monotonic()
        receipts = sent(used, *(message(number) for number in range(10)))
    assert outcomes(receipts) == {0: "retry", **dict.fromkeys(range(1, 10), "delivered")}
    assert monotonic() - began < 3


def test_a_server_that_accepts_and_never_answers_is_given_up_and_the_rest_keeps_its_turn(
    channel: Callable[..., SmtpChannel],
) -> None:
    with MailServer(Behaviour(at={AFTER_DOT: HANG})) as server:
        used = channel(server.port, timeout=timedelta(seconds=1))
        receipts = sent(used, *(message(number) for number in range(50)))
        assert set(outcomes(receipts).values()) == {"retry"}
        assert 5 <= len(receipts) <= 6  # the others were not attempted
        assert len(server.accepted) == len(receipts)


def test_when_time_is_up_the_rest_is_not_attempted(channel: Callable[..., SmtpChannel]) -> None:
    with MailServer(Behaviour(slow=0.1)) as server:
        receipts = sent(channel(server.port, batch_seconds=0.5), *(message(number) for number in range(100)))
        assert set(outcomes(receipts).values()) == {"delivered"}
        assert 2 <= len(receipts) <= 14
        assert len(server.accepted) == len(receipts)


def test_an_address_beyond_ascii_needs_a_server_that_offers_smtputf8(channel: Callable[..., SmtpChannel]) -> None:
    address = "jos\u00e9@ex\u00e4mple.com"
    with MailServer() as server:
        assert outcomes(sent(channel(server.port), message(1, address))) == {1: "delivered"}
        assert server.recipients() == [address]
        assert server.accepted[0].message == message(1, address).message
    with MailServer(Behaviour(utf8=False)) as server:
        receipts = sent(channel(server.port), message(1, address), message(2))
        assert outcomes(receipts) == {1: "dead", 2: "delivered"}
        assert "SMTPUTF8" in receipts[1].detail


def test_an_address_that_would_be_a_command_is_dead_and_stops_no_other(channel: Callable[..., SmtpChannel]) -> None:
    with MailServer() as server:
        receipts = sent(
            channel(server.port, connections=1), message(1, "a@example.com>\r\nRCPT TO:<b@example.com"), message(2)
        )
        assert outcomes(receipts) == {1: "dead", 2: "delivered"}
        assert server.recipients() == ["c2@example.com"]


def test_a_redirect_that_is_refused_says_nothing_about_the_customers_address(
    channel: Callable[..., SmtpChannel],
) -> None:
    with MailServer(Behaviour(recipients={"me@example.com": "550 5.1.1 no such user"})) as server:
        receipts = sent(channel(server.port, redirect_to="me@example.com"), message(1, "me@example.com"))
        assert receipts[1].outcome == "dead"
        assert receipts[1].detail.startswith("settings.email.redirect_to: ")


def test_whoever_stops_reading_receipts_leaves_nothing_running(channel: Callable[..., SmtpChannel]) -> None:
    with MailServer(Behaviour(slow=0.05)) as server:
        used = channel(server.port)
        receipts = used.deliver([message(number) for number in range(50)])
        assert next(receipts).outcome == "delivered"
        receipts.close()  # type: ignore[attr-defined]  # a generator
        assert outcomes(sent(used, message(99))) == {99: "delivered"}
