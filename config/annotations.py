"""What the models have at a location: their keys, and the kinds of an entry that can be of several.

A location is a path of keys as the models' library reports it: where a value may be written in several ways or be of
several kinds, the tag of the one that is meant follows, with a `|` before it. Without a tag all are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag

Location = tuple[str | int, ...]


def is_tag(part: str | int) -> bool:
    """Whether a part of a location names a way of writing or a kind (see `config.models.section`) and no key."""
    return isinstance(part, str) and part.startswith("|")


def fields_at(annotation: Any, loc: Location) -> Iterator[tuple[str, str | None]]:
    """The keys that may stand in the mapping at this location, each with its description."""
    for found in models_at(annotation, loc):
        for name, info in found.model_fields.items():
            yield info.alias or name, info.description


def models_at(annotation: Any, loc: Location) -> Iterator[type[BaseModel]]:
    """The models that an annotation holds at a location."""
    for found in types_at(annotation, loc):
        if isinstance(found, type) and issubclass(found, BaseModel):
            yield found


def types_at(annotation: Any, loc: Location) -> Iterator[Any]:
    """The types that an annotation has at a location: classes, with dict and tuple for all their kinds."""
    for found, _ in _alternatives_at(annotation, loc):
        yield get_origin(found) or found


def kinds_at(annotation: Any, loc: Location) -> tuple[str, ...]:
    """The names of the kinds, or of the ways of writing, among which an entry at this location is one."""
    return tuple(tag.removeprefix("|") for _, tag in _alternatives_at(annotation, loc) if tag is not None)


def _alternatives_at(annotation: Any, loc: Location) -> Iterator[tuple[Any, str | None]]:
    """The alternatives that an annotation has at a location, each with its tag."""
    wanted = loc[0] if loc and is_tag(loc[0]) else None
    rest = loc[1:] if wanted is not None else loc
    for inner, tag in _unwrapped(annotation, None):
        if wanted is not None and tag != wanted:
            continue
        if rest:
            yield from _inside(inner, rest)
        else:
            yield inner, tag


def _inside(annotation: Any, loc: Location) -> Iterator[tuple[Any, str | None]]:
    origin = get_origin(annotation) or annotation
    key, rest = loc[0], loc[1:]
    if origin is dict:
        yield from _alternatives_at(get_args(annotation)[1], rest)
    elif origin is tuple and isinstance(key, int):
        yield from _alternatives_at(get_args(annotation)[0], rest)
    elif isinstance(origin, type) and issubclass(origin, BaseModel):
        for name, info in origin.model_fields.items():
            if key in (name, info.alias):
                yield from _alternatives_at(info.annotation, rest)


def _unwrapped(annotation: Any, tag: str | None) -> Iterator[tuple[Any, str | None]]:
    """The alternatives of an annotation, without None and metadata, each with the tag that it has."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        own = next((item.tag for item in metadata if isinstance(item, Tag)), tag)
        yield from _unwrapped(inner, own)
    elif origin in (Union, UnionType):
        for alternative in get_args(annotation):
            yield from _unwrapped(alternative, tag)
    elif annotation is not type(None):
        yield annotation, tag
