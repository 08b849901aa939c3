"""A week of running with nothing new: the service's memory after 2,000 ticks against after 100. Wanted: no growth.

python benchmarks/idle.py [TICKS]      (2,000 by default, each five minutes of the service's clock: a week)
"""

from __future__ import annotations

import gc
import logging
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from measuring import print_table

from config.load import load
from ledger.database import open_database
from ledger.lease import lease
from logviews.fields import used_fields
from logviews.intake.ingest import Ingest
from tallywatch.service.service import Service

START = datetime(2026, 10, 5, tzinfo=UTC)
TICK = timedelta(minutes=5)
CONFIGURATION = """
settings: {database: sqlite:///ledger.db, email: {transport: files, folder: mail}}
stores:
  web:
    type: embedded
    folder: events
    read: [logs/*.jsonl]
    fields: {time: time, customer: customer, id: id}
tiers:
  basic: {prices: {calls: {included: 1000, overage: 0.01}}}
customers: {file: customers.csv}
recipients: {ops: {email: ops@example.com}}
views:
  calls: {store: web, meter: calls, where: {method: [GET, POST]}}
monitors:
  monthly:
    view: calls
    window: month
    schedule: {every: 15m}
    thresholds: {near: {severity: warning, max: 90%}}
    notify: {tell: {when: near, to: customer}, page: {when: [near, unavailable], to: ops, repeat: 4h}}
  daily:
    view: calls
    window: day
    schedule: {every: 15m}
    thresholds: {silent: {severity: error, min: 1, grace: 1h}}
    notify: {page: {when: silent, to: ops}}
exports:
  billing: {views: calls, layout: charges, approve: auto}
"""


def resident_mb() -> float:
    """What the process holds now, in MB."""
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise OSError("no VmRSS in /proc/self/status")


def prepare(folder: Path) -> Path:
    """A configuration with 200 customers and 20,000 messages of a few days before the start."""
    path = folder / "tallywatch.yaml"
    path.write_text(CONFIGURATION)
    (folder / "logs").mkdir()
    customers = [f"c{number}" for number in range(200)]
    (folder / "customers.csv").write_text("id,tier\n" + "".join(f"{name},basic\n" for name in customers))
    with (folder / "messages.jsonl").open("w") as out:
        for number in range(20_000):
            at = (START - timedelta(seconds=number * 15)).strftime("%Y-%m-%dT%H:%M:%SZ")
            name = customers[number * number % 200]
            out.write(f'{{"time": "{at}", "customer": "{name}", "id": "{number}", "method": "GET"}}\n')
    return path


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    ticks = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    now = START

    def clock() -> datetime:
        return now

    with tempfile.TemporaryDirectory() as name:
        path = prepare(Path(name))
        loaded = load(path, {})
        database = open_database(loaded.config.settings.database, simulation=False, now=now)
        store = loaded.config.stores["web"]
        Ingest("web", store, used_fields(loaded.config, "web"), database).take(Path(name) / "messages.jsonl", now)
        rows, first = [], 0.0
        with lease(database) as held:
            service = Service(path, loaded, database, held, clock)
            for tick in range(1, ticks + 1):
                now += TICK
                service.tick()
                service.deliver()
                if tick == 100:
                    first = resident_mb()
                if tick in (10, 100, 500, 1_000, 1_500, ticks):
                    rows.append((f"{tick:,}", f"{resident_mb():.1f}", f"{resident_mb() / first:.3f}x" if first else ""))
            service.close()
        database.close()
    print_table("Memory of the service with nothing new", ("ticks", "resident MB", "of that after 100"), rows)


if __name__ == "__main__":
    main()
