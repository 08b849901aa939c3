"""How one index holds a field, read from its mapping; and why one that it holds otherwise cannot be counted exactly.

A mapping is what Elasticsearch gives for `GET INDEX/_mapping`: objects with `properties`, and leaves with a `type`.
https://www.elastic.co/docs/reference/elasticsearch/mapping-reference
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from logviews import kinds

Json = Mapping[str, Any]
Class = Literal["keyword", "flattened", "long", "double", "boolean", "date", "ip"]

KINDS: Final[Mapping[Class, int]] = {
    "keyword": kinds.STRING,
    "flattened": kinds.STRING,
    "long": kinds.NUMBER,
    "double": kinds.NUMBER | kinds.FRACTION,
    "boolean": kinds.BOOLEAN,
    "date": kinds.STRING,
    "ip": kinds.STRING,
}
CLASSES: Final[Mapping[str, Class]] = {
    "keyword": "keyword",
    "constant_keyword": "keyword",
    "wildcard": "keyword",
    "long": "long",
    "integer": "long",
    "short": "long",
    "byte": "long",
    "double": "double",
    "boolean": "boolean",
    "date": "date",
    "date_nanos": "date",
    "ip": "ip",
}
_BITS: Final[Mapping[str, int]] = {"byte": 8, "short": 16, "integer": 32}
_WRONG: Final[Mapping[str, str]] = {
    "float": "which rounds; map it as double, or as long in whole units",
    "half_float": "which rounds; map it as double, or as long in whole units",
    "scaled_float": "which rounds; map it as long in whole units",
    "unsigned_long": "which reaches beyond what is compared exactly; map it as long, or as keyword",
}
_RUNTIME: Final = "{} is a runtime field, computed again for every question; map it as a field of its own"
_TEXTS: Final = ("text", "match_only_text")
_OBJECTS: Final = ("object", "nested", "passthrough")


class Unfit(ValueError):  # noqa: N818 (it says what a field is)
    """A field that an index does not hold so that it could be counted exactly, with the reason and what to do."""


@dataclass(frozen=True, slots=True)
class Held:
    """How indices hold a field. `path` is what queries call it, `nested` the nested objects that it lies in.

    `analysed` is the text field that `path` is the keyword of, and `roots` the names under which a value that was not
    indexed is noted. `bits` are those of the smallest and of the largest type of whole numbers. `mixed`: some indices
    hold whole numbers, and others decimals.
    """

    field: str
    path: str
    type: Class
    roots: frozenset[str]
    nested: str | None = None
    analysed: str | None = None
    bits: tuple[int, int] = (64, 64)
    mixed: bool = False

    def along(self, other: Held) -> Held | None:
        """How indices hold the field of which some hold it so and others as `other` says; None where that differs."""
        if (self.path, self.nested) != (other.path, other.nested):
            return None
        types = {self.type, other.type}
        if len(types) > 1 and types != {"long", "double"}:
            return None
        return replace(
            self,
            type=self.type if len(types) == 1 else "double",
            roots=self.roots | other.roots,
            analysed=self.analysed or other.analysed,
            bits=(min(self.bits[0], other.bits[0]), max(self.bits[1], other.bits[1])),
            mixed=self.mixed or other.mixed or len(types) > 1,
        )


def resolve(mapping: Json, field: str) -> Held | None:
    """How an index of this mapping holds a field; None when none of its messages has it.

    Raises:
        Unfit: when messages may have it, and the index would not find all of them.
    """
    if mapping.get("enabled", True) in (False, "false"):
        raise Unfit(f"{field} is not indexed, nor is anything else (enabled: false)")
    if field in mapping.get("runtime", {}):
        raise Unfit(_RUNTIME.format(field))
    found = _below(mapping, mapping, field.split("."), _Way(field, (), str(mapping.get("dynamic", "true")), None))
    if found is not None and not found.roots.isdisjoint(_copied_to(mapping)):
        raise Unfit(f"{field} is given the values of other fields too (copy_to); map it without")
    return None if found is None else replace(found, field=field)


def leaf_of(mapping: Json, field: str) -> Json | None:
    """What a mapping says of a field, as it stands there; None where it names none."""
    properties = mapping.get("properties", {})
    if field in properties:
        leaf: Json = properties[field]
        return leaf_of(mapping, str(leaf["path"])) if leaf.get("type") == "alias" else leaf
    for dot in (number for number, letter in enumerate(field) if letter == "."):
        if field[:dot] in properties and (found := leaf_of(properties[field[:dot]], field[dot + 1 :])) is not None:
            return found
    return None


@dataclass(frozen=True, slots=True)
class _Way:
    """The way from the mapping's root to where the search for a field has come."""

    field: str
    above: tuple[str, ...]
    dynamic: str
    nested: str | None

    def path(self, *more: str) -> str:
        return ".".join((*self.above, *more))


