"""A thousand random steps over month ends and DST days, after each of which tallies and sums must be what the logs are.

Messages arrive late, twice and out of order; parts are merged; zones, billing days, contracts and monitors change;
refreshes are broken off half-way, recounted and pruned. After each step the tallies equal a plain Python count of what
the store holds, every period sum equals its tallies, and every reading that an evaluation would see equals the count.

    python tests/campaigns/tallies_random.py --steps 1000 --seed 1
    python tests/campaigns/tallies_random.py --steps 200 --seed 1 --database postgresql
    python tests/campaigns/tallies_random.py --steps 1000 --seed 1 --store elasticsearch --url http://127.0.0.1:9200
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = (ROOT, ROOT / "tests" / "tallies", ROOT / "tests" / "notifiers", Path(__file__).parent)
sys.path[:0] = [str(folder) for folder in _FOLDERS]

from plain_store import PlainStore  # noqa: E402  # the folders above, for whoever starts this as a program
from random_steps import changes, later, messages, refresh  # noqa: E402
from tallies_world import FRACTIONS, INTEGERS, OFF_THE_HOUR, VIEWS, ZONES, World, document, random_roster  # noqa: E402

from config.models import Config  # noqa: E402
from ledger.database import Database, open_database  # noqa: E402
from logviews.embedded.merge import merge_small  # noqa: E402
from logviews.embedded.store import Embedded  # noqa: E402
from logviews.fields import used_fields  # noqa: E402
from logviews.intake.ingest import Ingest  # noqa: E402
from logviews.store import LogStore  # noqa: E402

START = datetime(2026, 10, 20, 7, 13, tzinfo=UTC)  # before DST ends in Stockholm and New York, and before a month's end


@dataclass(frozen=True)
class Message:
    """A message as it is sent; some are sent twice."""

    id: str
    at: datetime
    customer: str | None
    line: str

    @property
    def fields(self) -> dict[str, Any]:
        """As a store takes it in."""
        own = {"t": self.at.isoformat(timespec="milliseconds"), "id": self.id, **json.loads(self.line)}
        return own if self.customer is None else {**own, "c": self.customer}


class Source(Protocol):
    """A real store that messages can be put into."""

    config: Config
    store: LogStore
    numbers: Sequence[str]

    def take(self, batch: Sequence[Message], now: datetime) -> None:
        """Messages come in; an id that is there already is left out."""

    def tidy(self, now: datetime) -> None:
        """Whatever the store does by itself now and then."""


@dataclass
class EmbeddedSource:
    """The embedded store, which takes files in and merges its parts."""

    folder: Path
    database: Database
    numbers: Sequence[str] = FRACTIONS

    def __post_init__(self) -> None:
        self.config = Config.model_validate(document(folder=self.folder / "events"))
        settings = self.config.embedded_stores["logs"]
        fields = used_fields(self.config, "logs")
        self.store = Embedded("logs", settings, fields, self.database)
        self._taking = Ingest("logs", settings, fields, self.database)

    def take(self, batch: Sequence[Message], now: datetime) -> None:
        if batch:
            path = self.folder / "batch.jsonl"
            path.write_text("".join(json.dumps(one.fields, ensure_ascii=False) + "\n" for one in batch))
            self._taking.take(path, now)

    def tidy(self, now: datetime) -> None:
        merge_small("logs", self.config.embedded_stores["logs"], self.database, now)


@dataclass
class ElasticsearchSource:
    """An index of its own on a real server, deleted in the end."""

    url: str
    numbers: Sequence[str] = INTEGERS
    index: str = field(default_factory=lambda: f"tallies-{uuid.uuid4().hex[:12]}")

    def __post_init__(self) -> None:
        from elasticsearch import Elasticsearch  # noqa: PLC0415 (only where it is wanted)

        from logviews.elastic.client import connect  # noqa: PLC0415 (as above)
        from logviews.elastic.store import Elastic  # noqa: PLC0415 (as above)

        place = {"type": "elasticsearch", "hosts": [self.url], "index": self.index}
        fields = {"time": "t", "customer": "c", "id": "id", "ingested": "ingested"}
        given = document()
        given["stores"] = {"logs": {**place, "fields": fields}}
        self.config = Config.model_validate(given)
        settings = self.config.elasticsearch_stores["logs"]
        self.client = Elasticsearch(self.url, request_timeout=60)
        types = {"t": "date", "c": "keyword", "id": "keyword", "ingested": "date", "n": "long", "w": "keyword"}
        self.client.indices.create(
            index=self.index, mappings={"properties": {name: {"type": type_} for name, type_ in types.items()}}
        )
        self.store = Elastic("logs", settings, connect("logs", settings))

    def take(self, batch: Sequence[Message], now: datetime) -> None:
        if not batch:
            return
        lines: list[dict[str, Any]] = []
        for one in batch:
            lines += [{"create": {"_id": one.id}}, {**one.fields, "ingested": now.isoformat(timespec="milliseconds")}]
        answer = self.client.bulk(index=self.index, operations=lines, refresh=True)
        assert {item["create"]["status"] for item in answer["items"]} <= {201, 409}, answer

    def tidy(self, now: datetime) -> None:
        """Nothing: it merges its segments by itself."""

    def close(self) -> None:
        """Removes the index."""
        self.client.indices.delete(index=self.index)
        self.client.close()


def campaign(
    source: Source, database: Database, *, steps: int, seed: int, views: Sequence[str], most: int = 8
) -> Counter[str]:
    """Plays so many steps. Raises AssertionError where anything differs; gives what was done how often."""
    dice, now, done = Random(seed), START, Counter[str]()
    plain = PlainStore()
    world = World(database, source.store, plain, source.config, random_roster(dice, now))
    sent: list[Message] = []
    for _ in range(steps):
        batch: list[Message] = []

        def send(
            at: datetime, customer: str | None, line: str, batch: list[Message] = batch, sent: list[Message] = sent
        ) -> None:
            batch.append(Message(f"m{len(sent) + len(batch):06}", at, customer, line))

        messages(dice, now, most, send, source.numbers)
        for one in batch:
            plain.add(one.at, one.customer, one.line, one.id)
        again = [dice.choice(sent) for _ in range(dice.randint(0, 3))] if sent else []
        sent += batch
        mixed = [*batch, *again]
        dice.shuffle(mixed)
        source.take(mixed, now)
        if dice.random() < 0.05:
            source.tidy(now)
            done["merges"] += 1
        before = world.roster
        changes(dice, world, now, (*ZONES, dice.choice(OFF_THE_HOUR)) if dice.random() < 0.1 else ZONES)
        now = later(dice, now)
        for name in views:
            refresh(dice, world, name, now, before=1 if dice.random() < 0.2 else 0)
        done.update({"messages": len(batch), "duplicates": len(again), "rosters": int(world.roster is not before)})
    print(f"{steps} steps from {START:%d %B %Y} to {now:%d %B %Y}, {len(views)} views: " + _told(done))
    return done


def _told(done: Counter[str]) -> str:
    return ", ".join(f"{number:,} {what}" for what, number in sorted(done.items()))


@contextmanager
def opened(kind: str, url: str | None, folder: Path, database: Database) -> Iterator[Source]:
    """A store of that kind, empty."""
    if kind == "embedded":
        yield EmbeddedSource(folder, database)
        return
    assert url is not None, "--url names the server"
    source = ElasticsearchSource(url)
    try:
        yield source
    finally:
        source.close()


def main() -> None:
    """The command line."""
    from month import ledger  # noqa: PLC0415 (which imports much)

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--views", nargs="+", choices=list(VIEWS), default=["messages", "sum", "max", "latest"])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--store", choices=["embedded", "elasticsearch"], default="embedded")
    parser.add_argument("--url", help="of an Elasticsearch server")
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="tallies-") as work, ledger(options.database, Path(work)) as url:
        database = open_database(url, simulation=False, now=START)
        with opened(options.store, options.url, Path(work), database) as source:
            campaign(source, database, steps=options.steps, seed=options.seed, views=options.views)
        database.close()
    print(f"every tally, every sum and every reading as counted, in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
