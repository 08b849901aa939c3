"""From written values to models: every mistake becomes a sentence with its place, and what is sound is kept.

The models' library speaks of types; whoever writes a configuration does not. So each of its errors is said anew here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from config.annotations import Location, fields_at, is_tag, kinds_at
from config.documents import Node
from config.errors import Problem
from config.filters import OPERATORS, FilterError
from config.models import Config
from config.names import did_you_mean, nearest

_NO_TYPE: Final = ("union_tag_not_found", "union_tag_invalid")
_SECTIONS_IN_PARTS: Final = ("settings", "customers")  # kept or dropped whole; the others name by name
_PLAIN: Final = {
    **dict.fromkeys(_NO_TYPE, "must be a mapping"),
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


def explain(details: Sequence[ErrorDetails], model: Any, node: Node, prefix: Location = ()) -> list[Problem]:
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


def _below(location: Location, above: Location) -> bool:
    return len(location) > len(above) and location[: len(above)] == above


def _misspelt(missing: ErrorDetails, details: Sequence[ErrorDetails]) -> bool:
    """Whether a missing key is there, misspelt."""
    *parent, name = missing["loc"]
    unknown = [d["loc"][-1] for d in details if d["type"] == "extra_forbidden" and d["loc"][:-1] == tuple(parent)]
    return any(nearest(str(candidate), [str(name)]) for candidate in unknown)


def _problem(detail: ErrorDetails, model: Any, root: Node, prefix: Location) -> Problem:
    loc, kind = detail["loc"], detail["type"]
    cause = (detail.get("ctx") or {}).get("error")
    written = tuple(part for part in loc if not is_tag(part) and part != "[key]")
    if isinstance(cause, FilterError):
        written = (*written, *cause.path)
    if kind in ("missing", "extra_forbidden"):
        return _wrong_key(detail, model, root, prefix, written)
    if kind in _NO_TYPE and isinstance(detail["input"], Mapping):
        return _wrong_type(detail, model, root, prefix, written)
    node, path = _descend(root, written)
    is_key = bool(loc) and loc[-1] == "[key]"
    place = node.key or node.place if is_key else node.place
    return Problem(place, _lead((*prefix, *path)) + _sentence(detail, cause), _hint(detail, cause))


def _wrong_key(detail: ErrorDetails, model: Any, root: Node, prefix: Location, written: Location) -> Problem:
    """A key that is missing, or one too many."""
    *above, key = written
    parent, path = _descend(root, tuple(above))
    node = parent.children.get(key, parent)
    place, lead = node.key or node.place, _lead((*prefix, *path))
    loc = detail["loc"][:-1]
    fields = dict(fields_at(model, loc))
    if detail["type"] == "missing":
        return Problem(place, f"{lead}{key} is missing", f"{key}: {fields.get(str(key))}")
    if model is Config and not above:
        fields["include"] = None  # it is gone by now, but it may have been meant
    kinds = " or ".join(_kinds_with(str(key), model, loc))
    hint = f"it goes with type: {kinds}" if kinds else did_you_mean(str(key), fields)
    return Problem(place, f"{lead}unknown key {key!r}", hint)


def _kinds_with(key: str, model: Any, loc: Location) -> Iterator[str]:
    """The other kinds of the entry at this location that have such a key there."""
    for depth, tag in enumerate(loc):
        for kind in kinds_at(model, loc[:depth]) if is_tag(tag) else ():
            if key in dict(fields_at(model, (*loc[:depth], f"|{kind}", *loc[depth + 1 :]))):
                yield kind


def _wrong_type(detail: ErrorDetails, model: Any, root: Node, prefix: Location, written: Location) -> Problem:
    """An entry that does not say of which kind it is, or of none that there is."""
    entry, loc = detail["input"], detail["loc"]
    node, path = _descend(root, written)
    lead, kinds = _lead((*prefix, *path)), kinds_at(model, loc)
    if "type" not in entry:
        unknown = [key for key in entry if key not in dict(fields_at(model, loc))]
        misspelt = nearest("type", unknown)
        if misspelt is not None:
            child = node.children[misspelt]
            return Problem(child.key or child.place, f"{lead}unknown key {misspelt!r}", "did you mean type?")
        return Problem(node.key or node.place, f"{lead}type is missing", f"write type: {' or type: '.join(kinds)}")
    value, child, lead = entry["type"], node.children["type"], _lead((*prefix, *path, "type"))
    if value is None:
        return Problem(child.place, f"{lead}is empty", "write a value, or remove the key")
    near = nearest(value, kinds) if isinstance(value, str) else None
    return Problem(child.place, f"{lead}must be one of {', '.join(kinds)}", f"did you mean {near}?" if near else None)


def _lead(path: Location) -> str:
    """The dotted path of a value, without places in lists: the line and column tell those."""
    shown = ".".join(part for part in path if isinstance(part, str))
    return f"{shown}: " if shown else ""


def _descend(root: Node, path: Location) -> tuple[Node, Location]:
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
