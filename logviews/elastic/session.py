"""Asking Elasticsearch honestly: whole answers only, of one point in time, tried again with growing pauses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from elasticsearch import ApiError, Elasticsearch, TransportError

from config.models import ElasticsearchStore
from logviews.store import StoreUnavailable

T = TypeVar("T")
Json = Mapping[str, Any]

KEEP_ALIVE: Final = "5m"
_PASSING: Final = (429, 502, 503, 504)
_PAUSES: Final = (0.5, 1.0, 2.0, 4.0)
_SNAPSHOTS: Final = 3


class SnapshotLost(StoreUnavailable):
    """What was being counted is not there any more as it was: an index deleted, a shard or the point in time lost."""


@dataclass(slots=True)
class Session:
    """One store's connections. `requests` counts what was sent, for benchmarks and logs."""

    name: str
    store: ElasticsearchStore
    client: Elasticsearch
    pause: Callable[[float], None] = time.sleep
    requests: int = 0

    @property
    def index(self) -> str:
        """The indices that the store counts, as a path of a request names them."""
        return ",".join(self.store.index)

    def ask(self, call: Callable[[Elasticsearch], Any]) -> Any:
        """One request's answer as plain JSON values.

        Raises:
            SnapshotLost: when it was about something that is gone.
            StoreUnavailable: when there is no answer after all tries, or the server refuses.
        """
        for wait in (*_PAUSES, None):
            self.requests += 1
            try:
                return call(self.client).body
            except ApiError as error:
                if error.status_code == 404:
                    raise SnapshotLost(f"store {self.name}: {error}") from error
                if error.status_code not in _PASSING or wait is None:
                    raise StoreUnavailable(f"store {self.name}: {error}") from error
            except TransportError as error:
                if wait is None:
                    raise StoreUnavailable(f"store {self.name}: {error}") from error
            self.pause(wait)
        raise AssertionError("unreachable")

    def at_one_instant(self, work: Callable[[Snapshot], T]) -> T:
        """What `work` finds in a snapshot; where the snapshot is lost, it starts again in a new one.

        Raises:
            StoreUnavailable: when the store cannot answer exactly.
        """
        for last in (*(False,) * (_SNAPSHOTS - 1), True):
            try:
                with self._snapshot() as snapshot:
                    return work(snapshot)
            except SnapshotLost:
                if last:
                    raise
        raise AssertionError("unreachable")

    @contextmanager
    def _snapshot(self) -> Iterator[Snapshot]:
        opened = self.ask(
            lambda es: es.open_point_in_time(
                index=self.index, keep_alive=KEEP_ALIVE, allow_partial_search_results=False
            )
        )
        snapshot = Snapshot(self, opened["id"])
        try:
            yield snapshot
        finally:
            try:
                self.ask(lambda es: es.close_point_in_time(id=snapshot.id))
            except StoreUnavailable:
                pass

    def mappings(self, indices: Sequence[str]) -> dict[str, Json]:
        """Index name -> its mapping, of these concrete indices of this cluster."""
        found = self.ask(lambda es: es.indices.get_mapping(index=",".join(indices)))
        return {name: answer["mappings"] for name, answer in found.items()}

    def field_caps(self, fields: Sequence[str]) -> Json:
        """Field -> type -> what it can, over all indices of the store, those of other clusters too."""
        answer = self.ask(lambda es: es.field_caps(index=self.index, fields=list(fields), allow_no_indices=False))
        return dict(answer["fields"])


@dataclass(slots=True)
class Snapshot:
    """The store as it was at one instant: every search in it sees the same messages."""

    session: Session
    id: str
    shards: int | None = field(default=None)

    def search(self, body: Json) -> Json:
        """A search's whole answer. `body` is query, aggs, sort and the like; `size` is 0 unless it says so.

        Raises:
            SnapshotLost: when the point in time, or a shard of it, is gone.
            StoreUnavailable: when the server cannot or will not answer in full.
        """
        whole = {
            "size": 0,
            "track_total_hits": False,
            **body,
            "pit": {"id": self.id, "keep_alive": KEEP_ALIVE},
        }
        answer = self.session.ask(lambda es: es.search(body=whole, allow_partial_search_results=False))
        shards = answer["_shards"]
        if answer["timed_out"] or shards["failed"]:
            raise SnapshotLost(f"store {self.session.name}: {shards['failed']} of {shards['total']} shards failed")
        self.id = answer.get("pit_id", self.id)
        return dict(answer)
