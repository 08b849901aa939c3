"""`doctor` against real mail servers: whether messages could leave, and test messages to operations."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.utils import format_datetime
from pathlib import Path
from time import monotonic

import pytest
from smtp_server import HANG, PASSWORD, USERNAME, Behaviour, Certificates, MailServer, certificates

from ledger import deliveries, suppressions
from ledger.clock import now
from ledger.database import open_database
from notifiers.message import ORIGINAL_TO
from notifiers.probe import time_in
from tallywatch.doctor.examine import examine
from tallywatch.doctor.finding import Check, Finding

CONFIGURATION = """
settings: {{email: {{transport: smtp, host: localhost, port: {port}, sender: Usage <usage@example.com>, {more}}}}}
customers: [{{id: A, emails: a@example.com}}]
recipients:
  ops: {{email: [ops@example.com, night@example.com]}}
  boss: {{email: ops@example.com}}
"""
PLAIN = "start_tls: false, timeout: 1s"


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


def examined(folder: Path, port: int, more: str, *, send_test: bool = False) -> dict[Check, list[Finding]]:
    path = folder / "tallywatch.yaml"
    path.write_text(CONFIGURATION.format(port=port, more=more), encoding="utf-8")
    found: dict[Check, list[Finding]] = {check: [] for check in Check}
    for finding in examine(path, now, send_test=send_test):
        found[finding.check].append(finding)
    return found


def mail(folder: Path, port: int, more: str) -> Finding:
    (finding,) = examined(folder, port, more)[Check.MAIL]
    return finding


def test_a_server_with_a_right_certificate_and_login_is_ok_and_gets_no_message(
    tmp_path: Path, signed: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLYWATCH_SETTINGS__EMAIL__PASSWORD", PASSWORD)
    with MailServer(context=signed.right, login=True) as server:
        found = mail(tmp_path, server.port, f"username: {USERNAME}, ca_file: {signed.authority}")
        assert server.logins == [(USERNAME.encode(), PASSWORD.encode())]
        assert (server.accepted, server.seen.get("MAIL")) == ([], None)
    assert found.state == "ok"
    assert f"STARTTLS, logged in as {USERNAME}" in found.found
    with MailServer(context=signed.right, tls=True) as server:
        assert mail(tmp_path, server.port, f"tls: true, ca_file: {signed.authority}").state == "ok"


def test_a_wrong_certificate_password_or_address_fails_with_the_reason(
    tmp_path: Path, signed: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = f"ca_file: {signed.authority}, timeout: 5s"
    with MailServer(context=signed.wrong) as server:
        assert "certificate" in mail(tmp_path, server.port, trusted).found
    with MailServer() as server:
        assert "offers no STARTTLS" in mail(tmp_path, server.port, trusted).found
    with MailServer(context=signed.right) as server:
        assert "certificate" in mail(tmp_path, server.port, "timeout: 5s").found
    port = server.port
    assert "cannot be reached" in mail(tmp_path, port, PLAIN).found
    monkeypatch.setenv("TALLYWATCH_SETTINGS__EMAIL__PASSWORD", "another")
    with MailServer(context=signed.right, login=True) as server:
        found = mail(tmp_path, server.port, f"username: {USERNAME}, {trusted}")
    assert (found.state, "another" in found.found) == ("failed", False)
    assert "535" in found.found


def test_a_server_that_never_answers_fails_within_the_timeout(tmp_path: Path) -> None:
    began = monotonic()
    with MailServer(Behaviour(at={"EHLO": HANG})) as server:
        found = mail(tmp_path, server.port, PLAIN)
    assert "did not answer within 1 seconds, at EHLO" in found.found
    assert monotonic() - began < 4


def test_each_recipient_gets_one_test_message_no_customer_does_and_nothing_is_recorded(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'tallywatch.db'}", simulation=False, now=now())
    with MailServer() as server:
        found = examined(tmp_path, server.port, PLAIN, send_test=True)[Check.TEST_MESSAGE]
        assert sorted(server.recipients()) == ["night@example.com", "ops@example.com"]
        said = [message_from_bytes(item.message) for item in server.accepted]
    assert [finding.state for finding in found] == ["ok", "ok"]
    assert len({message["Message-ID"] for message in said}) == 2
    assert all("test message" in message["Subject"] for message in said)
    with database.connect() as connection:
        assert set(deliveries.count_by_status(connection).values()) == {0}
    database.close()


def test_a_refused_recipient_is_told_the_others_get_theirs_and_the_address_is_not_suppressed(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'tallywatch.db'}", simulation=False, now=now())
    refusing = Behaviour(recipients={"ops@example.com": "550 5.1.1 no such user"})
    with MailServer(refusing) as server:
        found = examined(tmp_path, server.port, PLAIN, send_test=True)[Check.TEST_MESSAGE]
        assert server.recipients() == ["night@example.com"]
    assert {finding.about: finding.state for finding in found} == {
        "ops@example.com": "failed",
        "night@example.com": "ok",
    }
    with database.connect() as connection:
        assert suppressions.list_suppressions(connection) == ()
    database.close()


def test_test_messages_go_where_everything_is_redirected_to(tmp_path: Path) -> None:
    with MailServer() as server:
        found = examined(tmp_path, server.port, f"{PLAIN}, redirect_to: me@example.com", send_test=True)
        assert server.recipients() == ["me@example.com", "me@example.com"]
        assert {message_from_bytes(item.message)[ORIGINAL_TO] for item in server.accepted} == {
            "ops@example.com",
            "night@example.com",
        }
    assert [finding.state for finding in found[Check.MAIL]] == ["warning"]
    assert "ops@example.com, sent to me@example.com instead" in {one.about for one in found[Check.TEST_MESSAGE]}


def test_nothing_is_tried_when_no_message_can_leave(tmp_path: Path) -> None:
    with MailServer() as server:
        pass
    (found,) = examined(tmp_path, server.port, PLAIN, send_test=True)[Check.TEST_MESSAGE]
    assert (found.state, "no message can leave" in found.found) == ("failed", True)


def test_test_messages_become_files_where_mail_does(tmp_path: Path) -> None:
    (tmp_path / "tallywatch.yaml").write_text("recipients: {ops: {email: ops@example.com}}\n", encoding="utf-8")
    found = [
        one for one in examine(tmp_path / "tallywatch.yaml", now, send_test=True) if one.check is Check.TEST_MESSAGE
    ]
    (file,) = (tmp_path / "mail").glob("*.eml")
    assert [(one.state, str(file) in one.found) for one in found] == [("ok", True)]


def test_without_recipients_there_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "tallywatch.yaml").write_text("settings: {zone: UTC}\n", encoding="utf-8")
    found = [
        one for one in examine(tmp_path / "tallywatch.yaml", now, send_test=True) if one.check is Check.TEST_MESSAGE
    ]
    assert [one.state for one in found] == ["warning"]


@contextmanager
def greeting(with_: str) -> Iterator[int]:
    """A server that greets so, and is polite otherwise; gives its port."""

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(f"220 {with_}\r\n".encode())
            for line in self.rfile:
                self.wfile.write(b"221 bye\r\n" if line.startswith(b"QUIT") else b"250 mail.test\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("apart", "judged"), [(timedelta(0), "ok"), (timedelta(minutes=2), "warning")])
def test_the_clock_is_compared_with_what_a_mail_server_says_of_the_time(
    tmp_path: Path, apart: timedelta, judged: str
) -> None:
    with greeting(f"mail.test ESMTP Exim 4.98 {format_datetime(now() - apart)}") as port:
        (found,) = examined(tmp_path, port, PLAIN)[Check.CLOCK]
    assert (found.state, "mail server" in found.found) == (judged, True)


def test_a_greeting_without_a_time_tells_none() -> None:
    assert time_in("mail.test ESMTP Exim 4.98 Sun, 01 Nov 2026 12:00:00 +0100") == datetime(2026, 11, 1, 11, tzinfo=UTC)
    assert time_in("mail.test ESMTP Exim 4.98 Sun, 41 Nov 2026 12:00:00 +0100") is None
    assert time_in("mail.test ESMTP Postfix (Debian/GNU)") is None
