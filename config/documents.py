"""YAML files with their source text: every scalar as it was written, and the place of every key and value.

A YAML library decides too early what a value is (0.01 becomes a float, 00123 a number, `no` sometimes false). So this
module reads the event stream, keeps text, and leaves the meaning to the models. Plain `null`, `~` and nothing are None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from config import syntax
from config.errors import ConfigError, Place, Problem
from config.values import Scalar

MAX_DEPTH: Final = 50
MAX_REPEATED: Final = 100_000
"""How many values aliases may repeat in all: enough for any configuration, far too few for a "billion laughs"."""

_STRING_TAG: Final = "tag:yaml.org,2002:str"


@dataclass(slots=True)
class Node:
    """Where a value stands, where its key stands, and the same of everything inside it."""

    place: Place
    key: Place | None = None
    children: dict[str | int, Node] = field(default_factory=dict)
    size: int = 1

    def at(self, path: Sequence[str | int]) -> Node | None:
        """The node at exactly this path."""
        node: Node | None = self
        for part in path:
            node = node.children.get(part) if node else None
        return node


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says: dicts, lists, `Scalar`s and None, with the places of all of it."""

    value: object
    node: Node


def read(path: Path, name: str | None = None) -> Document:
    """The one YAML document of a file; `name` is how the file is called in messages.

    Raises:
        ConfigError: when the file cannot be read, or is no YAML that a configuration may be.
    """
    name = name or str(path)
    return parse(read_text(path, name), name)


def read_text(path: Path, name: str) -> str:
    """The text of a UTF-8 file, without a byte order mark. Raises ConfigError placing the first wrong byte."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError([Problem(Place(name), *syntax.unreadable(path, error))]) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place, reason, hint = syntax.not_utf8(data, error, name)
        raise ConfigError([Problem(place, reason, hint)]) from error


def parse(text: str, name: str, *, at: Place | None = None) -> Document:
    """The one document of a text. With `at`, everything is placed there (an environment variable has no lines)."""
    place_of = (lambda _mark: at) if at else (lambda mark: Place(name, mark.line + 1, mark.column + 1))
    composer = _Composer(text, name, place_of)
    try:
        return composer.document()
    except MarkedYAMLError as error:
        place, reason, hint = syntax.explain(error, text, name)
        raise ConfigError([*composer.problems, Problem(at or place, reason, hint)]) from error
    except ReaderError as error:
        line, column = syntax.line_and_column(text, error.position)
        reason = f"the character U+{ord(text[error.position]):04X} may not stand in YAML"
        hint = "remove it, or write it escaped in double quotes"
        raise ConfigError([Problem(at or Place(name, line, column), reason, hint)]) from error


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read."""

    value: dict[str, object] | list[object]
    node: Node
    anchor: str | None
    key: str | None = None
    key_place: Place | None = None
    merged: set[str] = field(default_factory=set)  # keys that came through `<<`, which written keys override


