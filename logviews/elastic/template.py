"""How a store's messages are mapped in an index of ours: the index template, and the fields that are stated.

https://www.elastic.co/docs/manage-data/data-store/templates
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from config.models import ElasticsearchStore, FieldType

INGESTED: Final = "event.ingested"
"""Where the instant goes at which a message was written, unless the store says otherwise."""

KEYWORD: Final[Mapping[str, Any]] = {"type": "keyword"}
BOOLEAN: Final[Mapping[str, Any]] = {"type": "boolean"}
LONG: Final[Mapping[str, Any]] = {"type": "long", "coerce": False}
DOUBLE: Final[Mapping[str, Any]] = {"type": "double", "coerce": False}
_DATE: Final[Mapping[str, Any]] = {"type": "date", "format": "strict_date_optional_time"}
_TYPES: Final[Mapping[FieldType, Mapping[str, Any]]] = {
    "string": KEYWORD,
    "integer": LONG,
    "decimal": DOUBLE,
    "boolean": BOOLEAN,
    "time": _DATE,
    "ip": {"type": "ip"},
}
_PRIORITY: Final = 1_000_000  # above whatever else matches the name of the index


def ingested_field(store: ElasticsearchStore) -> str:
    """The field that says when a message was written."""
    return store.fields.ingested or INGESTED


def stated_fields(store: ElasticsearchStore) -> dict[str, Mapping[str, Any]]:
    """Field -> mapping, for those that the configuration states: the store's own, and those of declared types."""
    found: dict[str, Mapping[str, Any]] = {store.fields.customer: KEYWORD}
    if store.fields.id is not None:
        found[store.fields.id] = KEYWORD
    found |= {field: _TYPES[type_] for field, type_ in store.types.items()}
    return found | {store.fields.time: _DATE, ingested_field(store): _DATE}


def template_name(name: str) -> str:
    """What a store's template is called."""
    return f"tallywatch-{name.lower()}"


def index_template(name: str, store: ElasticsearchStore, index: str) -> dict[str, Any]:
    """The composable template of the index that a store's messages are written to.

    Nothing is guessed from text, nothing is coerced that `coerce: false` refuses, and no text is left out for its
    length.
    """
    return {
        "index_patterns": [index],
        "priority": _PRIORITY,
        "_meta": {"managed_by": "tallywatch", "description": f"messages of the store {name}, written by ingest"},
        "template": {
            "mappings": {
                "date_detection": False,
                "numeric_detection": False,
                "dynamic_templates": [
                    {"text": {"match_mapping_type": "string", "mapping": KEYWORD}},
                    {"whole_numbers": {"match_mapping_type": "long", "mapping": LONG}},
                    {"fractions": {"match_mapping_type": "double", "mapping": DOUBLE}},
                ],
                "properties": properties(stated_fields(store)),
            }
        },
    }


def properties(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Mappings of dotted fields as the `properties` of nested objects."""
    tree: dict[str, Any] = {}
    for field, mapping in fields.items():
        *parents, last = field.split(".")
        node = tree
        for segment in parents:
            node = node.setdefault(segment, {}).setdefault("properties", {})
        node[last] = {**node.get(last, {}), **mapping}
    return tree
