"""Asking Elasticsearch honestly: whole answers only, of one point in time, tried again with growing pauses."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import quote

from elasticsearch import ApiError, Elasticsearch, TransportError

from config import indices
from config.models import ElasticsearchStore
from logviews.elastic import troubles
from logviews.elastic.answers import search_shortfall, shortfall
from logviews.elastic.backoff import BUDGET_SECONDS, STRANGER_SECONDS, Tries
from logviews.elastic.refusals import Refusals
from logviews.elastic.troubles import Kind, Trouble
from logviews.store import StoreUnavailable

T = TypeVar("T")
Json = Mapping[str, Any]

KEEP_ALIVE: Final = "5m"
"""How long a point in time waits for its next search: longer than a search with all its repetitions may take."""
_SNAPSHOTS: Final = 3
_RIGHTS_SECONDS: Final = 300.0
"""How long it is believed that the login may read all that the store's patterns match."""
_LOG: Final = logging.getLogger("tallywatch.logviews.elastic.session")


class SnapshotLost(StoreUnavailable):
    """What was being counted is not there any more as it was: an index deleted, a shard or the point in time lost."""


class _Held(threading.local):
    """What a thread holds: whether it wants one snapshot for all that it asks, and that one, once it is open."""

    wanted = False
    snapshot: Snapshot | None = None


