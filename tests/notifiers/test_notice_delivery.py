from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from notice_examples import due, facts, parsed

from config.models import Email, Settings
from ledger import outbox
from ledger.database import Database, open_database
from ledger.outbox import RECLAIM_AFTER, Outgoing
from ledger.records import NoticeDue, Receipt, RenderedNotice
from notifiers.delivery import BATCH, deliver_due
from notifiers.files import FilesChannel, file_name, write

AT = datetime(2026, 10, 25, 8, 0, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'ledger.db'}", simulation=False, now=AT)
    yield opened
    opened.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(email=Email(folder=tmp_path / "mail", sender="Usage <usage@example.com>"))


def queue(database: Database, notices: Sequence[NoticeDue]) -> None:
    with database.begin() as connection:
        outbox.insert(connection, notices, sender_domain="example.com")


def listed(database: Database) -> list[Outgoing]:
    with database.connect() as connection:
        return sorted(outbox.list_deliveries(connection), key=lambda item: item.delivery.id)


def statuses(database: Database) -> list[str]:
    return [item.delivery.status for item in listed(database)]


def mails(settings: Settings) -> list[Path]:
    return sorted(settings.email.folder.glob("*.eml"))


def test_each_delivery_becomes_one_file_under_its_own_message_id(database: Database, settings: Settings) -> None:
    queue(database, [due(number) for number in range(BATCH + 5)])
    summary = deliver_due(database, settings, AT)
    assert (summary.delivered, summary.failures) == (BATCH + 5, ())
    assert sorted(summary.paths) == [str(path) for path in mails(settings)]
    found = {parsed(path.read_bytes())["Message-ID"] for path in mails(settings)}
    assert found == {item.delivery.message_id for item in listed(database)}
    assert set(statuses(database)) == {"delivered"}
    assert {item.delivery.detail for item in listed(database)} == set(summary.paths)


def test_delivering_again_delivers_nothing(database: Database, settings: Settings) -> None:
    queue(database, [due(1)])
    deliver_due(database, settings, AT)
    assert deliver_due(database, settings, AT).delivered == 0


def test_a_limit_leaves_the_rest_in_the_queue(database: Database, settings: Settings) -> None:
    queue(database, [due(number) for number in range(5)])
    assert deliver_due(database, settings, AT, limit=2).delivered == 2
    assert statuses(database) == ["delivered"] * 2 + ["queued"] * 3


def test_a_poisoned_notice_stops_no_other_and_keeps_its_reason(database: Database, settings: Settings) -> None:
    without = {name: value for name, value in facts().items() if name != "quantity"}
    queue(database, [due(1), due(2, document=without), due(3, template="nonsense"), due(4, document={}), due(5)])
    summary = deliver_due(database, settings, AT)
    assert summary.delivered == 2
    assert statuses(database) == ["delivered", "dead", "dead", "dead", "delivered"]
    details = [item.delivery.detail for item in listed(database)]
    assert "quantity" in details[1]
    assert "nonsense" in details[2]
    assert [failure.reason for failure in summary.failures] == details[1:4]
    assert all("\n" not in detail for detail in details)


class Broken:
    """A channel that breaks in a way nobody foresaw."""

    remote = True

    def deliver(self, batch: Iterable[RenderedNotice]) -> Iterator[Receipt]:
        yield Receipt(next(iter(batch)).delivery_id, "delivered", "left")
        raise RuntimeError("the channel fell over")

    def close(self) -> None:
        pass


def test_a_channel_that_falls_over_leaves_the_rest_queued_with_the_reason(
    database: Database, settings: Settings
) -> None:
    queue(database, [due(1), due(2), due(3)])
    summary = deliver_due(database, settings, AT, channel=Broken())
    assert statuses(database) == ["delivered", "queued", "queued"]
    assert all("fell over" in failure.reason for failure in summary.failures)


def test_a_folder_that_cannot_be_made_keeps_everything_queued_until_it_can(
    database: Database, settings: Settings
) -> None:
    settings.email.folder.write_text("a file, where the folder should be")
    queue(database, [due(1), due(2)])
    summary = deliver_due(database, settings, AT)
    assert [failure.address for failure in summary.failures] == ["c1@example.com", "c2@example.com"]
    assert "could not be written" in summary.failures[0].reason
    assert statuses(database) == ["queued", "queued"]
    settings.email.folder.unlink()
    assert deliver_due(database, settings, AT).delivered == 2
    assert [item.delivery.attempts for item in listed(database)] == [2, 2]


