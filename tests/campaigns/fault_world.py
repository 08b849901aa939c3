"""A two-node Elasticsearch with three indices, what is in them in plain Python, and how to put it all back."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

from elasticsearch import Elasticsearch
from elasticsearch_cluster import Cluster, cluster

from ledger.records import Freshness, Tally
from logviews.messages import parse
from logviews.reference import Event, count
from logviews.store import Changes, CountQuery

START: Final = datetime(2026, 10, 1, tzinfo=UTC)
DAYS: Final = 2
CUSTOMERS: Final = 40
SCENES: Final[Mapping[str, tuple[str, ...]]] = {
    "a pattern": ("api-*",),
    "an alias": ("current",),
    "a copied index": ("api-copied",),
}
SHAPES: Final[Mapping[str, tuple[int, int]]] = {"api-lone": (4, 0), "api-copied": (2, 1), "old-new": (2, 1)}
"""Index -> its shards, and copies of each. What has no copy is gone for as long as its node is."""
NUMBERS: Final[Mapping[str, int]] = {"api-lone": 240, "api-copied": 160, "old-new": 200}
_MAPPING: Final[Mapping[str, Any]] = {
    "properties": {
        "time": {"type": "date"},
        "customer": {"type": "keyword"},
        "id": {"type": "keyword"},
        "word": {"type": "keyword"},
        "size": {"type": "long"},
    }
}
Message = Mapping[str, Any]
State = tuple[Message, ...]


def messages(dice: random.Random, prefix: str, number: int) -> list[Message]:
    """So many messages, of known and unknown customers, of nobody, and of one with two names."""
    who = [f"c{n:02}" for n in range(CUSTOMERS)] + ["stranger", "alias of c00"]
    found = []
    for n in range(number):
        at = START + timedelta(seconds=dice.randrange(DAYS * 86_400))
        message: dict[str, Any] = {"time": at.isoformat(), "id": f"{prefix}{n}", "size": dice.randrange(-9, 10_000)}
        if dice.random() < 0.95:
            message["customer"] = dice.choice(who)
        message["word"] = dice.sample("abcdefgh", dice.randrange(3))
        found.append(message)
    return found


@dataclass(frozen=True)
class Plain:
    """A log store in plain Python over a state: what is right."""

    state: State

    def at_once(self) -> AbstractContextManager[None]:
        """Nothing changes meanwhile."""
        return nullcontext()

    def count(self, query: CountQuery) -> Iterator[Tally]:
        """By the definition of what a view means."""
        yield from count(_events(self.state), query, {})

    def duplicates(self, query: CountQuery) -> int | None:
        """Elasticsearch keeps no note of them."""
        return 0

    def freshness(self, at: datetime) -> Freshness:
        """Never stale, as the stores of the campaign."""
        newest = max((event.time for event in _events(self.state) if event.time < at), default=None)
        return Freshness(newest, None, stale=False)

    def changes(self, query: CountQuery, since: str | None, at: datetime) -> Changes:
        """Everything."""
        return Changes(((query.edges[0], query.edges[-1]),), at.isoformat())

    def check(self, query: CountQuery) -> None:
        """There is nothing to refuse."""


def _events(state: Iterable[Message]) -> list[Event]:
    found = []
    for message in state:
        fields = parse(json.dumps(message))
        found.append(Event(datetime.fromisoformat(message["time"]), message.get("customer"), message["id"], fields))
    return found


@dataclass
class World:
    """The cluster; what its indices hold now, and which are open; where the alias points to."""

    cluster: Cluster
    admin: Elasticsearch
    seed: int
    held: dict[str, list[Message]] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    alias: str = "api-lone"

    def state(self, index: Sequence[str]) -> State | None:
        """What a store with this index must count now; None where it must not count."""
        found: list[Message] = []
        for entry in index:
            named = [self.alias] if entry == "current" else [name for name in self.held if fnmatchcase(name, entry)]
            if not named or any(name in self.closed for name in named) or not set(named) <= set(self.held):
                return None
            found += [message for name in named for message in self.held[name]]
        return tuple(found)

    def restore(self) -> None:
        """Everything as it was at first."""
        for name in SHAPES:
            if name in self.closed or self.held.get(name) != self.first(name):
                self.delete(name)
                self.make(name)
        self.switch("api-lone")

    def first(self, name: str) -> list[Message]:
        """What an index holds at first."""
        return messages(random.Random(f"{self.seed} {name}"), name, NUMBERS[name])

    def make(self, name: str) -> None:
        """An index as at first."""
        shards, copies = SHAPES[name]
        settings = {
            "number_of_shards": shards,
            "number_of_replicas": copies,
            "unassigned.node_left.delayed_timeout": "0s",
        }
        self.admin.indices.create(index=name, mappings=_MAPPING, settings=settings, wait_for_active_shards="all")
        self.held[name] = []
        self.add(name, self.first(name))

    def delete(self, name: str) -> None:
        """Without an index."""
        self.admin.options(ignore_status=404).indices.delete(index=name)
        self.held.pop(name, None)
        self.closed.discard(name)

    def close(self, name: str) -> None:
        """An index that can only be closed is closed."""
        self.admin.indices.close(index=name)
        self.closed.add(name)

    def add(self, name: str, more: Sequence[Message]) -> None:
        """More messages in an index, visible at once."""
        operations = [part for one in more for part in ({"create": {"_id": one["id"]}}, one)]
        answer = self.admin.bulk(index=name, operations=operations, refresh=True)
        assert not answer["errors"]
        self.held[name] += more

    def remove(self, name: str, number: int) -> None:
        """Fewer messages in an index: the first so many are gone."""
        gone, self.held[name] = self.held[name][:number], self.held[name][number:]
        operations = [{"delete": {"_id": one["id"]}} for one in gone]
        answer = self.admin.bulk(index=name, operations=operations, refresh=True)
        assert not answer["errors"]

    def switch(self, name: str, *, drop: bool = False) -> None:
        """The alias points to another index; the one before is deleted in the same step, or stays."""
        before = self.alias
        actions: list[dict[str, Any]] = [{"add": {"index": name, "alias": "current"}}]
        if drop:
            actions.append({"remove_index": {"index": before}})
        elif before != name and before in self.held:
            actions.append({"remove": {"index": before, "alias": "current", "must_exist": False}})
        self.admin.indices.update_aliases(actions=actions)
        self.alias = name
        if drop:
            del self.held[before]

    def settle(self) -> None:
        """Waits until every shard has all its copies again."""
        self.cluster.wait(status="green")

    def shards(self, name: str) -> list[Mapping[str, Any]]:
        """Where the copies of an index's shards are."""
        found = self.admin.cat.shards(index=name, format="json", h="index,shard,prirep,state,node").body
        return [dict(one) for one in found if isinstance(one, Mapping)]


@contextmanager
def world(seed: int) -> Iterator[World]:
    """The world, made."""
    with cluster(2) as nodes, Elasticsearch(nodes.urls, request_timeout=60, retry_on_timeout=True) as admin:
        found = World(nodes, admin, seed)
        deadline = time.monotonic() + 60
        while True:
            try:
                for name in SHAPES:
                    found.delete(name)
                    found.make(name)
                break
            except (AssertionError, OSError):
                assert time.monotonic() < deadline
        found.switch("api-lone")
        found.settle()
        yield found
