"""What an answer must say of itself before it may be believed: that it is whole.

By default Elasticsearch answers with what it could get, and says only in the small print that something is missing
(https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-search): a search that timed out, shards that
failed, clusters that were skipped. Every rule here gives the reason why an answer is not whole, or None.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

Json = Mapping[str, Any]

_LOCAL: Final = "(local)"
_WHOLE: Final = ("successful", "running")
"""A cluster's state in a point in time. It stays "running" in an answer that is complete (9.2), so it says nothing; the
shards are counted instead."""


def shortfall(answer: object) -> str | None:
    """Why an answer of any kind is not whole, as far as it says so itself."""
    if not isinstance(answer, Mapping):
        return None
    if answer.get("timed_out"):
        return "the search timed out on the server"
    if answer.get("failed_indices"):
        return f"some of the indices do not answer: {_first_reason(answer)}"
    shards = answer.get("_shards")
    if isinstance(shards, Mapping) and shards.get("failed"):
        return f"{shards['failed']} of {shards.get('total')} shards failed: {_first_reason(shards)}"
    return _skipped(answer.get("_clusters"))


def search_shortfall(
    answer: Json, shards: int | None, clusters: Collection[str], aggregations: Collection[str]
) -> str | None:
    """Why a search's answer is not whole.

    `shards` is how many its point in time has, None where that is not known yet; `clusters` are the other clusters that
    must have taken part; `aggregations` are those that were asked for.
    """
    found = shortfall(answer) or _unaccounted(answer, shards) or _without(answer.get("_clusters"), clusters)
    if found is not None:
        return found
    if answer.get("terminated_early"):
        return "the search ended before it had seen every message"
    if missing := set(aggregations) - set(answer.get("aggregations") or ()):
        return f"the answer lacks the aggregation {min(missing)}"
    return None


def _unaccounted(answer: Json, shards: int | None) -> str | None:
    """Every shard must have answered, those that had nothing to look at too; and they must be as many as before."""
    counted = answer.get("_shards")
    if answer.get("timed_out") is not False or not isinstance(counted, Mapping) or "hits" not in answer:
        return "the answer does not say whether it is whole"
    total, successful, failed = (counted.get(key) for key in ("total", "successful", "failed"))
    if not isinstance(total, int) or successful != total or failed != 0:
        return f"{successful} of {total} shards answered"
    if shards is not None and total != shards:
        return f"{total} shards answered, and the point in time has {shards}"
    return None


def _without(clusters: object, wanted: Collection[str]) -> str | None:
    """A cluster that cannot be reached when a point in time is opened is left out of it, without a word."""
    details = clusters.get("details") if isinstance(clusters, Mapping) else None
    there = details if isinstance(details, Mapping) else {}
    if missing := sorted(set(wanted) - set(there)):
        return f"cluster {missing[0]} was left out: it cannot be reached, or has no such index"
    return None


def _skipped(clusters: object) -> str | None:
    if not isinstance(clusters, Mapping):
        return None
    for name, detail in (clusters.get("details") or {}).items():
        who = "this cluster" if name == _LOCAL else f"cluster {name}"
        if detail.get("timed_out"):
            return f"the search timed out in {who}"
        if failed := (detail.get("_shards") or {}).get("failed"):
            return f"{failed} shards of {who} failed: {_first_reason(detail)}"
        if detail.get("status") not in _WHOLE:
            return f"{who} was {detail.get('status')}: {_first_reason(detail)}"
    for state in ("skipped", "partial", "failed"):
        if clusters.get(state):
            return f"{clusters[state]} of {clusters.get('total')} clusters: {state}"
    return None


def _first_reason(part: Json) -> str:
    """The first reason that is given for what failed, in the server's words."""
    for failure in part.get("failures") or ():
        reason = failure.get("reason") or (failure.get("failure") or {}).get("error") or {}
        if isinstance(reason, Mapping) and reason.get("reason"):
            return " ".join(str(reason["reason"]).split())
    return "no reason given"
