"""Kills deliveries to a mail server at random moments, and delivers again until the outbox is empty.

The server is a process of its own that writes down every message that it accepts. At the end no notice is lost; one
that came twice is the same message under the same Message-ID, and there are no more of those than were accepted and not
yet recorded when a delivery was killed.

    python tests/campaigns/kill_delivery.py --moments 200 --seed 1 [--database postgresql://…]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/notifiers")]

from notice_examples import due  # noqa: E402 (the paths come first)

from ledger import deliveries, outbox  # noqa: E402
from ledger.database import open_database  # noqa: E402

AT = datetime(2026, 10, 25, 8, 0, tzinfo=UTC)
CONNECTIONS = 4
DELIVER = """
import sys
from datetime import datetime
from config.models import Email, Settings
from ledger.database import open_database
from notifiers.delivery import deliver_due
url, port, at = sys.argv[1], int(sys.argv[2]), datetime.fromisoformat(sys.argv[3])
database = open_database(url, simulation=False, now=at)
mail = Email(transport="smtp", host="127.0.0.1", port=port, start_tls=False, sender="Usage <usage@example.com>")
print("ready", flush=True)
found = deliver_due(database, Settings(email=mail), at)
print(found.delivered, len(found.failures), flush=True)
"""


@dataclass(frozen=True)
class Accepted:
    """A line of the server's journal."""

    recipient: str
    message_id: str
    digest: str


@dataclass(frozen=True)
class Result:
    """What a campaign found."""

    kills: int
    notices: int
    accepted: int
    in_window: int  # accepted and not recorded when a delivery was killed, in all
    twice: int


@contextmanager
def mail_server(journal: Path) -> Iterator[int]:
    """The accepting server; its port."""
    command = [sys.executable, str(ROOT / "tests/campaigns/accepting_server.py"), str(journal)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


def accepted(journal: Path) -> list[Accepted]:
    """What the server has accepted so far, whole lines only."""
    text = journal.read_text(encoding="utf-8") if journal.exists() else ""
    return [Accepted(*line.split(" ")) for line in text[: text.rfind("\n") + 1].splitlines()]


def fill(url: str, first: int, number: int) -> None:
    """Queues more notices."""
    database = open_database(url, simulation=False, now=AT)
    with database.begin() as connection:
        notices = [replace(due(item), decided_at=AT) for item in range(first, first + number)]
        outbox.insert(connection, notices, sender_domain="example.com", channel="smtp")
    database.close()


def by_status(url: str) -> Counter[str]:
    """How many deliveries have each status."""
    database = open_database(url, simulation=False, now=AT)
    with database.connect() as connection:
        found = Counter(dict(deliveries.count_by_status(connection)))
    database.close()
    return found


def deliver(url: str, port: int, at: datetime, seconds: float | None) -> bool:
    """Runs a delivery, killed so many seconds after it began; whether it was."""
    command = [sys.executable, "-c", DELIVER, url, str(port), at.isoformat()]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if seconds is not None:
            time.sleep(seconds)
            process.kill()
        process.communicate(timeout=300)
        assert process.returncode in (0, -signal.SIGKILL), process.returncode
        return process.returncode == -signal.SIGKILL


def campaign(work: Path, moments: int, seed: int, url: str | None = None, batch: int = 400) -> Result:
    """The whole campaign in an empty folder and database; AssertionError says what was wrong."""
    dice = random.Random(seed)
    url = url or f"sqlite:///{work / 'ledger.db'}"
    journal = work / "journal"
    at, kills, queued, in_window = AT, 0, 0, 0
    with mail_server(journal) as port:
        while kills < moments:
            if by_status(url)["queued"] < batch / 2:  # there is always something to interrupt
                fill(url, queued + 1, batch)
                queued += batch
            at += outbox.RECLAIM_AFTER + timedelta(seconds=1)  # what was claimed before has run out
            before = len(accepted(journal))
            recorded = by_status(url)["delivered"]
            if not deliver(url, port, at, dice.uniform(0.0, 0.9)):
                continue
            kills += 1
            time.sleep(0.05)  # the server writes down what it already has
            window = (len(accepted(journal)) - before) - (by_status(url)["delivered"] - recorded)
            in_window += max(window, 0)
            print(f"{kills}/{moments} killed: {window} accepted and not recorded", flush=True)
        deliver(url, port, at + outbox.RECLAIM_AFTER + timedelta(seconds=1), None)
    return check(url, accepted(journal), kills, queued, in_window)


def check(url: str, found: list[Accepted], kills: int, queued: int, in_window: int) -> Result:
    """Nothing lost; twice only in the acceptance window, and then the same."""
    assert by_status(url) == Counter({"delivered": queued}), by_status(url)
    database = open_database(url, simulation=False, now=AT)
    with database.connect() as connection:
        expected = {item.delivery.message_id: item.delivery.address for item in outbox.list_deliveries(connection)}
    database.close()
    assert {item.message_id: item.recipient for item in found} == expected, "lost, or nobody's"
    assert len({(item.message_id, item.digest) for item in found}) == queued, "the same Message-ID with other bytes"
    twice = len(found) - queued
    assert twice <= in_window, f"{twice} came twice, and only {in_window} were accepted and not recorded"
    return Result(kills, queued, len(found), in_window, twice)


def main() -> None:
    """Runs the campaign with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", help="URL of an empty database; else SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill-delivery-") as work:
        print(campaign(Path(work), options.moments, options.seed, options.database))


if __name__ == "__main__":
    main()
