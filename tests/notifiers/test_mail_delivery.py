"""From the outbox to a real mail server and back: what is recorded, what is tried again, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from notice_examples import due, parsed
from smtp_server import AFTER_DOT, DROP, HANG, Behaviour, MailServer

from config.models import Email, Settings
from ledger import outbox, suppressions
from ledger.database import Database, open_database
from ledger.deliveries import Delivery
from ledger.records import Receipt, RenderedNotice
from notifiers.channels import Channels
from notifiers.delivery import deliver_due
from notifiers.files import FilesChannel
from notifiers.message import ORIGINAL_TO
from notifiers.retry import FIRST, LONGEST, next_attempt
from notifiers.smtp import SmtpChannel

AT = datetime(2026, 10, 25, 8, 0, tzinfo=UTC)


@pytest.fixture
def database(ledger_url: str) -> Iterator[Database]:
    opened = open_database(ledger_url, simulation=False, now=AT)
    yield opened
    opened.close()


def settings(port: int, **changes: Any) -> Settings:
    usual: dict[str, Any] = {
        "transport": "smtp",
        "host": "127.0.0.1",
        "port": port,
        "start_tls": False,
        "sender": "Usage <usage@example.com>",
        "timeout": timedelta(seconds=2),
    }
    return Settings(email=Email(**{**usual, **changes}))


def queue(database: Database, number: int, **changes: Any) -> None:
    with database.begin() as connection:
        outbox.insert(connection, [due(item) for item in range(1, number + 1)], sender_domain="example.com", **changes)


def deliveries(database: Database) -> list[Delivery]:
    with database.connect() as connection:
        return sorted((item.delivery for item in outbox.list_deliveries(connection)), key=lambda item: item.id)


def statuses(database: Database) -> list[str]:
    return [item.status for item in deliveries(database)]


def test_every_notice_arrives_once_under_its_message_id(database: Database) -> None:
    queue(database, 450)
    with MailServer() as server:
        summary = deliver_due(database, settings(server.port), AT)
        assert (summary.delivered, summary.failures, summary.paths) == (450, (), ())
        arrived = {item.recipient: str(parsed(item.message)["Message-ID"]) for item in server.accepted}
        assert len(server.accepted) == 450
    assert arrived == {item.address: item.message_id for item in deliveries(database)}
    assert set(statuses(database)) == {"delivered"}
    assert deliveries(database)[0].detail == "250 2.0.0 queued"


def test_each_ends_where_it_belongs_and_is_tried_again_when_it_should(database: Database) -> None:
    queue(database, 8)
    faults = {
        "c2@example.com": "450 4.2.1 busy",
        "c3@example.com": "550 5.1.1 no such user",
        "c4@example.com": "554 5.7.1 policy",
        "c5@example.com": DROP,
        "c6@example.com": HANG,
        "c7@example.com": "451 4.7.1 greylisted",
    }
    with MailServer(Behaviour(recipients=faults)) as server:
        used = settings(server.port)
        first = deliver_due(database, used, AT)
        assert statuses(database) == [
            "delivered", "queued", "suppressed", "dead", "queued", "queued", "queued", "delivered",
        ]  # fmt: skip
        assert [failure.outcome for failure in sorted(first.failures, key=lambda item: item.address)] == [
            "retry", "suppressed", "dead", "retry", "retry", "retry",
        ]  # fmt: skip
        waiting = [item for item in deliveries(database) if item.status == "queued"]
        assert all(item.next_at is not None and AT + FIRST <= item.next_at <= AT + FIRST * 1.25 for item in waiting)
        assert deliver_due(database, used, AT + FIRST / 2).delivered == 0
        server.behaviour.recipients.clear()
        assert deliver_due(database, used, AT + 2 * FIRST).delivered == 4
        assert sorted(server.recipients()) == [f"c{number}@example.com" for number in (1, 2, 5, 6, 7, 8)]
    with database.connect() as connection:
        assert [item.address for item in suppressions.list_suppressions(connection)] == ["c3@example.com"]


def test_a_drop_after_the_last_dot_sends_the_same_message_again(database: Database) -> None:
    queue(database, 1)
    with MailServer(Behaviour(at={AFTER_DOT: DROP}, times=1)) as server:
        deliver_due(database, settings(server.port), AT)
        assert statuses(database) == ["queued"]
        deliver_due(database, settings(server.port), AT + 2 * FIRST)
        assert statuses(database) == ["delivered"]
        first, second = server.accepted
        assert first.message == second.message


def test_a_server_that_is_away_is_asked_again_until_the_notice_expires(database: Database) -> None:
    with database.begin() as connection:
        outbox.insert(
            connection,
            [due(1).__class__(**{**{name: getattr(due(1), name) for name in due(1).__slots__},
                                 "expires_at": AT + timedelta(hours=6)})],
            sender_domain="example.com",
        )  # fmt: skip
    at, attempts = AT, 0
    nobody = settings(1)
    while statuses(database) == ["queued"]:
        attempts += bool(deliver_due(database, nobody, at).failures)
        at += timedelta(minutes=1)
    assert statuses(database) == ["expired"]
    assert 8 <= attempts <= 12  # a minute, doubled up to an hour
    assert "cannot be reached" in deliveries(database)[0].detail


def test_the_batches_end_when_the_server_keeps_failing_and_the_rest_keeps_its_turn(database: Database) -> None:
    queue(database, 300)
    with MailServer(Behaviour(at={"MAIL": DROP})) as server:
        summary = deliver_due(database, settings(server.port, connections=2), AT)
        assert summary.delivered == 0
        tried = [item for item in deliveries(database) if item.attempts]
        assert 5 <= len(tried) <= 6
        assert server.seen["MAIL"] == len(tried)
        server.behaviour.at.clear()
        assert deliver_due(database, settings(server.port), AT).delivered == 300 - len(tried)


def test_receipts_are_recorded_while_others_still_wait_for_an_answer(database: Database) -> None:
    queue(database, 40)
    with MailServer(Behaviour(recipients={"c1@example.com": HANG})) as server:
        used = settings(server.port, timeout=timedelta(seconds=8))
        stopping = threading.Event()
        thread = threading.Thread(target=deliver_due, args=(database, used, AT), kwargs={"stopping": stopping})
        thread.start()
        try:
            give_up = time.monotonic() + 6
            while statuses(database).count("delivered") < 39 and time.monotonic() < give_up:
                time.sleep(0.05)
            assert statuses(database).count("delivered") == 39
            assert thread.is_alive()
        finally:
            server.drop_everybody()
            thread.join()
    assert statuses(database)[0] == "queued"


def test_once_it_is_told_to_stop_it_finishes_what_it_began_and_leaves_the_rest(database: Database) -> None:
    queue(database, 100)
    stopping = threading.Event()
    with MailServer(Behaviour(slow=0.05)) as server:
        thread = threading.Thread(
            target=deliver_due, args=(database, settings(server.port), AT), kwargs={"stopping": stopping}
        )
        thread.start()
        while len(server.accepted) < 10:
            time.sleep(0.01)
        stopping.set()
        thread.join(5)
        assert not thread.is_alive()
        assert statuses(database).count("delivered") == len(server.accepted) < 100
    assert set(statuses(database)) == {"delivered", "queued"}
    assert {item.attempts for item in deliveries(database) if item.status == "queued"} == {0}


def test_everything_goes_to_one_address_for_trying_out_and_says_for_whom_it_was(database: Database) -> None:
    queue(database, 3)
    with MailServer() as server:
        deliver_due(database, settings(server.port, redirect_to="me@example.com"), AT)
        assert set(server.recipients()) == {"me@example.com"}
        mails = [parsed(item.message) for item in server.accepted]
    assert {str(mail[ORIGINAL_TO]) for mail in mails} == {f"c{number}@example.com" for number in (1, 2, 3)}
    assert all("me@example.com" in str(mail["To"]) for mail in mails)
    assert not [mail for mail in mails if "c1@example.com" in str(mail["To"])]


def test_a_clock_is_asked_for_each_record(database: Database) -> None:
    queue(database, 2)
    asked: list[datetime] = []

    def clock() -> datetime:
        asked.append(AT + timedelta(seconds=len(asked)))
        return asked[-1]

    with MailServer() as server:
        deliver_due(database, settings(server.port), clock)
    assert {item.finished_at for item in deliveries(database)} <= set(asked[1:])


class Interrupted(FilesChannel):
    """Somebody presses Ctrl-C while messages leave."""

    def __init__(self, files: FilesChannel, interrupt: Callable[[], None]) -> None:
        super().__init__(files.folder)
        self._interrupt = interrupt

    def deliver(self, batch: Any) -> Iterator[Receipt]:
        for number, receipt in enumerate(super().deliver(batch)):
            yield receipt
            if number == 3:
                self._interrupt()
                time.sleep(0.2)


def test_what_had_left_is_recorded_when_somebody_interrupts(database: Database, tmp_path: Any) -> None:
    queue(database, 50)
    interrupted = threading.Event()

    def clock() -> datetime:
        if interrupted.is_set():
            interrupted.clear()
            raise KeyboardInterrupt
        return AT

    channel = Interrupted(FilesChannel(tmp_path / "mail"), interrupted.set)
    with pytest.raises(KeyboardInterrupt):
        deliver_due(database, settings(1), clock, channel=channel)
    written = len(list((tmp_path / "mail").glob("*.eml")))
    assert 4 <= written < 50
    assert statuses(database).count("delivered") == written
    assert statuses(database).count("queued") == 50 - written


def test_the_channel_is_kept_while_the_settings_stay_the_same(tmp_path: Any) -> None:
    channels = Channels()
    mail = settings(2525).email
    first = channels.of(mail)
    assert isinstance(first, SmtpChannel)
    assert channels.of(settings(2525).email) is first
    assert channels.of(settings(2526).email) is not first
    assert isinstance(channels.of(Email(folder=tmp_path)), FilesChannel)
    channels.close()


def test_waiting_doubles_up_to_an_hour_and_is_spread_by_a_quarter_at_most() -> None:
    waits = [next_attempt(AT, attempts, 7) - AT for attempts in range(1, 12)]
    for number, wait in enumerate(waits):
        plain = min(FIRST * 2**number, LONGEST)
        assert plain <= wait <= plain * 1.25
    spread = {next_attempt(AT, 7, number) for number in range(1, 1001)}
    assert len(spread) > 600
    assert next_attempt(AT, 5, 42) == next_attempt(AT, 5, 42)


def test_a_copy_of_a_notice_is_a_file_of_its_own(tmp_path: Any) -> None:
    channel = FilesChannel(tmp_path)
    for label in ("2026-10-25_near_limit_acme", "2026-10-25_near_limit_acme_copy1"):
        list(channel.deliver([RenderedNotice(1, "3fa9", "a@example.com", "<1@x>", b"x", label)]))
    assert len(list(tmp_path.iterdir())) == 2


def test_receipts_that_keep_coming_are_recorded_all_the_while(database: Database) -> None:
    queue(database, 150)
    with MailServer(Behaviour(slow=0.008)) as server:
        stopping = threading.Event()
        used = settings(server.port, connections=1)
        thread = threading.Thread(target=deliver_due, args=(database, used, AT), kwargs={"stopping": stopping})
        thread.start()
        while len(server.accepted) < 100:
            time.sleep(0.01)
        assert statuses(database).count("delivered") > 20
        stopping.set()
        thread.join()
