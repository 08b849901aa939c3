"""What can be known of an index of another cluster: its fields' types, by which it is checked like one of this cluster.

https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-field-caps
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from logviews.elastic.mappings import Unfit
from logviews.elastic.session import Session


def mapping(session: Session, index: str, names: Sequence[str]) -> dict[str, Any]:
    """The mapping of these fields in an index of another cluster, as far as it is told: types, and what is grouped by.

    Raises:
        Unfit: for a field that the index holds in several ways.
        StoreUnavailable: when the other cluster does not answer.
    """
    asked = [*names, *(f"{name}.keyword" for name in names), *objects_of(names)]
    answer = session.ask(lambda es: es.field_caps(index=index, fields=asked, allow_no_indices=False))
    return told_by(answer["fields"])


def told_by(caps: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Field capabilities as the mapping that they tell of, with the fields' whole names as keys.

    Parameters such as `normalizer` or `null_value` are not told. A field that is held in several ways is unfit.
    """
    properties: dict[str, Any] = {}
    for name, types in caps.items():
        mapped = {type_: able for type_, able in types.items() if type_ != "unmapped"}
        if len(mapped) > 1:
            told = " and as ".join(sorted(mapped))
            raise Unfit(f"{name} is mapped as {told}; reindex, or name fewer indices in `index`")
        for type_, able in mapped.items():
            properties[name] = {"type": type_, "doc_values": able.get("aggregatable", True)}
    for name, leaf in list(properties.items()):
        parent, _, last = name.rpartition(".")
        if leaf["type"] == "keyword" and properties.get(parent, {}).get("type") in ("text", "match_only_text"):
            properties[parent].setdefault("fields", {})[last] = leaf
    return _with_objects(properties)


def _with_objects(properties: dict[str, Any]) -> dict[str, Any]:
    """The leaves below their nested objects, which is where a query has to look for them."""
    tree: dict[str, Any] = {}
    parents = {name: leaf for name, leaf in properties.items() if leaf["type"] in ("nested", "flattened")}
    for name, leaf in properties.items():
        inside = max((parent for parent in parents if name.startswith(f"{parent}.")), key=len, default=None)
        if leaf["type"] == "object":
            continue
        if inside is None:
            tree.setdefault(name, leaf)
        elif parents[inside]["type"] == "nested":
            parents[inside].setdefault("properties", {})[name[len(inside) + 1 :]] = leaf
    return {"properties": tree}


def objects_of(names: Sequence[str]) -> list[str]:
    """The objects that these fields would lie in, outermost first."""
    found = []
    for name in names:
        segments = name.split(".")
        found += [".".join(segments[:number]) for number in range(1, len(segments))]
    return found
