"""Delivering notices to a local mail server, against a bare aiosmtplib loop with as many connections, in one run.

python benchmarks/deliver.py [NOTICES]      (10,000 by default)

The bare loop sends the same bytes, which somebody else has composed, and records nothing; a second one composes each as
it goes, which says how much of the difference that is. Two servers, each a process
of its own: aiosmtpd, which does what a mail server does, and one that does next to nothing (tests/campaigns).
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from aiosmtplib import SMTP
from measuring import measure, print_table

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/notifiers")]

from notice_examples import due, facts  # noqa: E402 (the path comes first)

from config.models import Email, Settings  # noqa: E402
from ledger import outbox  # noqa: E402
from ledger.database import open_database  # noqa: E402
from ledger.records import NoticeDue, RenderedNotice  # noqa: E402
from notifiers.delivery import deliver_due  # noqa: E402
from notifiers.message import compose  # noqa: E402

AT = datetime(2026, 10, 25, 8, tzinfo=UTC)
CONNECTIONS = 4
ROUNDS = 3
BARE = "bare aiosmtplib loop"
AIOSMTPD = """
import asyncio
from aiosmtpd.smtp import SMTP
class Accept:
    async def handle_DATA(self, server, session, envelope):
        return "250 2.0.0 queued"
async def main():
    made = lambda: SMTP(Accept(), hostname="mail.test", enable_SMTPUTF8=True)
    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
SERVERS = {
    "aiosmtpd": [sys.executable, "-c", AIOSMTPD],
    "a minimal server": [sys.executable, str(ROOT / "tests/campaigns/accepting_server.py")],
}


@dataclass(frozen=True)
class Sent:
    """How many messages left, and the processor's seconds that it took the process that sent them."""

    number: int
    cpu_seconds: float


def timed(send: Callable[[], int]) -> Sent:
    before = time.process_time()
    return Sent(send(), time.process_time() - before)


@contextmanager
def server(command: list[str]) -> Iterator[int]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def notices(number: int) -> list[NoticeDue]:
    """Notices whose figures all differ."""
    found = []
    for item in range(1, number + 1):
        used = 90_000 + item
        own = facts(
            customer=f"customer-{item}", name=f"Customer {item}", quantity=str(used), percent=f"{used / 1000:.3f}"
        )
        found.append(replace(due(item), facts=own))
    return found


def composed(url: str, settings: Settings) -> Iterator[RenderedNotice]:
    """What is sent, each message made when it is asked for."""
    database = open_database(url, simulation=False, now=AT)
    with database.connect() as connection:
        waiting = outbox.list_deliveries(connection)
    database.close()
    for item in waiting:
        yield compose(
            item.notice,
            delivery_id=item.delivery.id,
            address=item.delivery.address,
            message_id=item.delivery.message_id,
            mail=settings.email,
            default_language="en",
        )


def bare(port: int, messages: Iterable[RenderedNotice]) -> int:
    """As many connections, each sending one message after another."""

    async def lane(waiting: Iterator[RenderedNotice]) -> int:
        sent = 0
        async with SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
            for message in waiting:
                await client.sendmail("usage@example.com", [message.address], message.message)
                sent += 1
        return sent

    async def everybody() -> int:
        waiting = iter(messages)
        return sum(await asyncio.gather(*(lane(waiting) for _ in range(CONNECTIONS))))

    return asyncio.run(everybody())


def ours(url: str, settings: Settings) -> int:
    """Claimed, rendered, sent and recorded."""
    database = open_database(url, simulation=False, now=AT)
    found = deliver_due(database, settings, AT)
    database.close()
    return found.delivered


def filled(folder: Path, number: int, name: str) -> str:
    url = f"sqlite:///{folder / name}"
    database = open_database(url, simulation=False, now=AT)
    with database.begin() as connection:
        outbox.insert(connection, notices(number), sender_domain="example.com", channel="smtp")
    database.close()
    return url


def compared(title: str, port: int, folder: Path, number: int) -> Iterator[tuple[str, ...]]:
    """The rows for one server, both ways in turn, so that a machine that slows down slows both."""
    mail = Email(
        transport="smtp",
        host="127.0.0.1",
        port=port,
        start_tls=False,
        connections=CONNECTIONS,
        sender="Usage <usage@example.com>",
    )
    settings = Settings(email=mail)
    prepared = filled(folder, number, f"{title}.db")
    messages = list(composed(prepared, settings))
    seconds: dict[str, list[float]] = {BARE: [], "the same, composing each": [], "deliver_due": []}
    cpu: dict[str, list[float]] = {name: [] for name in seconds}
    for turn in range(ROUNDS):
        url = filled(folder, number, f"{title}-{turn}.db")
        tasks: dict[str, Callable[[], int]] = {
            BARE: lambda: bare(port, messages),
            "the same, composing each": lambda: bare(port, composed(prepared, settings)),
            "deliver_due": lambda url=url: ours(url, settings),
        }
        for name, task in tasks.items():
            found = measure(lambda task=task: timed(task))
            if found.result.number != number:
                raise SystemExit(f"{name} sent {found.result.number} of {number}")
            seconds[name].append(found.median)
            cpu[name].append(found.result.cpu_seconds)
    first = statistics.median(seconds[BARE])
    for name, times in seconds.items():
        wall = statistics.median(times)
        spent = f"{statistics.median(cpu[name]):.2f}"
        yield title, name, f"{wall:.2f}", f"{number / wall:,.0f}", spent, f"{wall / first:.2f}x"


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    rows: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory() as name:
        for title, command in SERVERS.items():
            with server(command) as port:
                rows += compared(title, port, Path(name), number)
    print_table(
        f"{number:,} notices over {CONNECTIONS} connections, medians of {ROUNDS}",
        ("server", "", "seconds", "per second", "CPU s of the sender", "ratio"),
        rows,
    )


if __name__ == "__main__":
    main()
