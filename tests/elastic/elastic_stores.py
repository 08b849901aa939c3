"""Stores in a real Elasticsearch, for the tests of counting: an index of its own for each, gone afterwards."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch
from stores import events_of

from config.models import ElasticsearchStore
from logviews.elastic.client import connect
from logviews.elastic.store import PAGE, Elastic
from logviews.intake.strict import LineRules
from logviews.reference import Event
from logviews.times import TimeRule

_NUMBERS = itertools.count(1)
_MAPPED = {
    "string": {"type": "keyword"},
    "integer": {"type": "long", "coerce": False},
    "decimal": {"type": "double", "coerce": False},
    "boolean": {"type": "boolean"},
    "time": {"type": "date"},
    "ip": {"type": "ip"},
}


@dataclass(frozen=True)
class Loaded:
    """A store with messages in it, the same messages in plain Python, and how many of them the mapping refused."""

    store: Elastic
    events: list[Event]
    refused: int


def settings(url: str, index: str | list[str], **changes: Any) -> ElasticsearchStore:
    """A store's configuration: time, customer and id are fields of these names."""
    fields = {"time": "time", "customer": "customer", "id": "id"}
    stated = {"type": "elasticsearch", "hosts": [url], "index": index, "fields": fields} | changes
    return ElasticsearchStore.model_validate(stated)


def mapping_of(types: Mapping[str, str]) -> dict[str, Any]:
    """The mapping for fields of these types, and of the store's own."""
    own = {"time": "time", "customer": "string", "id": "string"}
    return {"properties": {name: _MAPPED[type_] for name, type_ in (own | dict(types)).items()}}


@contextmanager
def index(client: Elasticsearch, mappings: Mapping[str, Any], **more: Any) -> Iterator[str]:
    """A fresh index."""
    name = f"test-{os.getpid()}-{next(_NUMBERS)}"
    client.indices.create(index=name, mappings=mappings, settings={"number_of_replicas": 0, **more})
    try:
        yield name
    finally:
        client.options(ignore_status=404).indices.delete(index=name)


def fill(client: Elasticsearch, name: str, lines: Iterable[str]) -> list[str]:
    """Puts lines into an index, each under its id; gives those that it took."""
    texts = list(lines)
    body: list[Any] = []
    for text in texts:
        body += [{"create": {"_id": json.loads(text)["id"]}}, text]
    if not texts:
        return []
    answers = client.bulk(index=name, operations=body, refresh=True)["items"]
    return [text for text, answer in zip(texts, answers, strict=True) if answer["create"]["status"] == 201]


@contextmanager
def opened(store: ElasticsearchStore, page: int = PAGE) -> Iterator[Elastic]:
    """A store that can be asked; its connections go with it."""
    session = connect("logs", store)
    try:
        yield Elastic("logs", store, session, page)
    finally:
        session.close()


@contextmanager
def load(
    client: Elasticsearch,
    url: str,
    lines: Iterable[str | Mapping[str, Any]],
    mapped: Mapping[str, str],
    *,
    page: int = PAGE,
    mappings: Mapping[str, Any] | None = None,
    shards: int = 1,
    **changes: Any,
) -> Iterator[Loaded]:
    """A store of its own with these messages."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    with index(client, mappings or mapping_of(mapped), number_of_shards=shards) as name:
        taken = fill(client, name, texts)
        store = settings(url, name, **changes)
        rules = LineRules("time", TimeRule("rfc3339", None), "customer", "id", store.types)
        with opened(store, page) as elastic:
            yield Loaded(elastic, events_of(taken, rules), len(texts) - len(taken))
