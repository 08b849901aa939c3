"""The fields that a question uses, as all indices with messages of its time hold them: checked before it is counted.

What would be a count of 0, or too low, for a reason that is not the messages' is refused here: every case names the
index, the field, how it is mapped, and what to do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from config.filters import fields as fields_of
from config.models import ElasticsearchStore, FieldType
from logviews import checks
from logviews.elastic import dating, remote
from logviews.elastic import query as dsl
from logviews.elastic.mappings import CLASSES, KINDS, Class, Held, Unfit, resolve
from logviews.elastic.numbers import EXACT
from logviews.elastic.session import Json, Session, Snapshot
from logviews.store import CountQuery, StoreUnavailable

_MOST_INDICES: Final = 10_000
_LONGEST_PATH: Final = 3_000  # bytes of index names in one request; Elasticsearch takes a line of 4,096
_DECLARED: Final[Mapping[FieldType, tuple[Class, ...]]] = {
    "string": ("keyword", "flattened"),
    "integer": ("long",),
    "decimal": ("double", "long"),
    "boolean": ("boolean",),
    "time": ("date",),
    "ip": ("ip",),
}
_MAP_AS: Final[Mapping[FieldType, str]] = {
    "string": "keyword",
    "integer": "long",
    "decimal": "double",
    "boolean": "boolean",
    "time": "date",
    "ip": "ip",
}


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a question. `customer` is None where no message has one."""

    time: str
    customer: Held | None
    used: Mapping[str, Held | None]

    def of(self, name: str | None) -> Held | None:
        """How the aggregated field is held; None where there is none, or no message has it."""
        return None if name is None else self.used[name]


def used_by(query: CountQuery) -> list[str]:
    """The fields that a question compares or aggregates."""
    return list(dict.fromkeys([*fields_of(query.where), *([query.field] if query.field else [])]))


