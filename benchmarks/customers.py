"""Evaluating 100,000 customers over 10 million messages, and deciding. Wanted: under 15 s and 600 MB.

python benchmarks/customers.py [--spread] [CUSTOMERS] [MESSAGES] [FOLDER]  (100,000, 10,000,000; 3 GB of disk)

Some customers in a hundred are above a threshold. `--spread` gives them 28 billing days in four zones. A FOLDER is
kept, and used as it is when it is there.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import messages
from evaluate import AT, CONFIGURATION
from ingest import USED
from measuring import measure, print_table

from config.load import Loaded, load
from ledger import clock
from ledger.database import open_database
from ledger.periods import period_containing
from logviews.counting import Counting
from logviews.embedded.store import Embedded
from logviews.intake.ingest import Ingest
from logviews.readings import count_view
from monitors.decide import decide
from monitors.evaluate import Evaluator

FILES: Final = 5
ROUTES: Final = "    notify: {warn: {when: [approaching, over], to: customer}}\n"
STEPS: Final = ("roster", "count", "readings", "judge", "decide")
WANTED_SECONDS, WANTED_MB = 15, 600


def build(folder: Path, customers: int, number: int, *, spread: bool) -> None:
    """A configuration, its roster, and a store with that many messages in five parts.

    `spread` gives the customers 28 billing days in four zones: 112 periods instead of one.
    """
    included = number // customers * 26 // 100  # its 90% are what a few in a hundred have used by then
    configuration = CONFIGURATION.format(folder=folder).replace("included: 1_000", f"included: {included}")
    (folder / "tallywatch.yaml").write_text(configuration + ROUTES)
    zones = ("Europe/Stockholm", "America/New_York", "Asia/Kolkata", "UTC") if spread else ("UTC",)
    with (folder / "customers.csv").open("w") as stream:
        stream.write("id,tier,emails,zone,billing_day\n")
        for customer in range(customers):
            day = customer % 28 + 1 if spread else 1
            stream.write(f"customer-{customer:05},basic,{customer}@example.com,{zones[customer % len(zones)]},{day}\n")
    loaded = load(folder / "tallywatch.yaml")
    database = open_database(loaded.config.settings.database, simulation=False, now=clock.now())
    lines = folder / "messages.jsonl"
    for file in range(FILES):
        messages.write(lines, number // FILES, first=file * (number // FILES), customers=customers)
        Ingest("bench", loaded.config.stores["bench"], USED, database).take(lines, clock.now())
    lines.unlink()
    database.close()


def opened(folder: Path) -> tuple[Loaded, Embedded]:
    loaded = load(folder / "tallywatch.yaml")
    database = open_database(loaded.config.settings.database, simulation=False, now=clock.now())
    return loaded, Embedded("bench", loaded.config.stores["bench"], USED, database)


def evaluate(folder: Path) -> int:
    """What the service does: with the roster in memory, evaluate and decide."""
    loaded, store = opened(folder)
    return len(_decided(loaded, Evaluator(loaded.config, loaded.roster, lambda _: store)).notices)


def _decided(loaded: Loaded, evaluator: Evaluator) -> Any:
    found = evaluator.evaluate("limit", AT)
    assert found.problem is None, found.problem
    return decide(found.watched, found.verdicts, standings={}, roster=loaded.roster, used_keys={}, at=AT)


def shares(folder: Path) -> dict[str, float]:
    """Seconds of each step; what a step includes of those before it is taken off."""
    seconds: dict[str, float] = {}

    def timed(work: Callable[[], Any]) -> tuple[float, Any]:
        start = time.perf_counter()
        result = work()
        return time.perf_counter() - start, result

    seconds["roster"], (loaded, store) = timed(lambda: opened(folder))
    view, roster = loaded.config.views["calls"], loaded.roster
    evaluator = Evaluator(loaded.config, roster, lambda _: store)
    period = period_containing("month", AT, "UTC")
    query = Counting(store, "calls", view, roster, lambda _: period, AT, next(iter(roster.customers.values())))
    asked = query.query((period.start, AT))
    seconds["count"], _ = timed(lambda: sum(1 for _ in store.count(asked)))
    counting, _ = timed(
        lambda: count_view(
            store, "calls", view, roster,
            lambda member: period_containing("billing month", AT, member.zone, member.billing_day),
            AT, default_zone="UTC",
        )
    )  # fmt: skip
    evaluating, found = timed(lambda: evaluator.evaluate("limit", AT))
    seconds["readings"], seconds["judge"] = counting - seconds["count"], evaluating - counting
    seconds["decide"], _ = timed(
        lambda: decide(found.watched, found.verdicts, standings={}, roster=roster, used_keys={}, at=AT)
    )
    return seconds


def main() -> None:
    spread = "--spread" in sys.argv
    given = [argument for argument in sys.argv[1:] if argument != "--spread"]
    customers = int(given[0]) if given else 100_000
    number = int(given[1]) if len(given) > 1 else 10_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(given[2]).resolve() if len(given) > 2 else Path(name)
        if not (folder / "tallywatch.yaml").exists():
            folder.mkdir(exist_ok=True)
            build(folder, customers, number, spread=spread)
        whole = measure(lambda: evaluate(folder))
        steps = measure(lambda: shares(folder)).result
        assert isinstance(steps, dict)
        without_roster = whole.median - steps["roster"]
        rows = [(step, f"{steps[step]:.2f}", f"{steps[step] / without_roster:.0%}") for step in STEPS[1:]]
        print_table(
            f"Evaluating {customers:,} customers over {number:,} messages; {whole.result:,} notices due",
            ("", "seconds", "share"),
            [
                ("evaluate and decide", f"{without_roster:.2f} (wanted: {WANTED_SECONDS})", "100%"),
                *rows,
                ("reading the roster, once", f"{steps['roster']:.2f}", ""),
                ("peak MB", f"{whole.peak_mb} (wanted: {WANTED_MB})", ""),
            ],
        )


if __name__ == "__main__":
    main()
