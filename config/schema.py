"""The JSON Schema of a configuration, for editors that complete and check while one writes."""

from __future__ import annotations

from typing import Any, Final

from config.filters import COMBINATORS, OPERATORS
from config.models import Config

_TEXT: Final = ["string", "number", "boolean"]  # unquoted 00123 or true is text here, and other things to an editor

_INCLUDE: Final = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    "description": "more files, relative to this one: a path, a pattern such as conf.d/*.yaml, or a list of them",
}


def schema() -> dict[str, Any]:
    """The whole schema, generated from the models."""
    document = Config.model_json_schema(by_alias=True)
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    document["title"] = "tallywatch configuration"
    document["properties"] = {"include": _INCLUDE, **document["properties"]}
    document["$defs"]["Filter"], document["$defs"]["Matcher"] = _filter(), _matcher()
    where = document["$defs"]["View"]["properties"]["where"]
    document["$defs"]["View"]["properties"]["where"] = {
        "$ref": "#/$defs/Filter",
        "description": where["description"],
    }
    relaxed: dict[str, Any] = _as_written(document)
    return relaxed


def _filter() -> dict[str, Any]:
    inner = {"$ref": "#/$defs/Filter"}
    combined = {"type": "array", "items": inner, "minItems": 1}
    assert COMBINATORS == ("all", "any", "not")  # noqa: S101 (the three lines below name them)
    return {
        "type": "object",
        "description": "field: matcher, all of which must hold",
        "properties": {"all": combined, "any": combined, "not": inner},
        "additionalProperties": {"$ref": "#/$defs/Matcher"},
    }


def _matcher() -> dict[str, Any]:
    one: dict[str, Any] = {"type": _TEXT}
    many = {"type": "array", "items": one, "minItems": 1}
    operators: dict[str, Any] = dict.fromkeys(OPERATORS, one)
    operators |= {"exists": {"type": "boolean"}, "cidr": {"anyOf": [one, many]}, "not": {"$ref": "#/$defs/Matcher"}}
    mapping = {"type": "object", "properties": operators, "additionalProperties": False, "minProperties": 1}
    return {"anyOf": [one, many, mapping]}


def _as_written(part: Any) -> Any:
    """The schema of what is written: where text is wanted, a number or true without quotes is text as well."""
    if isinstance(part, list):
        return [_as_written(item) for item in part]
    if not isinstance(part, dict):
        return part
    changed = {key: _as_written(value) for key, value in part.items() if key != "title" or not isinstance(value, str)}
    if str(changed.get("default", "")).startswith("PT"):
        del changed["default"]  # an ISO 8601 duration, which is not how durations are written here
    if changed.get("type") == "string" and not {"enum", "const", "pattern"} & changed.keys():
        changed["type"] = _TEXT
    return changed