@dataclass(slots=True)
class Examiner:
    """Looks at the indices of one store. What a mapping says of a field is found out once for each mapping."""

    name: str
    store: ElasticsearchStore
    _known: dict[tuple[str, str], Held | Unfit | None] = field(default_factory=dict)

    def examine(self, snapshot: Snapshot, query: CountQuery) -> Fields:
        """How the question's fields are held.

        Costs three searches, the fields' capabilities, and the mappings of the indices with messages of the time.

        Raises:
            StoreUnavailable: when one of them cannot be counted exactly.
        """
        first, last = query.edges[0], query.edges[-1]
        names = used_by(query)
        try:
            known = dating.known_of(snapshot, self.asked(query))
            dating.refuse_undated(snapshot, known, self.store.fields.time)
            indices = self._indices(snapshot, first, last)
            mappings = self._mappings(snapshot.session, indices, [*names, *self._own()])
            found = {name: self._agreed(mappings, name) for name in (*self._own(), *names)}
            self._refuse_unseen(snapshot, query, [name for name in found if not _is_known(known, name)])
            self._refuse_uses(query, found)
            dating.refuse_misunderstood(snapshot, found[self.store.fields.time])
            dating.refuse_repeated(snapshot, self.store.fields.time, first, last)
        except Unfit as error:
            raise StoreUnavailable(f"view {query.view}, store {self.name}: {error}") from error
        self._refuse_unindexed(snapshot, query, {name: found[name] for name in (self.store.fields.customer, *names)})
        time = found[self.store.fields.time]
        path = self.store.fields.time if time is None else time.path
        return Fields(path, found[self.store.fields.customer], {name: found[name] for name in names})

    def asked(self, query: CountQuery) -> list[str]:
        """The fields whose capabilities a question needs: its own, the store's, and the objects they may lie in."""
        names = [*self._own(), *used_by(query)]
        return [*names, *remote.objects_of(names)]

    def refuse_differing(self, session: Session, query: CountQuery) -> None:
        """Raises Unfit for a field that is of one kind in one index and of another in the next.

        By the capabilities of the indices that may have messages of the query's time, whatever their number.
        """
        names = used_by(query)
        filter_ = dsl.within(self.store.fields.time, query.edges[0], query.edges[-1])
        asked = [*self._own(), *names]
        known = session.ask(lambda es: es.field_caps(index=session.index, fields=asked, index_filter=filter_))["fields"]
        for name in asked:
            classes = {CLASSES[type_] for type_ in known.get(name, ()) if type_ in CLASSES}
            if len(classes - {"long"} if "double" in classes else classes) > 1:
                raise Unfit(
                    f"{name} is mapped as {' and as '.join(sorted(classes))}, so a comparison would miss some; "
                    "reindex one of the indices, or name fewer of them in `index`"
                )

    def _own(self) -> tuple[str, str]:
        return self.store.fields.time, self.store.fields.customer

    def _indices(self, snapshot: Snapshot, first: datetime, last: datetime) -> list[str]:
        """The concrete indices with messages between these instants.

        A message whose time was not understood is in no period, and would never be missed: there must be none. Nor any
        in an index that was the store's when the snapshot was opened, and was not when its fields were asked for.
        """
        time = self.store.fields.time
        of_the_time, unplaced = dsl.within(time, first, last), {"term": {"_ignored": time}}
        elsewhere = {"bool": {"must_not": [dsl.terms("_index", snapshot.indices)]}}
        body = {
            "query": dsl.any_of([of_the_time, unplaced, elsewhere]),
            "aggs": {
                "found": {
                    "filter": of_the_time,
                    "aggs": {"indices": {"terms": {"field": "_index", "size": _MOST_INDICES}}},
                },
                "unplaced": {"filter": unplaced},
                "elsewhere": {"filter": elsewhere},
            },
        }
        answer = snapshot.search(body)["aggregations"]
        if answer["elsewhere"]["doc_count"]:
            raise snapshot.lost("it has messages in an index that is not the store's any more")
        dating.refuse_malformed(time, answer["unplaced"]["doc_count"])
        indices = answer["found"]["indices"]
        if indices["sum_other_doc_count"]:
            raise Unfit(f"messages of this time lie in more than {_MOST_INDICES:,} indices; name fewer in `index`")
        return [bucket["key"] for bucket in indices["buckets"]]

    def _mappings(self, session: Session, indices: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Index -> its mapping. Of another cluster's indices only the fields' types can be asked."""
        found: dict[str, dict[str, Any]] = {}
        for some in _in_pieces([index for index in indices if ":" not in index]):
            found.update({name: dict(mapping) for name, mapping in session.mappings(some).items() if name in some})
        for index in indices:
            if ":" in index:
                found[index] = remote.mapping(session, index, names)
        if missing := set(indices) - found.keys():
            raise Unfit(f"index {min(missing)} has messages, and no mapping; try again")
        return found

    def _agreed(self, mappings: Mapping[str, Mapping[str, Any]], name: str) -> Held | None:
        """How all indices hold a field. Whole numbers here and decimals there are decimals."""
        agreed: tuple[str, Held] | None = None
        for index, mapping in mappings.items():
            try:
                held = self._held(mapping, name)
            except Unfit as error:
                raise Unfit(f"index {index}: {error}") from error
            if held is None:
                continue
            if agreed is None:
                agreed = index, held
                continue
            both = agreed[1].along(held)
            if both is None:
                raise Unfit(
                    f"{name} is mapped as {_shown(agreed[1])} in index {agreed[0]} and as {_shown(held)} in index "
                    f"{index}, so a comparison would miss some; reindex one of them, or name fewer indices in `index`"
                )
            agreed = agreed[0], both
        return None if agreed is None else agreed[1]

    def _held(self, mapping: Mapping[str, Any], name: str) -> Held | None:
        token = hashlib.sha256(json.dumps(mapping, sort_keys=True).encode()).hexdigest()
        if (token, name) not in self._known:
            try:
                self._known[token, name] = resolve(mapping, name)
            except Unfit as error:
                self._known[token, name] = error
        known = self._known[token, name]
        if isinstance(known, Unfit):
            raise known
        return known

    def _refuse_unseen(self, snapshot: Snapshot, query: CountQuery, unknown: Sequence[str]) -> None:
        """A field that no index knows is a slip of the pen, unless it is declared or there are no messages at all."""
        unseen = [name for name in unknown if name not in self.store.types]
        if unseen and snapshot.search({"size": 1, "_source": False})["hits"]["hits"]:
            checks.refuse_never_seen(query.view, self.name, unseen)

    def _refuse_uses(self, query: CountQuery, found: Mapping[str, Held | None]) -> None:
        time, customer = (found[name] for name in self._own())
        if time is not None and (time.type != "date" or time.nested):
            raise Unfit(f"{time.field} is mapped as {_shown(time)}, and is when a message happened; map it as date")
        if customer is not None and (customer.type in ("double", "date") or customer.nested):
            raise Unfit(
                f"{customer.field} is mapped as {_shown(customer)}, and says whose a message is; map it as keyword"
            )
        for name, declared in self.store.types.items():
            held = found.get(name)
            if held is not None and held.type not in _DECLARED[declared]:
                raise Unfit(
                    f"{name} is declared {declared}, but mapped as {_shown(held)}; "
                    f"map it as {_MAP_AS[declared]}, or correct the store's types"
                )
        used = {name: KINDS[held.type] for name, held in found.items() if held is not None and name not in self._own()}
        checks.refuse_uncountable(query, {}, used)
        held = None if query.field is None else found[query.field]
        if held is not None:
            _refuse_aggregation(query, held)

    def _refuse_unindexed(self, snapshot: Snapshot, query: CountQuery, used: Mapping[str, Held | None]) -> None:
        """Values that the message has and the index has not: too long, malformed, or from before they were mapped."""
        risks: dict[str, tuple[dsl.Query, str]] = {}
        for name, held in used.items():
            noted = {name, *remote.objects_of([name]), *((held.path, *held.roots) if held is not None else ())}
            ignored = dsl.terms("_ignored", sorted(noted))
            sentence = "that is too long or malformed and was not indexed (_ignored); correct it and reindex"
            risks[f"{name} ignored"] = ignored, sentence
            if held is None:
                continue
            if held.analysed is not None:
                before = {"bool": {"filter": [_exists(held.analysed)], "must_not": [_exists(held.path)]}}
                risks[f"{name} before"] = dsl.inside(held, before), f"from before {held.path} was mapped; reindex them"
            if held.type == "double":
                beyond = dsl.any_of([{"range": {held.path: bound}} for bound in ({"gte": EXACT}, {"lte": -EXACT})])
                sentence = "beyond 2^53, which a double rounds; map it as long"
                risks[f"{name} beyond"] = dsl.inside(held, beyond), sentence
        within = dsl.within(self.store.fields.time, query.edges[0], query.edges[-1])
        body = {"query": within, "aggs": {"risks": {"filters": {"filters": {key: c for key, (c, _) in risks.items()}}}}}
        answer = snapshot.search(body)["aggregations"]["risks"]["buckets"]
        for key, (_, sentence) in risks.items():
            if number := answer[key]["doc_count"]:
                name = key.rpartition(" ")[0]
                raise StoreUnavailable(
                    f"view {query.view}, store {self.name}: {dating.messages(number)} a value of {name} {sentence}"
                )


def _refuse_aggregation(query: CountQuery, held: Held) -> None:
    if held.nested:
        raise Unfit(f"{held.field} lies in the nested objects {held.nested}, which cannot be grouped by customer")
    if query.aggregation == "distinct" and held.mixed:
        raise Unfit(
            f"{held.field} is mapped as long in one index and as double in another, whose values Elasticsearch cannot "
            "list together; reindex one of them, or name fewer indices in `index`"
        )
    if query.aggregation in ("sum", "average") and held.type != "long":
        raise Unfit(
            f"{held.field} is mapped as {held.type}, and Elasticsearch adds such numbers with errors; "
            "map it as long in whole units, such as cents or bytes"
        )


def _in_pieces(indices: Sequence[str]) -> Iterable[list[str]]:
    piece: list[str] = []
    for index in indices:
        if piece and sum(len(name) + 1 for name in piece) + len(index) > _LONGEST_PATH:
            yield piece
            piece = []
        piece.append(index)
    if piece:
        yield piece


def _is_known(known: Json, name: str) -> bool:
    """Whether some index holds the field; the parts of a flattened field are not told."""
    held = (able for type_, able in known.get(name, {}).items() if type_ != "unmapped")
    return any(not able.get("metadata_field") for able in held) or any(
        "flattened" in known.get(above, ()) for above in remote.objects_of([name])
    )


def _exists(path: str) -> dsl.Query:
    return {"exists": {"field": path}}


def _shown(held: Held) -> str:
    where = f" in the nested objects {held.nested}" if held.nested else ""
    return f"{held.type} ({held.path}){where}" if held.path != held.field else f"{held.type}{where}"
