"""Ingest against DuckDB's typed `read_json` -> Parquet of the same lines. Wanted: 0.35x its speed, under 600 MB.

python benchmarks/ingest.py [MESSAGES]      (3,000,000 by default; 1.5 GB of disk)
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import duckdb
import messages
from measuring import measure_in_turn, print_table

from config.models import EmbeddedStore
from ledger import clock
from ledger.database import open_database
from logviews.intake.ingest import Ingest

USED = ("http.request.method", "http.response.body.bytes", "http.response.status_code", "service.name", "url.path")


def typed(lines: Path, target: Path) -> None:
    """What a careful engineer would write by hand: all types given, zstd Parquet; no identity, no strict checks."""
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
        connection.execute(
            f"COPY (SELECT * FROM read_json('{lines}', columns = {messages.COLUMNS}, format = 'newline_delimited')) "
            f"TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
        )


def ours(lines: Path, folder: Path) -> int:
    """The same lines into a fresh store: strict checks, identity, raw lines kept."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    store = EmbeddedStore.model_validate({"type": "embedded", "folder": folder / "events", "fields": messages.FIELDS})
    database = open_database(f"sqlite:///{folder}/ledger.db", simulation=False, now=clock.now())
    try:
        return Ingest("bench", store, USED, database).take(lines, clock.now()).new
    finally:
        database.close()


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = folder / "messages.jsonl"
        messages.write(lines, number)
        found = measure_in_turn(
            {"typed read_json -> Parquet": lambda: typed(lines, folder / "typed.parquet"),
             "ingest": lambda: ours(lines, folder / "store")},
            rounds=3,
        )  # fmt: skip
        base = found["typed read_json -> Parquet"]
        print_table(
            f"Ingest of {number:,} JSON lines ({lines.stat().st_size / 1e6:,.0f} MB), medians of 3",
            ("", "seconds", "messages/s", "speed", "peak MB"),
            [
                (
                    name,
                    f"{one.median:.2f}",
                    f"{number / one.median:,.0f}",
                    f"{base.median / one.median:.2f}x",
                    one.peak_mb,
                )
                for name, one in found.items()
            ],
        )


if __name__ == "__main__":
    main()