def test_a_full_disk_leaves_no_part_of_a_message(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        notice = RenderedNotice(1, "abc", "a@example.com", "<1@x>", b"x" * 10_000, "label")
        receipts = list(FilesChannel(tmp_path / "mail").deliver([notice]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    assert receipts[0].outcome == "retry"
    assert "could not be written: File too large" in receipts[0].detail
    assert list((tmp_path / "mail").iterdir()) == []


def test_two_addresses_of_a_notice_get_two_files_and_each_keeps_its_own() -> None:
    names = {
        file_name(RenderedNotice(1, "3fa9c1d2e4", address, "<1@x>", b"", "2026-10-25_near_limit_acme"))
        for address in ("a.b@example.com", "a-b@example.com")
    }
    assert len(names) == 2
    assert all(name.startswith("2026-10-25_near_limit_acme_3fa9c1d2-") for name in names)


def test_writing_replaces_the_whole_file(tmp_path: Path) -> None:
    write(tmp_path / "a.eml", b"long content")
    write(tmp_path / "a.eml", b"short")
    assert (tmp_path / "a.eml").read_bytes() == b"short"
    assert len(list(tmp_path.iterdir())) == 1


DELIVER = """
import sys
from datetime import datetime
from pathlib import Path
from config.models import Email, Settings
from ledger.database import open_database
from notifiers.delivery import deliver_due
folder, at = Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2])
database = open_database(f"sqlite:///{folder / 'ledger.db'}", simulation=False, now=at)
settings = Settings(email=Email(folder=folder / "mail", sender="Usage <usage@example.com>"))
print("ready", flush=True)
print(deliver_due(database, settings, at).delivered, flush=True)
"""


def test_killed_at_any_moment_it_delivers_each_notice_once_under_its_message_id(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    count, kills, chance = 400, 0, random.Random(4)
    queue(database, [due(number) for number in range(count)])
    at, ahead = AT, 0
    for number in range(8):
        at += RECLAIM_AFTER + timedelta(seconds=1)  # what the process before had claimed has run out
        command = [sys.executable, "-c", DELIVER, str(tmp_path), at.isoformat()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            if number % 2:
                time.sleep(chance.uniform(0.02, 0.3))
            else:  # while files are being written, and before any of them is recorded
                enough = len(mails(settings)) + chance.randrange(1, 40)
                while process.poll() is None and len(mails(settings)) < enough:
                    time.sleep(0.0005)
            process.kill()
            kills += process.wait() == -signal.SIGKILL
        # a file may be ahead of its record, but never a record ahead of its file
        recorded = statuses(database).count("delivered")
        assert recorded <= len(mails(settings))
        ahead += recorded < len(mails(settings))
    assert kills >= 2
    assert ahead >= 1
    deliver_due(database, settings, at + RECLAIM_AFTER + timedelta(seconds=1))
    assert set(statuses(database)) == {"delivered"}
    whole = list(settings.email.folder.iterdir())  # nothing half-written is left either
    found = [parsed(path.read_bytes())["Message-ID"] for path in whole]
    assert len(whole) == count
    assert sorted(found) == sorted(item.delivery.message_id for item in listed(database))
    assert max(item.delivery.attempts for item in listed(database)) > 1


def test_a_crash_between_leaving_and_recording_writes_the_same_file_again(
    database: Database, settings: Settings
) -> None:
    queue(database, [due(1)])
    with database.begin() as connection:  # claimed and written by a process that then died
        outbox.claim(connection, at=AT, limit=1)
    assert deliver_due(database, settings, AT).delivered == 0
    later = AT + RECLAIM_AFTER
    deliver_due(database, settings, later)
    first = {path: path.read_bytes() for path in mails(settings)}
    with database.begin() as connection:
        connection.exec_driver_sql("update delivery set status = 'queued'")
    deliver_due(database, settings, later + RECLAIM_AFTER)
    assert {path: path.read_bytes() for path in mails(settings)} == first
