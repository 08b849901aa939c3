"""The registry of all sections and keys, with type, default and description, as the models have them.

`python -m config.reference` prints docs/configuration.md, which a test keeps in step.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, SecretStr, WithJsonSchema
from pydantic.fields import FieldInfo

from config.filters import Filter
from config.models import Config
from config.values import Days, Hours, Limit, one_or_many

_WORDS: Final[dict[Any, str]] = {
    str: "text",
    SecretStr: "secret text",
    int: "whole number",
    bool: "true or false",
    Decimal: "decimal number",
    timedelta: "duration, such as 15m or 72h",
    Path: "path",
    Limit: "number, or percentage such as 90%",
    Days: "days, such as 25-28 or [1, 15]",
    Hours: "hours, such as 06:00-22:00",
    frozenset: "weekdays, such as mon-fri",
}
_DATE: Final = "date, such as 2026-10-01"


@dataclass(frozen=True, slots=True)
class Key:
    """One key: where it stands, what it takes, what it is when left out (None: it must be given), what it means."""

    path: str
    type: str
    default: str | None
    description: str


def every_key() -> Iterator[Key]:
    """Every key of a configuration, sections before what is in them. `NAME` stands for a name of one's own."""
    include = "more files, relative to this one: a path, a pattern such as conf.d/*.yaml, or a list of them"
    yield Key("include", "text or list of text", "nothing", include)
    yield from _keys(Config, "")


def _keys(model: type[BaseModel], above: str) -> Iterator[Key]:
    for name, info in model.model_fields.items():
        path = f"{above}{info.alias or name}"
        yield Key(path, _type(info.annotation, info.metadata), _default(info), info.description or "")
        yield from _inside(info.annotation, path)


def _inside(annotation: Any, path: str) -> Iterator[Key]:
    models = [kind for kind in _alternatives(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    if len(models) > 1:
        yield from _keys_of_kinds(models, path)
        return
    for kind in _alternatives(annotation):
        if get_origin(kind) is dict:
            yield from _inside(get_args(kind)[1], f"{path}.NAME")
        elif get_origin(kind) is tuple:
            yield from _inside(get_args(kind)[0], f"{path}[]")
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _keys(kind, f"{path}.")


def _keys_of_kinds(models: Sequence[type[BaseModel]], path: str) -> Iterator[Key]:
    """The keys of an entry whose `type` tells of which kind it is: what all kinds share, then what each has its own."""
    keys = {_kind(model): list(_keys(model, f"{path}.")) for model in models}
    tells = f"{path}.type"
    description = next(key.description for key in keys[_kind(models[0])] if key.path == tells)
    yield Key(tells, ", ".join(f"`{kind}`" for kind in keys), None, description)
    first, *others = keys.values()
    shared = [key for key in first if all(key in other for other in others)]
    yield from shared
    for kind, found in keys.items():
        for key in found:
            if key not in shared and key.path != tells:
                yield replace(key, description=f"`{kind}` only: {key.description}")


def _kind(model: type[BaseModel]) -> str:
    (kind,) = get_args(model.model_fields["type"].annotation)
    return str(kind)


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The alternatives of an annotation, without None."""
    return (kind for kind, _ in _annotated(annotation))


def _type(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    if any(kind in get_args(Filter) for kind in _alternatives(annotation)):
        return "filter"
    words = [_word(kind, (*metadata, *own)) for kind, own in _annotated(annotation)]
    return " or ".join(dict.fromkeys(words))


def _annotated(annotation: Any) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The alternatives of an annotation, each with its metadata."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        for kind, own in _annotated(inner):
            yield kind, (*own, *metadata)
    elif origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from _annotated(part)
    elif annotation is not type(None):
        yield annotation, ()


def _word(kind: Any, metadata: Sequence[Any]) -> str:
    origin = get_origin(kind)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if origin is tuple:
        inner = _type(get_args(kind)[0])
        single = any(isinstance(item, BeforeValidator) and item.func is one_or_many for item in metadata)
        return f"{inner}, or a list of such" if single else f"list of {inner}"
    examples = [(item.json_schema or {}).get("examples") for item in metadata if isinstance(item, WithJsonSchema)]
    if kind is str and examples and examples[0] is not None:
        return f"text, such as {examples[0][0]}"
    if origin is dict or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return "mapping"
    return _WORDS.get(origin or kind, _DATE)


def _default(info: FieldInfo) -> str | None:
    if info.is_required():
        return None
    value = info.default
    if value is None or value in ((), {}) or isinstance(value, BaseModel) or type(value) in get_args(Filter):
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return f"{int(value.total_seconds())}s"
    return str(value)


_HEAD: Final = """\
# Configuration reference

One `tallywatch.yaml`, or several through `include:`. `NAME` stands for a name of your own, `[]` for an entry of a
list. Unknown keys are refused. Paths are relative to the file in which they stand. Values are read as they are written:
`00123` stays `00123`, and a price never passes through a float. YAML anchors and `<<` work.

Keys of `settings` and `stores` can be overridden: `TALLYWATCH_SETTINGS__EMAIL__FOLDER=/var/spool/tallywatch`, or a file
`tallywatch_settings__email__folder` in the folder that `TALLYWATCH_SECRETS` names (`/run/secrets` where that exists).
The environment beats secret files, which beat YAML; an empty variable is the same as none. Where several values belong,
write them in YAML's flow style or as JSON. In a store's name a `-` is written `_`. The keys `password` and `api_key`
come in no other way: in YAML they are refused.

A roster file is CSV (or YAML: a list) with the columns of `customers[]`, in any order; only `id` is required, an empty
cell is absent, and aliases and emails are separated by `;`. `until` is the first day *after* the contract.

This page is made from the models by `python -m config.reference`.
"""


def page() -> str:
    """The reference as Markdown, one table per section."""
    lines = [_HEAD]
    section = None
    for key in every_key():
        top = key.path.split(".")[0].split("[")[0]
        if top != section:
            section = top
            lines.append(f"\n## {section}\n\n| key | takes | default | meaning |\n|---|---|---|---|\n")
        default = "*required*" if key.default is None else key.default
        cells = (f"`{key.path}`", key.type, default, key.description)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
