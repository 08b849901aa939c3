"""Evaluating 450 customers over 3 million messages, against the bare count that it needs, in one run.

python benchmarks/evaluate.py [MESSAGES]      (3,000,000 by default; 2 GB of disk)
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import messages
from count import ours as count_alone
from ingest import USED
from measuring import measure_in_turn, print_table, ratio

from config.load import load
from ledger import clock
from ledger.database import open_database
from logviews.embedded.store import Embedded
from logviews.intake.ingest import Ingest
from monitors.evaluate import Evaluator

CUSTOMERS = 450
AT = datetime(2026, 10, 28, 9, tzinfo=UTC)
CONFIGURATION = """
settings: {{database: "sqlite:///{folder}/ledger.db"}}
stores:
  bench: {{type: embedded, folder: events, fields: {{time: "@timestamp", customer: customer.id, id: event.id}}}}
tiers:
  basic: {{fee: 500, prices: {{api_calls: {{included: 1_000, overage: 0.01}}}}}}
customers: {{file: customers.csv}}
views:
  calls:
    store: bench
    meter: api_calls
    where:
      service.name: public-api
      http.request.method: [GET, POST]
      http.response.status_code: {{gte: 200, lt: 300}}
      url.path: {{prefix: /v1/, not: /v1/health}}
monitors:
  limit:
    view: calls
    window: billing month
    schedule: {{every: 15m}}
    thresholds: {{approaching: {{severity: warning, max: 90%}}, over: {{severity: error, max: 100%}}}}
"""


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tallywatch.yaml").write_text(CONFIGURATION.format(folder=folder))
        rows = "".join(f"customer-{customer:05},basic\n" for customer in range(CUSTOMERS))
        (folder / "customers.csv").write_text("id,tier\n" + rows)
        loaded = load(folder / "tallywatch.yaml")
        lines = folder / "messages.jsonl"
        messages.write(lines, number)
        database = open_database(loaded.config.settings.database, simulation=False, now=clock.now())
        store = Embedded("bench", loaded.config.stores["bench"], USED, database)
        Ingest("bench", store.store, USED, database).take(lines, clock.now())
        database.close()  # a measured process opens connections of its own
        evaluator = Evaluator(loaded.config, loaded.roster, lambda _: store)
        found = measure_in_turn(
            {"count": lambda: len(count_alone(store, "messages", None)),
             "evaluate": lambda: len(evaluator.evaluate("limit", AT).verdicts)},
            rounds=7, warm=1,
        )  # fmt: skip
        bare, whole = found["count"], found["evaluate"]
        print_table(
            f"Evaluating {CUSTOMERS} customers over {number:,} messages, medians of 7",
            ("", "seconds", "ratio", "customers", "peak MB"),
            [
                ("the count alone", f"{bare.median:.3f}", "1.00x", bare.result, bare.peak_mb),
                ("evaluate", f"{whole.median:.3f}", ratio(whole, bare), whole.result, whole.peak_mb),
            ],
        )


if __name__ == "__main__":
    main()
