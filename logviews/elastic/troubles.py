"""What is wrong when a request fails: whether it may pass, and what the server said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Final

from elastic_transport import ApiResponse, HeadApiResponse
from elasticsearch import ApiError, TransportError, UnsupportedProductError

_PASSING: Final = frozenset({408, 425, 429})
_LONGEST_REASON: Final = 300
"""Characters: a shard's failure can be a page long."""


class Kind(Enum):
    """What a failure means for whoever asked."""

    PASSING = "passing"  # asking again may help
    GONE = "gone"  # what was asked about is not there any more
    REFUSED = "refused"  # it will be the same every time


GARBLED: Final = (json.JSONDecodeError, UnicodeDecodeError, RecursionError)
"""What an answer raises that is not JSON after all, where a serializer does not say so in the client's own way."""

_GONE_WITH_ITS_NODE: Final = frozenset({
    "node_not_connected_exception", "node_disconnected_exception", "node_closed_exception",
    "no_shard_available_action_exception", "shard_not_found_exception", "illegal_index_shard_state_exception",
    "search_context_missing_exception", "search_context_missing_nodes_exception", "already_closed_exception",
})  # fmt: skip
"""A point in time lives in the memory of the nodes that hold its shards: on another copy of a shard there is none."""

_LASTING_TYPES: Final = frozenset({"class_cast_exception"})
"""An index that is sorted or grouped by a field of another kind than the next one's: told with status 500."""

_PASSING_TYPES: Final = frozenset({"task_cancelled_exception", "es_rejected_execution_exception"})


@dataclass(frozen=True, slots=True)
class Trouble:
    """One failed request.

    `status` is None where there was no answer; `types` are Elasticsearch's names for what happened, or ours. `wait` is
    for how many seconds the server wants to be left alone. `silent` says that a node did not answer at all.
    """

    kind: Kind
    status: int | None
    types: frozenset[str]
    reason: str
    wait: float | None = None
    silent: bool = False

    @property
    def lost_its_node(self) -> bool:
        """Whether a point in time will not come back, though the cluster may."""
        return not self.types.isdisjoint(_GONE_WITH_ITS_NODE)


def of(error: Exception) -> Trouble:
    """What a failed request tells."""
    if isinstance(error, UnsupportedProductError):
        kind = Kind.REFUSED if isinstance(error.body, dict) else Kind.PASSING
        return Trouble(kind, error.status_code, frozenset({"unsupported_product"}), _what_it_is(error.body))
    if isinstance(error, ApiError):
        types = frozenset(_types(error.body))
        return Trouble(_kind(error, types), error.status_code, types, _reason(error), _wait(error))
    if isinstance(error, TransportError):
        return _no_answer(error)
    return Trouble(Kind.PASSING, None, frozenset({"garbled"}), "the answer was not whole, or no JSON")


def is_elasticsearchs(answer: ApiResponse[Any]) -> bool:
    """Whether an answer that came with success is one: a proxy may put its own in its place, at any time.

    Every one names the product in its headers, which the client looks at in the first alone.
    """
    whole = isinstance(answer, HeadApiResponse) or isinstance(answer.body, dict)
    return whole and answer.meta.headers.get("x-elastic-product") == "Elasticsearch"


def garbled(body: object) -> Trouble:
    """An answer that came with success and holds nothing that Elasticsearch would say."""
    return Trouble(Kind.PASSING, 200, frozenset({"garbled"}), _what_it_is(body))


def _no_answer(error: TransportError) -> Trouble:
    name = type(error).__name__
    text = " ".join(str(cause) for cause in (*error.errors, error.__cause__) if cause is not None)
    if name == "SerializationError":
        return Trouble(Kind.PASSING, None, frozenset({"garbled"}), "the answer was not whole, or no JSON")
    if name == "TlsError":
        for type_, (pattern, kind) in _TLS.items():
            if found := re.search(pattern, text):
                return Trouble(kind, None, frozenset({type_}), found[0])
        return Trouble(Kind.PASSING, None, frozenset({"tls"}), _short(text), silent=True)
    if "Pool is closed" in text or "ClosedPoolError" in text:
        return Trouble(Kind.REFUSED, None, frozenset({"closed"}), "closed")
    type_ = "timeout" if name == "ConnectionTimeout" else "connection"
    for candidate, pattern in _CONNECTION.items():
        if type_ == "connection" and re.search(pattern, text):
            type_ = candidate
    return Trouble(Kind.PASSING, None, frozenset({type_}), _short(text), silent=True)