def _below(mapping: Json, node: Json, rest: Sequence[str], way: _Way) -> Held | None:
    """The field that `rest` names below an object. Keys of a mapping may hold dots themselves (`subobjects: false`)."""
    properties = node.get("properties", {})
    for number in range(1, len(rest) + 1):
        key = ".".join(rest[:number])
        if key in properties:
            found = _at(mapping, properties[key], rest[number:], replace(way, above=(*way.above, key)))
            if found is not None:
                return found
    full = way.path(*rest)
    if full in mapping.get("runtime", {}) or way.dynamic == "runtime":
        raise Unfit(_RUNTIME.format(way.field))
    if way.dynamic == "false":
        raise Unfit(f"{way.field} is not mapped, and what is not mapped is not indexed (dynamic: false); map it")
    return None


def _at(mapping: Json, node: Json, rest: Sequence[str], way: _Way) -> Held | None:
    type_ = str(node.get("type", "object"))
    if type_ == "alias":
        found = None if rest else resolve(mapping, str(node["path"]))
        # by its own name, because other indices may have a field of that name
        return replace(found, path=way.path()) if found is not None and {found.path} == found.roots else found
    if type_ in _OBJECTS:
        if node.get("enabled", True) in (False, "false"):
            raise Unfit(f"{way.field} is not indexed, nor is anything in {way.path()} (enabled: false)")
        if not rest:
            raise Unfit(f"{way.field} is an object; name a field inside it")
        nested = way.path() if type_ == "nested" else way.nested
        return _below(mapping, node, rest, replace(way, dynamic=str(node.get("dynamic", way.dynamic)), nested=nested))
    if type_ == "flattened":
        if not rest:
            raise Unfit(f"{way.field} is an object; name a field inside it")
        _refuse_parameters(node, way.field)
        return Held(way.field, way.path(*rest), "flattened", frozenset({way.path()}), way.nested)
    if len(rest) == 1 and rest[0] in node.get("fields", {}):
        held = _leaf(node["fields"][rest[0]], way.path(*rest), way)
        return replace(held, analysed=way.path())  # a keyword that was added later lacks the messages from before
    return None if rest else _leaf(node, way.path(), way)


def _leaf(node: Json, path: str, way: _Way) -> Held:
    type_ = str(node["type"])
    if type_ in _TEXTS:
        keyword = next((name for name, inner in node.get("fields", {}).items() if _is_keyword(inner)), None)
        if keyword is None:
            raise Unfit(f"{way.field} is mapped as {type_}, which is cut into words; add a keyword to it and reindex")
        return replace(_leaf(node["fields"][keyword], f"{path}.{keyword}", way), analysed=path)
    if type_ not in CLASSES:
        reason = _WRONG.get(type_, "which cannot be compared exactly; map it as keyword, long, double, date or ip")
        raise Unfit(f"{way.field} is mapped as {type_}, {reason}")
    _refuse_parameters(node, way.field)
    bits = _BITS.get(type_, 64)
    return Held(way.field, path, CLASSES[type_], frozenset({path}), way.nested, bits=(bits, bits))


def _copied_to(node: Json) -> Iterator[str]:
    """The fields that get the values of others as well as their own."""
    targets = node.get("copy_to", ())
    yield from (targets,) if isinstance(targets, str) else targets
    for inner in (*node.get("properties", {}).values(), *node.get("fields", {}).values()):
        yield from _copied_to(inner)


def _is_keyword(node: Json) -> bool:
    return CLASSES.get(str(node.get("type"))) == "keyword" and "normalizer" not in node


def _refuse_parameters(node: Json, field: str) -> None:
    """Raises Unfit for what makes an index answer something else than the message says."""
    if node.get("normalizer") is not None:
        raise Unfit(f"{field} has a normalizer, so values that differ are taken for the same; map it without")
    if node.get("null_value") is not None:
        raise Unfit(f"{field} has a null_value, so messages without the field seem to have it; map it without")
    if node.get("script") is not None:
        raise Unfit(f"{field} is computed by a script, whatever the message says; map it without")
    if node.get("type") == "flattened" and node.get("ignore_above") is not None:
        raise Unfit(f"{field} has an ignore_above, beyond which a flattened field drops values unnoted; map it without")
    if node.get("index") is False and node.get("doc_values") is False:
        raise Unfit(f"{field} is not indexed (index: false, doc_values: false); map it so that it is")
    if node.get("doc_values") is False:
        raise Unfit(f"{field} cannot be grouped by (doc_values: false); map it so that it can")
