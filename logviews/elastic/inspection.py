"""What `doctor` asks a cluster: its version and its time, what we may do, what its mappings change without a word.

None of it is needed for counting, so that a user who may only read is enough; what may not be asked is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from logviews.elastic.mappings import Json, leaf_of
from logviews.elastic.session import Session
from logviews.store import StoreUnavailable
from logviews.times import from_milliseconds

NEEDED: Final = ("read", "view_index_metadata")
"""The privileges that counting needs, on the indices of the store."""

_COERCING: Final = (
    "long",
    "integer",
    "short",
    "byte",
    "double",
    "float",
    "half_float",
    "scaled_float",
    "unsigned_long",
)


@dataclass(frozen=True, slots=True)
class Sloppy:
    """A field whose mapping in an index makes of a value what the message does not say, and how to map it."""

    index: str
    field: str
    how: str
    remedy: str


def version(session: Session) -> str | None:
    """The server's version; None where it is not told."""
    answer = _asked(session, lambda es: es.info())
    return str(answer["version"]["number"]) if answer else None


def lacking(session: Session) -> tuple[str, ...] | None:
    """Which of the needed privileges the user lacks; None where there is no security, or it does not tell.

    https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-security-has-privileges
    """
    names = [name for name in session.store.index if ":" not in name and not name.startswith("-")]
    if not names:
        return None
    wanted = [{"names": names, "privileges": list(NEEDED)}]
    answer = _asked(session, lambda es: es.security.has_privileges(index=wanted))
    if answer is None:
        return None
    granted = answer["index"].values()
    return tuple(one for one in NEEDED if not all(of_index.get(one) for of_index in granted))


def server_time(session: Session) -> datetime | None:
    """The cluster's clock; None where it is not told."""
    answer = _asked(session, lambda es: es.cluster.stats(filter_path="timestamp"))
    return from_milliseconds(int(answer["timestamp"])) if answer else None


def messages(session: Session) -> tuple[int, int]:
    """How many messages the store has, and how many of them have no time, so that no period has them."""
    time = session.store.fields.time
    body = {"track_total_hits": True, "aggs": {"untimed": {"missing": {"field": time}}}}
    answer = session.at_one_instant(lambda snapshot: snapshot.search(body))
    return int(answer["hits"]["total"]["value"]), int(answer["aggregations"]["untimed"]["doc_count"])


def sloppy(session: Session, fields: Sequence[str]) -> Iterator[Sloppy]:
    """Where a mapping turns a value into another one, or leaves it out, and every comparison would follow it.

    Of each field the first index is named. Of other clusters' indices nothing is known.
    """
    told = set()
    local = [name for name in session.store.index if ":" not in name]
    for index, mapping in sorted(session.mappings(local).items() if local else ()):
        for field in fields:
            node = leaf_of(mapping, field)
            for how, remedy in _changes(node) if node is not None else ():
                if (field, how) not in told:
                    told.add((field, how))
                    yield Sloppy(index, field, how, remedy)


def _changes(node: Json) -> Iterator[tuple[str, str]]:
    if node.get("type") in _COERCING and node.get("coerce", True) not in (False, "false"):
        yield "takes text for numbers, and cuts fractions off whole ones", "map it with coerce: false"
    if node.get("ignore_malformed") in (True, "true"):
        yield "leaves out what it does not understand", "map it without ignore_malformed"
    for leaf in (node, *(inner for inner in node.get("fields", {}).values() if inner.get("type") == "keyword")):
        if "ignore_above" in leaf:
            yield f"leaves out values of more than {leaf['ignore_above']:,} characters", "map it without ignore_above"


def _asked(session: Session, call: Callable[[Any], Any]) -> Mapping[str, Any] | None:
    """The answer, or None where it is not given: not allowed, not there, or not in this server."""
    try:
        answer: Mapping[str, Any] = session.ask(call)
    except StoreUnavailable:
        return None
    return answer
