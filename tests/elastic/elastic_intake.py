"""A store in a real Elasticsearch that files are taken into, for the tests: with an index and a template of its own."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import elastic_stores
from elasticsearch import Elasticsearch

from config.models import ElasticsearchStore
from logviews.elastic.ingest import ElasticIngest
from logviews.elastic.session import Session
from logviews.elastic.store import Elastic
from logviews.intake.ingest import IngestReport

_NUMBERS = itertools.count(1)


class Clock:
    """A clock that goes on by a second at each look."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now


@dataclass(frozen=True)
class Taking:
    """A store that takes files in, and the client by which a test looks at what became of them."""

    client: Elasticsearch
    ingest: ElasticIngest
    folder: Path
    index: str

    def take(
        self, lines: Iterable[str | Mapping[str, Any]], name: str = "log.jsonl", skip_bad: Path | None = None
    ) -> IngestReport:
        """Takes lines in, as a file of that name."""
        path = self.folder / name
        path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in lines))
        return self.ingest.take(path, skip_bad)

    def with_store(self, store: ElasticsearchStore) -> Taking:
        """The same with other settings."""
        return replace(self, ingest=replace(self.ingest, store=store))

    def stored(self) -> dict[str, Any]:
        """Id -> what is stored under it."""
        self.client.indices.refresh(index=self.index)
        hits = self.client.search(index=self.index, size=10_000)["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits}

    def number(self) -> int:
        """How many messages are stored."""
        self.client.indices.refresh(index=self.index, ignore_unavailable=True)
        return int(self.client.count(index=self.index, ignore_unavailable=True)["count"])

    def fields(self) -> dict[str, Any]:
        """Field -> its mapping."""
        return dict(_leaves(self.client.indices.get_mapping(index=self.index)[self.index]["mappings"]))

    def counting(self) -> Elastic:
        """The same store, to be counted."""
        return Elastic(self.ingest.name, self.ingest.store, self.ingest.session)


@contextmanager
def taking(client: Elasticsearch, url: str, folder: Path, **changes: Any) -> Iterator[Taking]:
    """A store that takes files in, its index not there yet; everything is gone afterwards."""
    name = f"intake-{os.getpid()}-{next(_NUMBERS)}"
    index = f"test-{name}"
    store = elastic_stores.settings(url, index, **changes)
    try:
        yield Taking(client, ElasticIngest(name, store, Session(name, store, client), Clock()), folder, index)
    finally:
        quietly = client.options(ignore_status=404)
        quietly.indices.delete(index=index)
        quietly.indices.delete_index_template(name=f"tallywatch-{name}")


def _leaves(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in node.get("properties", {}).items():
        below = f"{path}.{key}" if path else key
        if "properties" in inner:
            yield from _leaves(inner, below)
        else:
            yield below, inner
