"""From written values to models: every mistake becomes a sentence with its place, and what is sound is kept.

The models' library speaks of types; whoever writes a configuration does not. So each of its errors is said anew here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.documents import Node
from config.errors import Problem
from config.filters import OPERATORS, FilterError
from config.models import Config
from config.names import did_you_mean, nearest

Path = tuple[str | int, ...]

_SECTIONS_IN_PARTS: Final = ("settings", "customers")  # kept or dropped whole; the others name by name
_PLAIN: Final = {
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "string_type": "must be text",
    "string_pattern_mismatch": "is no name: a letter, then up to 63 letters, digits, - or _",
    "string_too_short": "must not be empty",
    "too_short": "must hold at least one entry",
    "int_type": "must be a whole number, such as 100_000",
    "decimal_type": "must be a plain decimal number, such as 0.01",
    "is_instance_of": "must be a single value",
    "bool_type": "must be true or false",
    "path_type": "must be a path",
    "time_delta_type": "must be a duration, such as 30s, 15m, 72h or 7d",
    "date_type": "must be a date, such as 2026-10-01",
    "frozen_set_type": "must be a list",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """The sound part of a configuration, the problems of the rest, and all names, those of unsound entries too."""

    config: Config
    problems: tuple[Problem, ...]
    names: Mapping[str, tuple[str, ...]]


def check(value: dict[str, object], node: Node) -> Checked:
    """Validates everything once, and what is left after taking out the unsound entries once more."""
    sound = {section: content for section, content in value.items() if content is not None or section == "customers"}
    names = {section: tuple(content) for section, content in sound.items() if isinstance(content, dict)}
    problems: list[Problem] = []
    if "customers" in sound and sound["customers"] is None:
        reason = "customers: is empty"
        hint = "name a file or list customers, or remove the key so that every customer value found is a customer"
        problems.append(Problem((node.children["customers"]).place, reason, hint))
        del sound["customers"]
    try:
        return Checked(Config.model_validate(sound), tuple(problems), names)
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems.extend(explain(details, Config, node))
        return Checked(Config.model_validate(_without(sound, details)), tuple(problems), names)


def _without(value: dict[str, object], details: Sequence[ErrorDetails]) -> dict[str, object]:
    """The configuration without the entries that have errors."""
    kept = dict(value)
    for detail in details:
        section, *rest = detail["loc"]
        content = kept.get(str(section))
        if isinstance(content, dict) and rest and section not in _SECTIONS_IN_PARTS:
            kept[str(section)] = {name: entry for name, entry in content.items() if name != rest[0]}
        else:
            kept.pop(str(section), None)
    return kept


def explain(details: Sequence[ErrorDetails], model: Any, node: Node, prefix: Path = ()) -> list[Problem]:
    """The problems that the library's errors mean. `prefix` is where `node` stands in the whole configuration."""
    locations = [detail["loc"] for detail in details]
    problems = []
    for detail in details:
        if detail["type"] == "too_short" and any(_below(other, detail["loc"]) for other in locations):
            continue  # nothing is missing: an entry is wrong, which has its own problem
        if detail["type"] == "missing" and _misspelt(detail, details):
            continue  # said already, at the unknown key
        problems.append(_problem(detail, model, node, prefix))
    return problems


def _below(location: Path, above: Path) -> bool:
    return len(location) > len(above) and location[: len(above)] == above


def _misspelt(missing: ErrorDetails, details: Sequence[ErrorDetails]) -> bool:
    """Whether a missing key is there, misspelt."""
    *parent, name = missing["loc"]
    unknown = [d["loc"][-1] for d in details if d["type"] == "extra_forbidden" and d["loc"][:-1] == tuple(parent)]
    return any(nearest(str(candidate), [str(name)]) for candidate in unknown)


def _problem(detail: ErrorDetails, model: Any, root: Node, prefix: Path) -> Problem:
    loc, kind = detail["loc"], detail["type"]
    cause = (detail.get("ctx") or {}).get("error")
    written = tuple(part for part in loc if not _is_tag(part) and part != "[key]")
    if isinstance(cause, FilterError):
        written = (*written, *cause.path)
    if kind in ("missing", "extra_forbidden"):
        return _wrong_key(detail, model, root, prefix, written)
    node, path = _descend(root, written)
    is_key = bool(loc) and loc[-1] == "[key]"
    place = node.key or node.place if is_key else node.place
    return Problem(place, _lead((*prefix, *path)) + _sentence(detail, cause), _hint(detail, cause))


