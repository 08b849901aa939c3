"""Settings and stores from the environment and from secret files: `TALLYWATCH_SETTINGS__EMAIL__FOLDER=/var/mail`.

The environment beats secret files, which beat YAML. Secret files lie in the folder that TALLYWATCH_SECRETS names, or in
/run/secrets, and are called like the variables, in lower case. No value is ever repeated in a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources.utils import parse_env_vars

from config import documents, syntax
from config.annotations import fields_at, models_at, types_at
from config.documents import Node
from config.errors import ConfigError, Place, Problem
from config.models import Config
from config.names import nearest
from config.values import Scalar

PREFIX: Final = "TALLYWATCH_"
SECTIONS: Final = ("settings", "stores")
DEFAULT_SECRETS: Final = Path("/run/secrets")
_MAX_SECRET: Final = 1_000_000  # bytes; a secret that is larger is some other file

_KUBERNETES: Final = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_[0-9]+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)$")


class Written(Scalar):
    """An overriding value: its text, and the variable or file that it comes from."""

    place: Place

    @classmethod
    def of(cls, text: str, place: Place) -> Written:
        written = cls(text, plain=True)
        written.place = place
        return written


class _Variables(EnvSettingsSource):
    """pydantic-settings' reading of nested names, over a given mapping and with values as they were written."""

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, Written]) -> None:
        self.variables = variables
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return parse_env_vars(self.variables, self.case_sensitive, self.env_ignore_empty)

    def decode_complex_value(self, field_name: str, field: FieldInfo | None, value: Any) -> Any:  # noqa: ARG002 (overrides)
        """Text stays text: JSON would make a float of 1.10."""
        return value


def apply(value: dict[str, object], node: Node, env: Mapping[str, str]) -> list[Problem]:
    """Puts the overrides into the written configuration, in place, and tells what is wrong with them."""
    problems: list[Problem] = []
    secrets = _accepted(_secrets(env, problems), problems)
    variables = _accepted(_environment(env), problems)

    class Overrides(BaseSettings):
        model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="ignore")
        settings: dict[str, Any] = {}
        stores: dict[str, Any] = {}

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: PydanticBaseSettingsSource, **__: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return _Variables(settings_cls, variables), _Variables(settings_cls, secrets)

    overrides = Overrides()
    for section in SECTIONS:
        for path, written in _leaves(getattr(overrides, section), (section,)):
            _put(value, node, path, written, problems)
    return problems


def variable(*path: str) -> str:
    """The environment variable that overrides the value at this path."""
    return PREFIX + "__".join(path).upper().replace("-", "_")


def _environment(env: Mapping[str, str]) -> Iterator[Written]:
    """The variables that mean a setting or a store, each value with its place and the name as `name`."""
    for name, text in env.items():
        if not name.upper().startswith(PREFIX) or not text.strip():
            continue  # an empty variable is how a shell or a compose file says "not set"
        rest = name[len(PREFIX) :].upper()
        if rest in ("CONFIG", "SECRETS", "DEBUG") or rest.startswith("TEST_") or _KUBERNETES.search(f"_{rest}"):
            continue
        if "__" in rest or rest.startswith(tuple(section.upper() for section in SECTIONS)):
            yield Written.of(text, Place(name))