@dataclass(slots=True)
class Session:
    """One store's connections. `requests` counts what was sent, for benchmarks and logs. For use by several threads.

    `pause` and `clock` are in seconds, and the machine's unless a test says otherwise.
    """

    name: str
    store: ElasticsearchStore
    client: Elasticsearch
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    requests: int = 0
    _refusals: Refusals = field(init=False)
    _answered: bool = False
    _may_read_until: float | None = None
    _held: _Held = field(default_factory=_Held)

    def __post_init__(self) -> None:
        self._refusals = Refusals(self.name, self.store)

    @property
    def index(self) -> str:
        """The indices that the store counts, as a path of a request names them."""
        return ",".join(self.store.index)

    def close(self) -> None:
        """Closes the connections; nothing can be asked after that."""
        self.client.close()

    def ask(self, call: Callable[[Elasticsearch], Any]) -> Any:
        """One request's answer as plain JSON values. It is sent again while that may help, for about two minutes.

        Raises:
            SnapshotLost: when it was about something that is gone, or not all of what it was about answered.
            StoreUnavailable: when there is no answer after all tries, or the server refuses. The cause is the client's
                error, where there is one.
        """
        answer = self._ask(call, in_snapshot=False)
        if reason := shortfall(answer):
            raise SnapshotLost(self._refusals.left_out(reason))
        return answer

    def _ask(self, call: Callable[[Elasticsearch], Any], *, in_snapshot: bool) -> Any:
        tries = Tries(self.pause, self.clock)
        while True:
            try:
                return self._once(call)
            except _Failed as failure:
                trouble, cause = failure.trouble, failure.__cause__
            if trouble.kind is Kind.GONE or (in_snapshot and trouble.lost_its_node):
                raise SnapshotLost(self._refusals.sentence(trouble)) from cause
            # a node that does not answer is left for the next one at once
            nodes_left = trouble.silent and tries.failed + 1 < len(self.store.hosts)
            budget = BUDGET_SECONDS if self._answered or not trouble.silent else STRANGER_SECONDS
            if trouble.kind is Kind.REFUSED or not tries.again(
                asked=trouble.wait, budget=budget, nodes_left=nodes_left
            ):
                raise StoreUnavailable(self._refusals.sentence(trouble)) from cause
            _LOG.debug("store %s: %s; try %d", self.name, trouble.reason, tries.failed + 1)

    def _once(self, call: Callable[[Elasticsearch], Any]) -> Any:
        """Raises _Failed, whose cause is the client's error."""
        self.requests += 1
        try:
            answer = call(self.client)
        except (ApiError, TransportError, *troubles.GARBLED) as error:
            trouble = troubles.of(error)
            self._answered = self._answered or not trouble.silent
            raise _Failed(trouble) from error
        self._answered = True
        if not troubles.is_elasticsearchs(answer):
            raise _Failed(troubles.garbled(answer.body))
        return answer.body

    def at_one_instant(self, work: Callable[[Snapshot], T]) -> T:
        """What `work` finds in a snapshot; where the snapshot is lost, it starts again in a new one.

        Raises:
            StoreUnavailable: when the store cannot answer exactly.
        """
        self._refuse_hidden()
        tries = Tries(self.pause, self.clock)
        while True:
            try:
                with self._snapshot() as snapshot:
                    return work(snapshot)
            except SnapshotLost as lost:
                if tries.failed + 1 >= _SNAPSHOTS or not tries.again():
                    raise StoreUnavailable(str(lost)) from lost

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Within it, all that this thread asks `at_one_instant` is asked of one snapshot, opened when it is needed.

        Where that one is lost, whatever is asked then and later is asked of a new one.
        """
        if self._held.wanted:
            yield
            return
        self._held.wanted = True
        try:
            yield
        finally:
            self._held.wanted = False
            self.let_go()

    @contextmanager
    def _snapshot(self) -> Iterator[Snapshot]:
        held = self._held
        if held.snapshot is None:
            opened = self._open()
            held.snapshot = Snapshot(self, opened["id"], (opened.get("_shards") or {}).get("total"))
        try:
            yield held.snapshot
        except SnapshotLost:
            self.let_go()
            raise
        finally:
            if not held.wanted:
                self.let_go()

    def let_go(self) -> None:
        """Closes the snapshot that this thread has open, if any: what it asks next is asked of a new one."""
        snapshot, self._held.snapshot = self._held.snapshot, None
        if snapshot is None:
            return
        try:
            self._once(lambda es: es.close_point_in_time(id=snapshot.id))  # once: it closes by itself, later
        except _Failed as failure:
            _LOG.debug("store %s: a point in time was not closed: %s", self.name, failure.trouble.reason)

    def _open(self) -> Json:
        """Opens a point in time. The client's own method cannot say that a pattern must match something.

        An index that is closed counts as matched, and is refused by the server: it would be left out without a word.
        """
        parameters = {
            "keep_alive": KEEP_ALIVE,
            "allow_partial_search_results": "false",
            "allow_no_indices": "false",
            "ignore_unavailable": "false",
            "expand_wildcards": "open,closed",
        }
        path = f"/{quote(self.index, safe=',*-:')}/_pit"
        headers = {"accept": "application/json"}
        try:
            opened: Json = self.ask(lambda es: es.perform_request("POST", path, params=parameters, headers=headers))
        except SnapshotLost as error:
            if isinstance(error.__cause__, ApiError):  # what it names is not there, and will not come by itself
                raise StoreUnavailable(str(error)) from error.__cause__
            raise
        if not isinstance(opened.get("id"), str):
            raise StoreUnavailable(self._refusals.left_out("it opened a point in time without a name"))
        return opened

    def _refuse_hidden(self) -> None:
        """Elasticsearch leaves out of a pattern, without a word, what the login may not read: that would count low.

        Asked once in a while. A pattern with exceptions after it cannot be asked about, nor can another cluster's.
        """
        entries = [indices.expression(entry) for entry in self.store.index]
        patterns = [entry.name for entry in entries if entry.wild and entry.cluster is None and not entry.excluded]
        if not patterns or any(entry.excluded for entry in entries):
            return
        if self._may_read_until is not None and self.clock() < self._may_read_until:
            return
        wanted = [{"names": patterns, "privileges": ["read"]}]
        try:
            answer = self.ask(lambda es: es.security.has_privileges(index=wanted))
        except StoreUnavailable as error:
            # without logins there is no such question, and a proxy may not pass it on
            if not isinstance(error.__cause__, ApiError) or error.__cause__.status_code not in (400, 403, 404, 405):
                raise
        else:
            rights = answer.get("index", {})
            if unread := [name for name in patterns if not rights.get(name, {}).get("read")]:
                raise StoreUnavailable(self._refusals.hidden(unread))
        self._may_read_until = self.clock() + _RIGHTS_SECONDS

    def mappings(self, indices: Sequence[str]) -> dict[str, Json]:
        """Index name -> its mapping, of these concrete indices of this cluster."""
        found = self.ask(lambda es: es.indices.get_mapping(index=",".join(indices)))
        return {name: answer["mappings"] for name, answer in found.items()}


class _Failed(Exception):  # noqa: N818 (it never leaves this module)
    """One try that failed."""

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble
        super().__init__(trouble.reason)


@dataclass(slots=True)
class Snapshot:
    """The store as it was at one instant: every search in it sees the same messages.

    `id` is the newest that the server has given, and `shards` how many there are. `known` is what was found out about
    fields meanwhile, and `indices` those that it was found out of (see `dating.known_of`).
    """

    session: Session
    id: str
    shards: int | None = None
    known: dict[str, Json] = field(default_factory=dict)
    indices: tuple[str, ...] = ()

    def search(self, body: Json) -> Json:
        """A search's whole answer. `body` is query, aggs, sort and the like; `size` is 0 unless it says so.

        Raises:
            SnapshotLost: when the point in time, or a shard of it, is gone.
            StoreUnavailable: when the server cannot or will not answer in full.
        """
        session = self.session
        whole = {"size": 0, "track_total_hits": False, **body, "pit": {"id": self.id, "keep_alive": KEEP_ALIVE}}
        answer: Json = session._ask(
            lambda es: es.search(body=whole, allow_partial_search_results=False), in_snapshot=True
        )
        clusters = {entry.partition(":")[0] for entry in session.store.index if ":" in entry}
        reason = search_shortfall(answer, self.shards, clusters, body.get("aggs") or ())
        if reason is not None:
            raise self.lost(reason)
        self.id = answer.get("pit_id", self.id)
        self.shards = answer["_shards"]["total"]
        return dict(answer)

    def lost(self, reason: str) -> SnapshotLost:
        """What to raise when an answer is not whole: it is asked for again in a new snapshot."""
        return SnapshotLost(self.session._refusals.left_out(reason))