def _wrong_key(detail: ErrorDetails, model: Any, root: Node, prefix: Path, written: Path) -> Problem:
    """A key that is missing, or one too many."""
    *above, key = written
    parent, path = _descend(root, tuple(above))
    node = parent.children.get(key, parent)
    place, lead = node.key or node.place, _lead((*prefix, *path))
    fields = dict(fields_at(model, detail["loc"][:-1]))
    if detail["type"] == "missing":
        return Problem(place, f"{lead}{key} is missing", f"{key}: {fields.get(str(key))}")
    if model is Config and not above:
        fields["include"] = None  # it is gone by now, but it may have been meant
    return Problem(place, f"{lead}unknown key {key!r}", did_you_mean(str(key), fields))


def _lead(path: Path) -> str:
    """The dotted path of a value, without places in lists: the line and column tell those."""
    shown = ".".join(part for part in path if isinstance(part, str))
    return f"{shown}: " if shown else ""


def _is_tag(part: str | int) -> bool:
    """Whether a part of a location names a way of writing (see `config.models`) and no key."""
    return isinstance(part, str) and part.startswith("|")


def _descend(root: Node, path: Path) -> tuple[Node, Path]:
    """The innermost node on a path, and how far it is."""
    node = root
    for depth, part in enumerate(path):
        child = node.children.get(part)
        if child is None:
            return node, path[:depth]
        node = child
    return node, path


def _sentence(detail: ErrorDetails, cause: object) -> str:
    if detail["input"] is None and not isinstance(cause, FilterError):
        return "is empty"
    valid = _literals(detail)
    bounds = detail.get("ctx") or {}
    sentences = {
        **_PLAIN,
        "value_error": str(cause),
        "shape": detail["msg"],
        "literal_error": f"must be one of {', '.join(valid)}" if len(valid) > 1 else f"must be {''.join(valid)}",
        "greater_than": f"must be greater than {bounds.get('gt')}",
        "greater_than_equal": f"must be {bounds.get('ge')} or more",
        "less_than_equal": f"must be {bounds.get('le')} or less",
    }
    return sentences.get(detail["type"], "cannot be read")


def _hint(detail: ErrorDetails, cause: object) -> str | None:
    if detail["input"] is None and not isinstance(cause, FilterError):
        return "write a value, or remove the key"
    if isinstance(cause, FilterError) and cause.unknown is not None:
        return did_you_mean(cause.unknown, OPERATORS)
    if detail["type"] == "literal_error" and isinstance(detail["input"], str):
        valid = _literals(detail)
        near = nearest(detail["input"], valid) if len(valid) > 1 else None
        return f"did you mean {near}?" if near else None
    return None


def _literals(detail: ErrorDetails) -> list[str]:
    return re.findall(r"'([^']*)'", str((detail.get("ctx") or {}).get("expected")))


def fields_at(model: Any, loc: Path) -> Iterator[tuple[str, str | None]]:
    """The keys that the model at this location of the library's has, each with its description."""
    for found in models_at(model, loc):
        for name, info in found.model_fields.items():
            yield info.alias or name, info.description


def models_at(annotation: Any, loc: Path) -> Iterator[type[BaseModel]]:
    """The models that an annotation holds at a location; tags of ways of writing are skipped."""
    for found in types_at(annotation, loc):
        if isinstance(found, type) and issubclass(found, BaseModel):
            yield found


def types_at(annotation: Any, loc: Path) -> Iterator[Any]:
    """The types that an annotation has at a location: classes, with dict and tuple for all their kinds."""
    rest = tuple(part for part in loc if not _is_tag(part))
    for inner in _unwrapped(annotation):
        origin = get_origin(inner) or inner
        if not rest:
            yield origin
        elif origin is dict:
            yield from types_at(get_args(inner)[1], rest[1:])
        elif origin is tuple and isinstance(rest[0], int):
            yield from types_at(get_args(inner)[0], rest[1:])
        elif isinstance(origin, type) and issubclass(origin, BaseModel):
            for name, info in origin.model_fields.items():
                if rest[0] in (name, info.alias):
                    yield from types_at(info.annotation, rest[1:])


def _unwrapped(annotation: Any) -> Iterator[Any]:
    """The alternatives of an annotation, without None and metadata."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _unwrapped(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for alternative in get_args(annotation):
            yield from _unwrapped(alternative)
    elif annotation is not type(None):
        yield annotation