_TLS: Final = {
    "tls_name": (r"(IP address|Hostname) mismatch[^()]*|hostname '[^']*' doesn't match[^()]*", Kind.REFUSED),
    "tls_expired": (r"certificate (has expired|is not yet valid)", Kind.REFUSED),
    "tls_fingerprint": (r"Fingerprints? (did not match|of invalid length)", Kind.REFUSED),
    "tls_authority": (r"CERTIFICATE_VERIFY_FAILED\][^(]*", Kind.REFUSED),
    "tls_none": (r"WRONG_VERSION_NUMBER|wrong version number|HTTP_REQUEST|record layer failure", Kind.REFUSED),
}
_CONNECTION: Final = {
    "name": r"NameResolutionError|Failed to resolve|Name or service not known|getaddrinfo failed",
    "refused": r"Connection refused|Errno 111|Errno 61",
    "cut": r"IncompleteRead|Connection aborted|RemoteDisconnected|ConnectionReset|Connection broken|BrokenPipe",
}


def _kind(error: ApiError, types: frozenset[str]) -> Kind:
    status = error.status_code
    if not types.isdisjoint(_LASTING_TYPES):
        return Kind.REFUSED
    if status in _PASSING or status >= 500 or not types.isdisjoint(_PASSING_TYPES):
        return Kind.PASSING
    if status == 404 and "no_such_remote_cluster_exception" not in types and isinstance(error.body, dict):
        return Kind.GONE
    if isinstance(error.body, dict) or status < 400:
        return Kind.REFUSED
    return Kind.PASSING if status == 404 else Kind.REFUSED  # a proxy's page, while what is behind it starts


def _types(body: object) -> Iterator[str]:
    """Every `type` of an error and of its causes, wherever in it."""
    if isinstance(body, Mapping):
        for key, value in body.items():
            if key == "type" and isinstance(value, str):
                yield value
            else:
                yield from _types(value)
    elif isinstance(body, list):
        for value in body:
            yield from _types(value)


def _reason(error: ApiError) -> str:
    said = error.body.get("error") if isinstance(error.body, Mapping) else None
    if not isinstance(said, Mapping):
        return _short(str(said)) if isinstance(said, str) else _what_it_is(error.body)
    return _short(" ".join(dict.fromkeys(_reasons(said))))


def _reasons(said: Mapping[str, Any]) -> Iterator[str]:
    """The root causes' reasons where there are any; else that of the error, and of what caused it."""
    causes = [cause for cause in said.get("root_cause") or () if isinstance(cause, Mapping)]
    deeper = said.get("caused_by")
    if not causes or deeper:
        causes = [*causes, said]
    for cause in causes:
        reason, index = str(cause.get("reason") or ""), str(cause.get("index") or "")
        if reason:
            yield reason if index in reason else f"{index}: {reason}"
    if isinstance(deeper, Mapping):
        yield from _reasons(deeper)


def _wait(error: ApiError) -> float | None:
    """Retry-After in seconds; where it is a date, from the answer's own date (RFC 9110, section 10.2.3)."""
    text = (error.meta.headers.get("retry-after") or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    until, sent = _date(text), _date(error.meta.headers.get("date") or "")
    return max(0.0, (until - sent).total_seconds()) if until is not None and sent is not None else None


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _what_it_is(body: object) -> str:
    """What was answered, without repeating it: it may be anything, even what we sent."""
    if body is None or body in ("", b""):
        return "the answer was empty"
    if isinstance(body, str) and re.match(r"\s*<", body):
        return "the answer was a web page"
    if isinstance(body, Mapping):
        return "the answer is not one of Elasticsearch"
    return "the answer was not whole, or no JSON"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 1].rstrip() + "…"
