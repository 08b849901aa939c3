"""Writing messages, each id once: every answer is looked at, and what is there already compared with what was sent.

A batch whose answer was lost is sent again. What is there then with the instant of an earlier attempt was written by
that one; so the report is right about it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast

from elastic_transport import SerializerCollection
from elasticsearch import Elasticsearch
from elasticsearch.serializer import CompatibilityModeJsonSerializer

from logviews.elastic.backoff import Tries
from logviews.elastic.session import Session
from logviews.elastic.written import Written, instant_text, without
from logviews.intake.files import IngestError, IngestPlaceError
from logviews.messages import content, raw_text, values
from logviews.store import StoreUnavailable

BATCH_BYTES: Final = 5_000_000
BATCH_MESSAGES: Final = 5_000
_FETCHED: Final = 1_000
_BUSY: Final = (429, 502, 503, 504)
_NAMED_CONFLICTS: Final = 10


@dataclass(slots=True)
class Writing:
    """Messages on their way into one index. `now` is asked before each request, and goes into its messages."""

    session: Session
    index: str
    ingested: str
    now: Callable[[], datetime]
    new: int = 0
    duplicates: int = 0
    conflicts: int = 0
    conflicting_ids: list[str] = field(default_factory=list)  # at most ten

    def write(self, batch: Sequence[Written]) -> None:
        """Writes a batch. The first message with an id counts, whoever has written it.

        Raises:
            RefusedError: when the server refuses a message.
            IngestPlaceError: when it is too busy for too long.
            StoreUnavailable: when it does not answer.
        """
        first: dict[str, Written] = {}
        again = [one for one in batch if first.setdefault(one.id, one) is not one]
        stamps: list[str] = []
        there = self._create(list(first.values()), stamps)
        kept = self._stored({one.id for one in there})
        for one in there:
            if kept[one.id].at in stamps[:-1]:
                self.new += 1
            else:
                self._judge(one, kept[one.id].content)
        for one in again:
            stored = kept.get(one.id)
            self._judge(one, content(first[one.id].text) if stored is None else stored.content)

    def _create(self, waiting: list[Written], stamps: list[str]) -> list[Written]:
        """Creates messages; gives those whose id was there."""
        there: list[Written] = []
        tries = Tries(self.session.pause, self.session.clock)
        while True:
            refused, busy = None, []
            for one, status, error in self._send(waiting, stamps):
                if status in (200, 201):
                    self.new += 1
                elif status == 409:
                    there.append(one)
                elif status in _BUSY:
                    busy.append(one)
                else:
                    refused = refused or RefusedError(one, status, error)
            if refused is not None:
                raise refused
            if not busy:
                return there
            if not tries.again():
                raise IngestPlaceError(f"store {self.session.name}: the cluster is too busy to write all of it")
            waiting = busy

    def _send(self, waiting: Sequence[Written], stamps: list[str]) -> Iterator[tuple[Written, int, str]]:
        """Sends messages; gives what became of each: its status, and the reason where there is one."""

        def call(client: Elasticsearch) -> Any:
            stamps.append(instant_text(self.now()))
            lines = [line for one in waiting for line in (one.create(), one.source(self.ingested, stamps[-1]))]
            # retries are ours, so that each attempt has its own instant; the text goes out as it is
            return client.options(max_retries=0).bulk(
                index=self.index,
                operations=cast("Sequence[Any]", lines),
                filter_path=["errors", "items.*.status", "items.*.error.type", "items.*.error.reason",
                             "items.*.error.caused_by.reason"],
            )  # fmt: skip

        answer = self.session.ask(call)
        items = answer["items"]
        if len(items) != len(waiting):
            raise StoreUnavailable(f"store {self.session.name}: {len(items)} answers to {len(waiting)} messages")
        for one, item in zip(waiting, items, strict=True):
            yield one, item["create"]["status"], _reason(item["create"].get("error", {}))

    def _judge(self, one: Written, stored: object) -> None:
        """Counts a message whose id was there."""
        self.duplicates += 1
        if content(one.text) != stored:
            self.conflicts += 1
            if len(self.conflicting_ids) < _NAMED_CONFLICTS:
                self.conflicting_ids.append(one.id)

    def _stored(self, ids: Iterable[str]) -> dict[str, _Stored]:
        found: dict[str, _Stored] = {}
        wanted = list(ids)
        for start in range(0, len(wanted), _FETCHED):
            piece = wanted[start : start + _FETCHED]
            answer = self.session.ask(lambda es: _reading(es).mget(index=self.index, ids=piece))  # noqa: B023 (called at once)
            for document in answer["docs"]:
                if "_source" in document:
                    source = document["_source"]
                    at = [raw_text(value) for value in values(source, self.ingested)]
                    found[document["_id"]] = _Stored(without(source, self.ingested), at[0] if at else "")
        if gone := set(wanted) - found.keys():
            raise IngestPlaceError(
                f"store {self.session.name}: a message with the id {min(gone)} was there, and is gone again"
            )
        return found


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is stored under an id: its content without the field that says when it was written, and that field."""

    content: object
    at: str


class RefusedError(IngestError):
    """A message that the server refuses."""

    def __init__(self, message: Written, status: int, reason: str) -> None:
        self.message, self.status = message, status
        super().__init__(f"Elasticsearch refuses the message ({status}): {reason}")


def _reason(error: dict[str, Any]) -> str:
    found = [error.get("reason"), error.get("caused_by", {}).get("reason")]
    return " ".join(" ".join(str(one).split()) for one in found if one)


class _AsContent(CompatibilityModeJsonSerializer):
    """Answers with their numbers as they were written, as `messages.content` has them."""

    def loads(self, data: bytes) -> Any:
        return content(data.decode())


def _reading(client: Elasticsearch) -> Elasticsearch:
    """The same client on the same connections, whose answers keep numbers as they were written."""
    transport = copy.copy(client.transport)
    transport.serializers = SerializerCollection(
        {**transport.serializers.serializers, **dict.fromkeys((_AsContent.mimetype, "application/json"), _AsContent())},
        default_mimetype=_AsContent.mimetype,
    )
    found = client.options(max_retries=0)
    found._transport = transport  # there is no public way to give one request another reader
    return found
