"""The fields of an index and what each holds, while messages are checked against it: new ones are decided as they come.

The first value of a new field decides, and with it every later message of the file has to agree; so that `5` and then
`"x"` is refused, and not changed into something. Whole numbers become decimals as long as none of them is too large.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from logviews.elastic import template
from logviews.elastic.holds import DOUBLE, LONG, Holds, fits_double, holds
from logviews.intake.strict import column_of, shown
from logviews.messages import BadLine, Message, Number, Repeating, Value

Json = Mapping[str, Any]
Kind = Literal["open", "object", "leaf", "unchecked"]

_OBJECTS: Final = ("object", "nested", "passthrough")
_RESERVED: Final = frozenset(
    (
        "_id", "_index", "_source", "_routing", "_field_names", "_ignored", "_ignored_source", "_seq_no", "_version",
        "_tier", "_doc_count", "_nested_path", "_data_stream_timestamp", "_index_mode",
    )
)  # fmt: skip
"""Names that Elasticsearch refuses in a message, and `_doc_count`, by which one message would count as many."""


class Unsuited(ValueError):  # noqa: N818 (it says what an index is)
    """An index that cannot take messages as they are, with the reason."""


@dataclass(slots=True, eq=False)
class _Field:
    """One field. `new`: the index does not know it yet. `large`: it holds a number that a double would round."""

    path: str
    parent: _Field | None
    grows: str
    kind: Kind = "open"
    holds: Holds | None = None
    mapping: Json = field(default_factory=dict)
    new: bool = False
    large: bool = False
    children: dict[str, _Field] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        return self.path.count(".") + 2 if self.path else 1

    def below(self, name: str) -> _Field:
        found = self.children.get(name)
        if found is None:
            path = f"{self.path}.{name}" if self.path else name
            found = self.children[name] = _Field(path, self, self.grows)
        return found


@dataclass(slots=True)
class MappedFields:
    """What an index holds and may yet hold. `stated` are the fields that the configuration states, with mappings.

    Raises Unsuited where the index cannot hold one of those.
    """

    mapping: Json
    stated: Mapping[str, Json]
    raw: frozenset[str]
    deepest: int
    _root: _Field = field(init=False)
    _wanted: frozenset[str] = field(init=False)  # the stated fields, and the objects that they lie in
    _undo: list[tuple[_Field, Kind, Holds | None, Json, bool, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._root = _Field("", None, "true", "object")
        self._wanted = frozenset(above for path in self.stated for above in _above(path))
        self._read(self._root, self.mapping)
        try:
            for path, mapping in self.stated.items():
                self._state(path, mapping)
        except _Unheld as error:
            raise Unsuited(error.reason) from error

    def check(self, line: str, message: Message) -> None:
        """Notes what a message says of new fields.

        Raises:
            BadLine: when the index would not hold it as it is; then nothing is noted.
        """
        self._undo.clear()
        try:
            self._object(self._root, message)
        except _Unheld as error:
            for one, kind, held, mapping, new, large in reversed(self._undo):
                one.kind, one.holds, one.mapping, one.new, one.large = kind, held, mapping, new, large
            raise BadLine(error.reason, column_of(line, error.field.path) if error.field.path else 1) from error

    def new(self) -> dict[str, Any]:
        """The `properties` that are to be added to the index's mapping before the messages are sent."""
        return template.properties({one.path: one.mapping for one in _all(self._root) if one.new})

    def _read(self, node: _Field, mapping: Json) -> None:
        node.grows = str(mapping.get("dynamic", node.grows)).lower()
        if str(mapping.get("subobjects", "true")).lower() != "true":
            raise Unsuited(f"{node.path or 'its mapping'} holds no objects (subobjects: {mapping['subobjects']})")
        for name, inner in mapping.get("properties", {}).items():
            child = node.below(name)
            type_ = inner.get("type", "object")
            if type_ in _OBJECTS and str(inner.get("enabled", True)).lower() == "true":
                child.kind = "object"
                self._read(child, inner)
            else:
                stated = child.path in self.stated
                child.holds = holds(inner, raw=child.path in self.raw, whole=stated)
                child.kind = "leaf" if child.holds is not None else "unchecked"

    def _state(self, path: str, mapping: Json) -> None:
        node = self._root
        for name in path.split("."):
            if node.kind in ("leaf", "unchecked"):
                raise Unsuited(f"{node.path} is no object there, so {path} cannot be in it")
            node = node.below(name)
        if node.kind in ("object", "unchecked"):
            wanted = " with the format ".join(str(mapping[key]) for key in ("type", "format") if key in mapping)
            raise Unsuited(f"{path} is mapped so that it does not hold it; map it as {wanted}")
        if node.kind == "open":
            if node.grows == "strict":
                raise Unsuited(f"it has no {path}, and takes no new fields (dynamic: strict); add it to the mapping")
            self._decide(node, "leaf", holds(mapping, raw=path in self.raw, whole=True), mapping)

    def _object(self, node: _Field, message: Message) -> None:
        if type(message) is Repeating:
            raise _Unheld(node, f"{node.path or 'the message'} has a key twice, which Elasticsearch refuses")
        for key, value in message.items():
            child = node.children.get(key) or self._find(node, key)
            if child.parent is not node and child.kind == "open":
                self._lie_in_objects(child)  # a.b makes an object of a, even where it is null
            self._value(child, value)

    def _find(self, node: _Field, key: str) -> _Field:
        """The field that a key names: one with dots in it names a field in objects."""
        names = key.split(".")
        if not all(name.strip() for name in names):
            raise _Unheld(_Field(key, node, ""), f"the name {key!r} has an empty part, which Elasticsearch refuses")
        if not node.path and names[0] in _RESERVED:
            raise _Unheld(_Field(key, node, ""), f"the name {names[0]} is Elasticsearch's own")
        found = node
        for name in names:
            found = found.below(name)
        node.children[key] = found
        return found

    def _value(self, node: _Field, value: Any) -> None:
        if value is None:
            return
        if type(value) is list:
            for item in value:
                self._value(node, item)
        elif isinstance(value, dict):
            if node.kind == "leaf" and node.holds is not None:
                raise _Unheld(node, f"{node.path} is an object, but mapped as {node.holds.type}")
            if node.kind == "open":
                self._open_object(node)
            if node.kind == "object":
                self._object(node, value)
        elif node.kind == "object":
            raise _Unheld(node, f"{node.path} is {shown(value)}, but an object in other messages")
        elif node.kind == "open":
            self._open_leaf(node, value)
        elif node.holds is not None:
            self._held(node, node.holds, value)

    def _held(self, node: _Field, held: Holds, value: Value) -> None:
        if not held.fits(value):
            if not (node.new and held is LONG and not node.large and fits_double(value)):
                it_is = f"{node.path} is {shown(value)}, but mapped as {held.type}"
                raise _Unheld(node, f"{it_is}: {held.wanted} is wanted")
            self._decide(node, "leaf", DOUBLE, template.DOUBLE)
        elif held is LONG and node.new and not node.large and not fits_double(value):
            self._remember(node)
            node.large = True

    def _open_leaf(self, node: _Field, value: Value) -> None:
        if isinstance(value, bool):
            mapping = template.BOOLEAN
        elif isinstance(value, Number):
            mapping = template.LONG if value.lstrip("-").isdigit() else template.DOUBLE
        else:
            mapping = template.KEYWORD
        held = holds(mapping)
        self._decide(node, "leaf", held, mapping)
        if node.holds is not None:
            self._held(node, node.holds, value)

    def _open_object(self, node: _Field) -> None:
        self._decide(node, "object", None, {"type": "object"})
        if node.kind == "object" and node.depth > self.deepest:
            raise _Unheld(node, f"{node.path} lies deeper than the {self.deepest} levels that the index allows")

    def _decide(self, node: _Field, kind: Kind, held: Holds | None, mapping: Json) -> None:
        above = self._lie_in_objects(node)
        if node.grows == "strict" and node.path not in self._wanted:
            raise _Unheld(node, f"{node.path} is new, and the index takes no new fields (dynamic: strict)")
        self._remember(node)
        left = node.grows in ("false", "runtime") and node.path not in self._wanted
        if left or above.kind == "unchecked":
            node.kind = "unchecked"
        else:
            node.kind, node.holds, node.mapping, node.new = kind, held, mapping, True

    def _lie_in_objects(self, node: _Field) -> _Field:
        """Sees to it that what a field lies in is an object; gives that."""
        above = node.parent or self._root
        if above.kind == "open":
            self._open_object(above)
        if above.kind == "leaf" and above.holds is not None:
            raise _Unheld(above, f"{above.path} is an object, but mapped as {above.holds.type}")
        return above

    def _remember(self, node: _Field) -> None:
        self._undo.append((node, node.kind, node.holds, node.mapping, node.new, node.large))


class _Unheld(ValueError):  # noqa: N818 (it says what is not held)
    """What of a message a field does not hold."""

    def __init__(self, field_: _Field, reason: str) -> None:
        self.field, self.reason = field_, reason
        super().__init__(reason)


def _above(path: str) -> Iterator[str]:
    """A dotted field, and the objects that it lies in."""
    names = path.split(".")
    return (".".join(names[:number]) for number in range(1, len(names) + 1))


def _all(node: _Field) -> Iterator[_Field]:
    for one in dict.fromkeys(node.children.values()):
        if one.parent is node:
            yield one
            yield from _all(one)