def _secrets(env: Mapping[str, str], problems: list[Problem]) -> Iterator[Written]:
    stated = env.get(f"{PREFIX}SECRETS")
    folder = Path(stated) if stated else DEFAULT_SECRETS
    if not folder.is_dir():
        if stated:
            hint = "name the folder of the secret files"
            problems.append(Problem(Place(f"{PREFIX}SECRETS"), f"{folder} is no folder", hint))
        return
    for path in sorted(folder.iterdir()):
        if not path.name.upper().startswith(PREFIX) or not path.is_file():
            continue  # other programs' secrets are none of ours
        place = Place(str(path))
        try:
            if path.stat().st_size > _MAX_SECRET:
                problems.append(Problem(place, "is too large for a secret", None))
                continue
            text = path.read_text(encoding="utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            problems.append(Problem(place, "is not UTF-8 text", None))
        except OSError as error:
            problems.append(Problem(place, *syntax.unreadable(path, error)))
        else:
            if text:
                yield Written.of(text, place)


def _accepted(found: Iterator[Written], problems: list[Problem]) -> dict[str, Written]:
    """The overrides whose names can be meant, by lower-case name."""
    accepted: dict[str, Written] = {}
    for written in found:
        name = Path(written.place.file).name.lower()
        section, *keys = name[len(PREFIX) :].split("__")
        if section not in SECTIONS or not keys or not all(keys):
            problems.append(Problem(written.place, "is no setting", _name_hint(section, keys)))
        elif name in accepted:
            hint = f"also as {accepted[name].place}"
            problems.append(Problem(written.place, "is set twice, in different case", hint))
        else:
            accepted[name] = written
    for name in list(accepted):
        whole = next((other for other in accepted if name.startswith(f"{other}__")), None)
        if whole is not None:
            hint = f"the whole of it comes from {accepted[whole].place}"
            problems.append(Problem(accepted.pop(name).place, "is set twice", hint))
    return accepted


def _name_hint(section: str, keys: list[str]) -> str:
    if section in SECTIONS:
        example = "SETTINGS__DATABASE" if section == "settings" else "STORES__WEB__FOLDER"
        return f"write one key, such as {PREFIX}{example}"
    if not keys and (start := next((s for s in SECTIONS if section.startswith(f"{s}_")), None)):
        return f"did you mean {PREFIX}{start.upper()}__{section[len(start) + 1 :].upper()}, with two underscores?"
    near = nearest(section, SECTIONS)
    return (
        f"did you mean {PREFIX}{'__'.join([near, *keys]).upper()}?"
        if near
        else ("only settings and stores can be overridden")
    )


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Written]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, Written):
        yield path, value


def _put(
    value: dict[str, object], node: Node, path: tuple[str, ...], written: Written, problems: list[Problem]
) -> None:
    """Sets one overridden value, or tells why it cannot be."""
    here, place = value, written.place
    real: tuple[str, ...] = ()
    for depth, part in enumerate(path):
        key, hint = _key(part, real, here)
        if key is None:
            meant = "__".join((*path[:depth], hint or "", *path[depth + 1 :]))
            problems.append(Problem(place, "is no setting", f"did you mean {PREFIX}{meant.upper()}?" if hint else None))
            return
        real = (*real, key)
        if depth == len(path) - 1:
            break
        inner = here.get(key)
        if not isinstance(inner, dict):
            inner = {}
            here[key] = inner
            node.children[key] = Node(place, place)
        here, node = inner, node.children[key]
    try:
        document = _read(written, real)
    except ConfigError as error:
        problems.extend(error.problems)
        return
    here[real[-1]] = document.value
    node.children[real[-1]] = document.node


def _key(part: str, above: tuple[str, ...], here: Mapping[str, object]) -> tuple[str | None, str | None]:
    """The key that a part of a variable's name means at this place, else the nearest one."""
    if not above:
        return part, None
    known = [name for name, _ in fields_at(Config, above)] or list(here)
    by_folded = {key.lower().replace("-", "_"): key for key in known}
    folded = part.replace("-", "_")
    if folded in by_folded:
        return by_folded[folded], None
    return None, nearest(folded, by_folded)


def _read(written: Written, path: tuple[str, ...]) -> documents.Document:
    """The value of a variable: text, or YAML in flow style (JSON is such) where several values belong."""
    if any(models_at(Config, path)) or any(kind in (dict, tuple) for kind in types_at(Config, path)):
        return documents.parse(written, str(written.place), at=written.place)
    return documents.Document(Scalar(written, plain=True), Node(written.place, written.place))
