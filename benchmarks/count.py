"""A filtered count per customer against hand-written SQL over typed Parquet of the same messages. Wanted: at most 1.5x.

python benchmarks/count.py [MESSAGES]      (10,000,000 by default; 6 GB of disk)
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import messages
from ingest import USED, typed
from measuring import measure_in_turn, print_table, ratio

from config import filters
from config.models import EmbeddedStore
from ledger import clock
from ledger.database import open_database
from logviews.embedded.store import Embedded
from logviews.intake.ingest import Ingest
from logviews.store import CountQuery

FILES = 5
START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)


def by_hand(parquet: Path, what: str) -> dict[str, int]:
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
        rows = connection.execute(
            f"""SELECT customer.id, {what} FROM read_parquet('{parquet}/*.parquet')
            WHERE "@timestamp" >= TIMESTAMPTZ '2026-10-01 00:00:00Z'
            AND "@timestamp" < TIMESTAMPTZ '2026-11-01 00:00:00Z'
            AND {messages.WHERE_SQL} GROUP BY customer.id"""
        ).fetchall()
    return {str(id_): int(quantity) for id_, quantity in rows}


def ours(store: Embedded, aggregation: str, field: str | None) -> dict[str, int]:
    where = filters.parse(messages.WHERE)
    query = CountQuery("bench", where, aggregation, field, 0, (START, END))  # type: ignore[arg-type]  # one of the seven
    return {tally.subject.id: int(tally.quantity or 0) for tally in store.count(query)}


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "typed").mkdir()
        settings = EmbeddedStore.model_validate(
            {"type": "embedded", "folder": folder / "events", "fields": messages.FIELDS}
        )
        database = open_database(f"sqlite:///{folder}/ledger.db", simulation=False, now=clock.now())
        for file in range(FILES):
            lines = folder / "messages.jsonl"
            messages.write(lines, number // FILES, first=file * (number // FILES))
            Ingest("bench", settings, USED, database).take(lines, clock.now())
            typed(lines, folder / "typed" / f"{file}.parquet")
        lines.unlink()
        store = Embedded("bench", settings, USED, database)
        database.close()  # a forked process opens connections of its own
        rows = []
        for title, what, aggregation, field in (
            ("messages", "count(*)", "messages", None),
            ("sum of body bytes", "sum(http.response.body.bytes)", "sum", "http.response.body.bytes"),
            ("distinct paths", "count(DISTINCT url.path)", "distinct", "url.path"),
        ):
            found = measure_in_turn(
                {"hand": lambda what=what: by_hand(folder / "typed", what),  # type: ignore[misc]  # called with nothing
                 "own": lambda a=aggregation, f=field: ours(store, a, f)},  # type: ignore[misc]  # as above
                rounds=7, warm=1,
            )  # fmt: skip
            hand, own = found["hand"], found["own"]
            same = "yes" if hand.result == own.result else "NO"
            rows.append(
                (title, f"{hand.median:.3f}", f"{own.median:.3f}", ratio(own, hand), same,
                 f"{hand.peak_mb} / {own.peak_mb}")
            )  # fmt: skip
        print_table(
            f"A count with four filters per customer over {number:,} messages, medians of 7",
            ("counted", "SQL by hand, s", "tallywatch, s", "ratio", "same figures", "peak MB"),
            rows,
        )


if __name__ == "__main__":
    main()
