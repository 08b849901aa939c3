"""A scheduled evaluation: what it costs on day 28 against day 2, and with 100,000 customers against 10,000.

Wanted: at most 1.2x in time on day 28; at most 12x the time of 10,000 customers, under 600 MB.

python benchmarks/refresh.py [MESSAGES A DAY] [CUSTOMERS]      (100,000 and 100,000 by default; 2 GB of disk)

Messages come in steadily, a part each quarter of an hour, and each evaluation follows the one before by as much. What
is measured is what the service does then: bringing the tallies up, reading the sums, judging, deciding and writing.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
from measuring import print_table

from config.load import load
from ledger.database import open_database
from logviews.fields import used_fields
from logviews.intake.ingest import Ingest
from monitors.commit import commit
from monitors.evaluate import Evaluator
from tallywatch.service.tallying import Tallying

START: Final = datetime(2026, 10, 1, tzinfo=UTC)
QUARTER: Final = timedelta(minutes=15)
DAY: Final = timedelta(days=1)
ROUNDS: Final = 12
SECONDS: Final = 100_000.0  # what is counted before the first round is not measured, and may take its time
CONFIGURATION: Final = """
settings: {{database: "sqlite:///{folder}/ledger.db"}}
stores:
  bench: {{type: embedded, folder: events, fields: {{time: t, customer: c, id: id}}}}
tiers:
  basic: {{prices: {{calls: {{included: {included}, overage: 0.01}}}}}}
customers: {{file: customers.csv}}
views:
  calls: {{store: bench, meter: calls, where: {{status: {{gte: 200, lt: 300}}, path: {{prefix: /v1/}}}}}}
monitors:
  limit:
    view: calls
    window: billing month
    schedule: {{every: 15m}}
    thresholds: {{approaching: {{severity: warning, max: 90%}}, over: {{severity: error, max: 100%}}}}
"""


def write(path: Path, since: datetime, length: timedelta, number: int, customers: int) -> None:
    """So many messages, evenly over a stretch of time, of customers in turn."""
    first, step = int(since.timestamp() * 1000), length / timedelta(milliseconds=1) / number
    line = '{"t":"%s","id":"%s","c":"customer-%05d","status":%d,"path":"%s","method":"GET","bytes":%d}'
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
        connection.execute(
            f"""COPY (SELECT printf('{line}',
                strftime(make_timestamp_ms(CAST({first} + i * {step} AS BIGINT)), '%Y-%m-%dT%H:%M:%S.%gZ'),
                md5(CAST({first} + i AS VARCHAR) || '{first}'), CAST((i * 7919) % {customers} AS INT),
                CASE i % 10 WHEN 0 THEN 404 ELSE 200 END, CASE i % 8 WHEN 0 THEN '/static/x' ELSE '/v1/orders' END,
                CAST(i % 50000 AS INT))
            FROM range({number}) t(i))
            TO '{path}' (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER E'\\x01')"""
        )


@dataclass
class Installation:
    """A store with messages from the first of the month, and a process that evaluates it as the service does."""

    folder: Path
    customers: int
    number: int  # messages a day
    days: float
    seconds: list[float] = field(default_factory=list)
    peak_mb: int = 0

    def prepare(self) -> None:
        """Everything up to the first round: a part for each day or less, and all of it counted once."""
        self.folder.mkdir()
        included = int(self.number / self.customers * 28)
        (self.folder / "tallywatch.yaml").write_text(CONFIGURATION.format(folder=self.folder, included=included))
        rows = "".join(f"customer-{number:05},basic\n" for number in range(self.customers))
        (self.folder / "customers.csv").write_text("id,tier\n" + rows)
        self.now, end = START, START + self.days * DAY
        while self.now < end:
            self.take(min(DAY, end - self.now))
        self._asking, asked = multiprocessing.get_context("fork").Pipe()
        multiprocessing.get_context("fork").Process(target=_serve, args=(self.folder, asked), daemon=True).start()
        asked.close()
        self.evaluate(measured=False)

    def take(self, length: timedelta) -> None:
        """Messages of the next stretch of time come in, in a process of its own."""
        number = max(1, round(self.number * (length / DAY)))
        _apart(lambda: _ingest(self.folder, self.now, length, number, self.customers))
        self.now += length

    def evaluate(self, *, measured: bool = True) -> None:
        """A scheduled evaluation, now."""
        self._asking.send(self.now)
        seconds, self.peak_mb, verdicts = self._asking.recv()
        assert verdicts == self.customers, verdicts
        if measured:
            self.seconds.append(seconds)

    def stop(self) -> None:
        """Lets the process end."""
        self._asking.send(None)


def _apart(work: Callable[[], None]) -> None:
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"a process ended with {process.exitcode}")


def _ingest(folder: Path, since: datetime, length: timedelta, number: int, customers: int) -> None:
    loaded = load(folder / "tallywatch.yaml")
    database = open_database(loaded.config.settings.database, simulation=False, now=since)
    lines = folder / "messages.jsonl"
    write(lines, since, length, number, customers)
    store = loaded.config.embedded_stores["bench"]
    Ingest("bench", store, used_fields(loaded.config, "bench"), database).take(lines, since + length)
    lines.unlink()
    database.close()


def _serve(folder: Path, asked: Any) -> None:
    loaded = load(folder / "tallywatch.yaml")
    database = open_database(loaded.config.settings.database, simulation=False, now=START)
    tallying = Tallying(loaded, database)
    tallying.allowance.seconds = SECONDS
    while (at := asked.recv()) is not None:
        began = time.perf_counter()
        tallying.begin_tick()

        def source(_: str, at: datetime = at) -> Any:
            return tallying.source("limit", at, at)

        evaluated = Evaluator(loaded.config, loaded.roster, source).evaluate("limit", at, at, breached=())
        commit(database, evaluated, loaded.roster)
        seconds = time.perf_counter() - began
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        asked.send((seconds, peak_mb, len(evaluated.verdicts)))
    database.close()


def compare(title: str, wanted: str, installations: Sequence[tuple[str, Installation]]) -> None:
    """Rounds in turn, so that a machine that slows down slows both; the second is set against the first."""
    for _, one in installations:
        one.prepare()
    for _ in range(ROUNDS):
        for _, one in installations:
            one.take(QUARTER)
            one.evaluate()
    (_, first), (_, second) = installations
    ratio = statistics.median(ours / theirs for ours, theirs in zip(second.seconds, first.seconds, strict=True))
    print_table(
        f"{title}, medians of {ROUNDS}",
        ("", "seconds", "ratio", "peak MB"),
        [
            (name, f"{statistics.median(one.seconds):.3f}", told, one.peak_mb)
            for (name, one), told in zip(installations, ("1.00x", f"{ratio:.2f}x (wanted: {wanted})"), strict=True)
        ],
    )
    for _, one in installations:
        one.stop()


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    customers = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare(
            f"An evaluation of 450 customers at {number:,} messages a day",
            "1.2x",
            [(f"day {day}", Installation(folder / f"day{day}", 450, number, day - 0.5)) for day in (2, 28)],
        )
        # each customer a message in a quarter of an hour, for three hours before the first round
        compare(
            f"An evaluation of customers who all send {QUARTER // timedelta(minutes=1)}-minutely",
            "12x",
            [
                (f"{many:,} customers", Installation(folder / f"of{many}", many, many * 96, 0.125))
                for many in (customers // 10, customers)
            ],
        )


if __name__ == "__main__":
    main()
