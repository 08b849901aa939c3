"""Whether every index holds its messages' times so that a message of some time is found: one that is not is missed.

A message whose time is not indexed is in no period. No count is too low for it, and no evaluation would notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from logviews.elastic import query as dsl
from logviews.elastic.mappings import Held, Unfit, resolve
from logviews.elastic.session import Json, Snapshot

_DATES: Final = frozenset({"date", "date_nanos"})
_AT_ONCE: Final = 50


def known_of(snapshot: Snapshot, names: Sequence[str]) -> Json:
    """Field -> type -> what it can, over all indices of the store; `unmapped` where an index does not have it.

    Costs a request, unless all of them were asked for in this snapshot before.
    """
    if not snapshot.known.keys() >= set(names):
        index = snapshot.session.index
        answer = snapshot.session.ask(
            lambda es: es.field_caps(index=index, fields=list(names), include_unmapped=True, allow_no_indices=False)
        )
        snapshot.known.update({name: answer["fields"].get(name, {}) for name in names})
        snapshot.indices = tuple(answer["indices"])
    return snapshot.known


def refuse_undated(snapshot: Snapshot, known: Json, time: str, ingested: str | None = None) -> None:
    """Refuses what holds a time as something else than a date, or has messages whose time is not indexed.

    Costs nothing where all indices know the field that says when a message happened; else their mappings, and a search
    where one of those would not index it.

    Raises:
        Unfit: naming an index, the field, and what to do.
    """
    _refuse_type(known, time, "is when a message happened")
    if ingested is not None:
        _refuse_type(known, ingested, "says when a message arrived")
    without = [name for name in known.get(time, {}).get("unmapped", {}).get("indices", ()) if ":" not in name]
    unindexed: dict[str, str] = {}
    for first in range(0, len(without), _AT_ONCE):
        for name, mapping in snapshot.session.mappings(without[first : first + _AT_ONCE]).items():
            try:
                resolve(mapping, time)
            except Unfit as error:
                unindexed[name] = str(error)
    if not unindexed:
        return
    wanted = {"query": {"terms": {"_index": sorted(unindexed)}}, "size": 1, "_source": False}
    for hit in snapshot.search(wanted)["hits"]["hits"]:
        index = hit["_index"]
        raise Unfit(
            f"index {index} has messages, and when they happened it does not know: {unindexed[index]}; or leave the "
            "index out of the store's `index`"
        )


def refuse_misunderstood(snapshot: Snapshot, time: Held | None) -> None:
    """Of an alias, what was not understood is noted under the name of the field that it stands for."""
    if time is not None and (others := sorted(time.roots - {time.field})):
        body = {"query": dsl.terms("_ignored", others), "track_total_hits": True}
        refuse_malformed(time.field, snapshot.search(body)["hits"]["total"]["value"])


def refuse_repeated(snapshot: Snapshot, time: str, first: datetime, last: datetime) -> None:
    """Refuses messages that have a time within these instants and another outside them: two periods would have them.

    A search of its own, which the index answers; among other aggregations it would look at every message.
    """
    twice = {"bool": {"filter": [dsl.within(time, first, last), dsl.outside(time, first, last)]}}
    if number := snapshot.search({"query": twice, "track_total_hits": True})["hits"]["total"]["value"]:
        raise Unfit(
            f"{messages(number)} a {time} within the period and another outside it, so that two periods would have "
            "them; correct what writes several"
        )


def refuse_malformed(time: str, number: int) -> None:
    """Raises Unfit for messages whose time was not understood."""
    if number:
        raise Unfit(
            f"{messages(number)} a {time} that was not understood (ignore_malformed), so no period has them; "
            "correct them, or delete them"
        )


def messages(number: int) -> str:
    """The beginning of a sentence about so many messages."""
    return "1 message has" if number == 1 else f"{number:,} messages have"


def _refuse_type(known: Json, name: str, what: str) -> None:
    wrong = sorted(known.get(name, {}).keys() - _DATES - {"unmapped"})
    if wrong:
        where = ", ".join(known[name][wrong[0]].get("indices", ())[:3])
        of = f"in {where} " if where else ""
        raise Unfit(f"{name} is mapped {of}as {wrong[0]}, and {what}; map it as date")
