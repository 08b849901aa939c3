"""A small installation for the tests of the service: a clock that is set by hand, logs, customers and monitors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from config.load import load
from ledger import deliveries, standings
from ledger.database import Database, open_database
from ledger.lease import lease
from ledger.records import Evaluation
from tallywatch.service.service import Service

START = datetime(2026, 10, 5, 12, tzinfo=UTC)
CONFIGURATION = """
settings: {{database: "{url}", email: {{transport: files, folder: mail}}}}
stores:
  web:
    type: embedded
    folder: events
    read: [logs/*.jsonl]
    fields: {{time: time, customer: customer, id: id}}
    stale_after: 6h
  other:
    type: embedded
    folder: other-events
    fields: {{time: time, customer: customer}}
tiers:
  basic: {{prices: {{calls: {{included: 10, overage: 0.01}}}}}}
customers: {{file: customers.csv}}
recipients: {{ops: {{email: ops@example.com}}}}
views:
  calls: {{store: web, meter: calls}}
  others: {{store: other}}
monitors:
  monthly:
    view: calls
    window: month
    schedule: {{every: 15m}}
    thresholds: {{near: {{severity: warning, max: 90%}}}}
    notify: {{tell: {{when: near, to: customer}}}}
  daily:
    view: calls
    window: day
    schedule: {{every: 1h}}
    thresholds: {{silent: {{severity: error, min: 1, grace: 1h}}}}
    notify: {{page: {{when: silent, to: ops}}}}
  elsewhere:
    view: others
    window: month
    schedule: {{every: 1h}}
    thresholds: {{any: {{severity: warning, max: 0.5}}}}
    notify: {{page: {{when: unavailable, to: ops, recovery: true}}}}
exports:
  billing: {{views: calls, layout: charges, approve: auto, settle: 72h}}
"""


@dataclass
class World:
    """The installation in a folder; `now` is what its clock shows."""

    folder: Path
    url: str
    now: datetime = START
    numbers: int = field(default=0)

    @property
    def config(self) -> Path:
        return self.folder / "tallywatch.yaml"

    def write(self, text: str = CONFIGURATION, customers: tuple[str, ...] = ("A", "B")) -> None:
        (self.folder / "logs").mkdir(exist_ok=True)
        self.config.write_text(text.format(url=self.url))
        rows = "".join(f"{name},basic,{name.lower()}@example.com\n" for name in customers)
        (self.folder / "customers.csv").write_text("id,tier,emails\n" + rows)

    def log(self, customer: str, at: datetime, number: int = 1) -> None:
        """Appends messages of a customer to the log file."""
        with (self.folder / "logs" / "app.jsonl").open("a") as out:
            for _ in range(number):
                self.numbers += 1
                out.write(json.dumps({"time": at.isoformat(), "customer": customer, "id": str(self.numbers)}) + "\n")

    @contextmanager
    def service(self) -> Iterator[Service]:
        """A service as it is after a start."""
        loaded = load(self.config, {})
        database = open_database(loaded.config.settings.database, simulation=False, now=self.now)
        try:
            with lease(database) as held:
                service = Service(self.config, loaded, database, held, lambda: self.now)
                yield service
                service.close()
        finally:
            database.close()

    def run(self, service: Service, length: timedelta, step: timedelta = timedelta(minutes=5)) -> None:
        """Lets time pass, tick by tick."""
        end = self.now + length
        while self.now < end:
            self.now += step
            service.tick()
            service.deliver()

    def mails(self) -> list[str]:
        """The names of the messages that left, without what tells two of a kind apart."""
        return sorted(path.name.rsplit("_", 1)[0] for path in (self.folder / "mail").glob("*.eml"))


def evaluations(database: Database, monitor: str) -> list[Evaluation]:
    """A monitor's evaluations, the oldest first."""
    with database.connect() as connection:
        return list(reversed(standings.evaluations(connection, monitor, limit=10_000)))


def statuses(database: Database) -> dict[str, int]:
    """How many deliveries have each status, of those that some have."""
    with database.connect() as connection:
        return {status: number for status, number in deliveries.count_by_status(connection).items() if number}