class _Composer:
    """Builds one document from the event stream, without recursion."""

    def __init__(self, text: str, name: str, place_of: Callable[[Any], Place]) -> None:
        self.text = text
        self.name = name
        self.place_of = place_of
        self.problems: list[Problem] = []
        self.anchors: dict[str, tuple[object, Node]] = {}
        self.stack: list[_Open] = []
        self.root: Document | None = None
        self.repeated = 0

    def document(self) -> Document:
        documents = 0
        for event in self._events():
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse(
                        event, "a second document begins here", "keep one document in a file, and use include:"
                    )
            elif isinstance(event, ScalarEvent):
                self._scalar(event)
            elif isinstance(event, AliasEvent):
                self._alias(event)
            elif isinstance(event, MappingStartEvent | SequenceStartEvent):
                self._open(event)
            elif isinstance(event, MappingEndEvent | SequenceEndEvent):
                self._close()
        if self.problems:
            raise ConfigError(self.problems)
        if self.root is None:
            self._refuse(None, "the file is empty", "tallywatch init writes a starting configuration")
        assert self.root is not None  # noqa: S101 (_refuse raises; the type checker cannot know)
        return self.root

    def _events(self) -> Iterator[Any]:
        last: Any = None
        try:
            for event in YAML(typ="safe", pure=True).parse(self.text):
                yield event
                last = event
        except MarkedYAMLError as error:
            mark = error.problem_mark
            if isinstance(last, AliasEvent) and mark and mark.line == last.start_mark.line:
                self._refuse(last, *syntax.needs_quotes(self.text, last.start_mark.index))
            raise

    def _refuse(self, event: Any, reason: str, hint: str | None = None) -> None:
        place = self.place_of(event.start_mark) if event is not None else Place(self.name)
        raise ConfigError([*self.problems, Problem(place, reason, hint)])

    def _scalar(self, event: ScalarEvent) -> None:
        plain = event.style is None
        if event.tag is not None and str(event.tag) not in (_STRING_TAG, "!"):
            self._refuse(event, f"the tag {event.tag} has no meaning here", "remove it")
        plain = plain and event.tag is None
        place = self.place_of(event.start_mark)
        parent = self.stack[-1] if self.stack else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            self._key(parent, str(event.value), place, plain=plain)
            return
        empty = plain and event.value in ("", "~", "null", "Null", "NULL")
        if empty and not event.value and parent is not None and parent.key_place is not None:
            place = parent.key_place  # the mark of nothing is that of whatever follows it
        value = None if empty else Scalar(event.value, plain=plain)
        self._put(value, Node(place), event.anchor)

    def _key(self, parent: _Open, key: str, place: Place, *, plain: bool) -> None:
        if plain and key in ("", "~", "null"):
            self.problems.append(Problem(place, "a key is missing before the colon"))
        if key in parent.node.children and key not in parent.merged:
            first = parent.node.children[key].key
            self.problems.append(Problem(place, f"{key!r} is written twice", f"first at {first}"))
        parent.key, parent.key_place = key, place

    def _alias(self, event: AliasEvent) -> None:
        parent = self.stack[-1] if self.stack else None
        if any(open_.anchor == event.anchor for open_ in self.stack):
            self._refuse(event, f"*{event.anchor} stands inside what it repeats", "write it out")
        if event.anchor not in self.anchors:
            self._refuse(event, *syntax.needs_quotes(self.text, event.start_mark.index))
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            self._refuse(event, "an alias cannot be a key", "write the key out, or quote it")
        value, node = self.anchors[event.anchor]
        self.repeated += node.size
        if self.repeated > MAX_REPEATED:
            self._refuse(event, f"aliases repeat more than {MAX_REPEATED:,} values", "write less with aliases")
        self._put(value, Node(node.place, None, node.children, node.size), None)

    def _open(self, event: Any) -> None:
        if event.tag is not None and not str(event.tag).startswith("tag:yaml.org,2002:"):
            self._refuse(event, f"the tag {event.tag} has no meaning here", "remove it")
        if event.tag is not None and "python" in str(event.tag):
            self._refuse(event, "a tag that asks for a Python object has no meaning here", "remove it")
        if len(self.stack) >= MAX_DEPTH:
            self._refuse(event, f"nested more than {MAX_DEPTH} levels deep")
        parent = self.stack[-1] if self.stack else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            self._refuse(
                event, "a key must be text, not a list or a mapping", "text that begins with { or [ needs quotes"
            )
        value: dict[str, object] | list[object] = {} if isinstance(event, MappingStartEvent) else []
        self.stack.append(_Open(value, Node(self.place_of(event.start_mark)), event.anchor))

    def _close(self) -> None:
        done = self.stack.pop()
        done.node.size = 1 + sum(child.size for child in done.node.children.values())
        self._put(done.value, done.node, done.anchor)

    def _put(self, value: object, node: Node, anchor: str | None) -> None:
        """Hands a finished value to whatever encloses it."""
        if anchor:
            self.anchors[anchor] = (value, node)
        if not self.stack:
            self.root = Document(value, node)
            return
        parent = self.stack[-1]
        if isinstance(parent.value, list):
            parent.node.children[len(parent.value)] = node
            parent.value.append(value)
            return
        key, parent_key = parent.key or "", parent.key_place
        parent.key = None
        if key == "<<":
            self._merge(parent, value, node, parent_key or node.place)
            return
        node.key = parent_key
        parent.merged.discard(key)
        parent.value[key] = value
        parent.node.children[key] = node

    def _merge(self, parent: _Open, value: object, node: Node, place: Place) -> None:
        """`<<: *anchor` or `<<: [*a, *b]`: keys that are not written out; the first that has a key gives it."""
        sources = (
            [(value, node)]
            if isinstance(value, dict)
            else ([(item, node.children[index]) for index, item in enumerate(value)] if isinstance(value, list) else [])
        )
        if not sources or not all(isinstance(item, dict) for item, _ in sources):
            self.problems.append(
                Problem(place, "<< merges mappings, and this is none", "write <<: *name of an anchored mapping")
            )
            return
        assert isinstance(parent.value, dict)  # noqa: S101 (only a mapping has keys)
        for item, source in sources:
            assert isinstance(item, dict)  # noqa: S101 (checked above)
            for key, inner in item.items():
                if key not in parent.value:
                    parent.merged.add(key)
                    parent.value[key] = inner
                    parent.node.children[key] = source.children[key]
