"""Messages into an index of Elasticsearch: its mapping, and bulk requests of stretches of time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from elasticsearch import Elasticsearch

BULK: Final = 5_000
TIERS: Final = 6
_KEYWORD: Final = {"type": "keyword", "ignore_above": 1024}
MAPPINGS: Final[dict[str, Any]] = {
    "dynamic_templates": [{"text": {"match_mapping_type": "string", "mapping": _KEYWORD}}],
    "properties": {
        "@timestamp": {"type": "date"},
        "event": {"properties": {"id": _KEYWORD, "ingested": {"type": "date"}}},
        "customer": {"properties": {"id": _KEYWORD, "tier": _KEYWORD}},
        "service": {"properties": {"name": _KEYWORD}},
        "url": {"properties": {"path": _KEYWORD}},
        "http": {
            "properties": {
                "request": {"properties": {"method": _KEYWORD, "bytes": {"type": "long"}}},
                "response": {
                    "properties": {
                        "status_code": {"type": "long"},
                        "body": {"properties": {"bytes": {"type": "long"}}},
                    }
                },
            }
        },
    },
}


@contextmanager
def index(client: Elasticsearch, name: str) -> Iterator[str]:
    """An index for the block: one shard, no replica, refreshed when asked. What another run left is removed."""
    _drop(client, name)
    client.indices.create(
        index=name,
        settings={"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"},
        mappings=MAPPINGS,
    )
    try:
        yield name
    finally:
        _drop(client, name)


@contextmanager
def others(client: Elasticsearch, name: str) -> Iterator[None]:
    """Removes ElastAlert2's own indices after the block."""
    try:
        yield
    finally:
        for suffix in ("", "_status", "_silence", "_error", "_past"):
            _drop(client, name + suffix)


def _drop(client: Elasticsearch, name: str) -> None:
    client.indices.delete(index=name, ignore_unavailable=True)


class Feed:
    """The lines of a file of messages in their order, put into an index as time goes on.

    Each message gets an ingest time, that of the message, and its customer's tier: customer number modulo six.
    """

    def __init__(self, client: Elasticsearch, name: str, lines: Path) -> None:
        self.client, self.name = client, name
        self._lines = lines.open(encoding="utf-8")
        self._held: str | None = None

    def until(self, end: datetime) -> int:
        """Puts in all messages before an instant that are not there yet, makes them visible, and says how many."""
        stamp = end.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        number = load(self.client, self.name, self._before(stamp))
        self.client.indices.refresh(index=self.name)
        return number

    def _before(self, stamp: str) -> Iterator[tuple[str, str]]:
        while True:
            line = self._held if self._held is not None else self._lines.readline()
            self._held = None
            if not line:
                return
            if line[15:39] >= stamp:
                self._held = line
                return
            yield _amended(line)


def _amended(line: str) -> tuple[str, str]:
    """The id of a message of `benchmarks/messages.py`, and its text with ingest time and tier."""
    time = line[15:39]
    start = line.index('"id":"', 40) + 6
    id_ = line[start : start + 32]
    place = line.index('"customer":{"id":"customer-', start) + 27
    tier = int(line[place : place + 5]) % TIERS + 1
    head, tail = line[: place + 6], line[place + 6 :]
    return id_, f'{head[:50]}"ingested":"{time}",{head[50:]},"tier":"tier-{tier}"{tail.rstrip()}'


def load(client: Elasticsearch, name: str, documents: Iterable[tuple[str, str]]) -> int:
    """Puts (id, JSON text) into an index in bulk requests, two at a time; says how many."""
    with ThreadPoolExecutor(2) as pool:
        total, waiting = 0, []
        source = iter(documents)
        while batch := list(islice(source, BULK)):
            waiting.append(pool.submit(_bulk, client, name, batch))
            total += len(batch)
            while len(waiting) > 3:
                waiting.pop(0).result()
        for future in waiting:
            future.result()
    return total


def _bulk(client: Elasticsearch, name: str, batch: Sequence[tuple[str, str]]) -> None:
    lines: list[str] = []
    for id_, text in batch:
        lines += (f'{{"create":{{"_id":{json.dumps(id_)}}}}}', text)
    answer = client.bulk(index=name, operations=lines)
    if answer["errors"]:
        raise SystemExit(f"a bulk request was refused: {json.dumps(answer['items'][0])}")
