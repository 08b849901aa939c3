"""Logs that a store picks up, and what is in it: for the tests of pick-up and merging."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from config.models import EmbeddedStore
from ledger import parts
from ledger.database import Database
from logviews.intake.follow import Pickup, PickupReport

START = datetime(2026, 11, 1, tzinfo=UTC)
LOOK = timedelta(seconds=10)


@dataclass
class Site:
    """A folder of logs, a store that reads them, and a clock that goes on by each look."""

    folder: Path
    database: Database
    ids: bool = True
    pattern: str = "*.jsonl*"
    piece_bytes: int = 256 * 1024 * 1024
    at: datetime = START
    said: list[PickupReport] = field(default_factory=list)

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def store(self) -> EmbeddedStore:
        fields = {"time": "t", "customer": "c"} | ({"id": "n"} if self.ids else {})
        read = [str(self.logs / self.pattern)]
        return EmbeddedStore.model_validate(
            {"type": "embedded", "folder": self.folder / "store", "fields": fields, "read": read}
        )

    def look(self, after: timedelta = LOOK) -> PickupReport:
        """One look, some time after the one before."""
        self.logs.mkdir(exist_ok=True)
        self.at += after
        report = Pickup("s", self.store, (), self.database, self.piece_bytes).run(self.at)
        self.said.append(report)
        return report

    def look_to_the_end(self) -> list[PickupReport]:
        """Looks until nothing more can be new: also at what is whole only after it was quiet for a while."""
        reports = []
        for _ in range(3):
            reports.append(self.look(timedelta(minutes=2)))
            while reports[-1].more:
                reports.append(self.look())
        return reports

    def inside(self, role: parts.Role = "messages") -> Counter[str]:
        """The numbers of the messages in the store, and how often each is there."""
        with self.database.connect() as reading:
            paths = [str(self.folder / "store" / part.path) for part in parts.of_store(reading, "s", role)]
        if not paths:
            return Counter()
        with duckdb.connect() as connection:
            found = connection.execute("SELECT line FROM read_parquet(?, union_by_name = true)", [paths]).fetchall()
        return Counter(str(json.loads(line)["n"]) for (line,) in found)


def line(number: object, **more: Any) -> str:
    """A line of JSON with a number of its own."""
    return json.dumps({"t": "2026-10-05T00:00:00Z", "c": "a", "n": str(number), **more}) + "\n"


def lines(*numbers: int) -> str:
    """Lines of these numbers."""
    return "".join(line(number) for number in numbers)


def numbered(*numbers: int) -> Counter[str]:
    """Each of these numbers once, as `Site.inside` gives them."""
    return Counter(str(number) for number in numbers)


def zip_(path: Path) -> Path:
    """What gzip does: makes the compressed file, then removes the other one."""
    target = path.with_name(path.name + ".gz")
    target.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return target
