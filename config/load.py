"""Loading a configuration: files, overrides, models, roster and checks, with all problems told at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from config import coherence, include, overrides, references, roster, validation
from config.documents import Node
from config.errors import ConfigError, Place, Problem
from config.include import Sources
from config.models import Config, Export, RosterFile
from config.references import Context
from config.roster import Roster
from config.standards import absolute_database_url

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Loaded:
    """A configuration that can be used: references checked, paths and the database URL absolute."""

    config: Config
    roster: Roster
    base: Path
    """The folder of the configuration file."""
    files: tuple[Path, ...]
    """Every file that was read: the configuration, what it includes, and the roster."""


def load(path: Path, env: Mapping[str, str] | None = None) -> Loaded:
    """Reads a configuration file with all that belongs to it. `env` is the environment; the process's own by default.

    Raises:
        ConfigError: with every problem found, ordered by file and place.
    """
    base = path.resolve().parent
    sources = include.collect(path)
    if not sources.value and sources.problems:
        raise ConfigError(sources.problems)
    problems = list(sources.problems)
    problems += overrides.apply(sources.value, sources.node, os.environ if env is None else env)
    checked = validation.check(sources.value, sources.node)
    problems += checked.problems
    config = _absolute(checked.config, sources.node, sources, base)
    found, files = _roster(config, checked.names, sources, problems)
    context = Context(config, sources.node, checked.names, sources.value, found)
    problems += references.check(context)
    problems += coherence.check(context)
    if problems or found is None:
        raise ConfigError(_ordered(problems, [*sources.files]))
    config = config.model_copy(
        update={"exports": {name: _settled(config, export) for name, export in config.exports.items()}}
    )
    return Loaded(config, found, base, (*sources.files.values(), *files))


def _roster(
    config: Config, names: Mapping[str, tuple[str, ...]], sources: Sources, problems: list[Problem]
) -> tuple[Roster | None, tuple[Path, ...]]:
    """The roster and its file; None when it has problems, which are added to the others."""
    written = sources.value.get("customers")
    tiers = names.get("tiers", ())
    try:
        if isinstance(config.customers, RosterFile):
            place = sources.node.children["customers"].children["file"].place
            stated = Path(str(written["file"])) if isinstance(written, dict) else config.customers.file
            name = os.path.normpath(Path(place.file).parent / stated) if place.file in sources.files else str(stated)
            if not config.customers.file.exists():
                reason = f"customers.file: there is no file {name}"
                problems.append(Problem(place, reason, "a path is relative to the file that names it"))
                return None, ()
            return roster.read(config.customers.file, name, config.settings, tiers), (config.customers.file,)
        if isinstance(config.customers, tuple) and isinstance(written, list):
            return roster.of_list(written, sources.node.children["customers"], config.settings, tiers), ()
    except ConfigError as error:
        problems.extend(error.problems)
        return None, ()
    if "customers" in sources.value:
        return None, ()  # it has problems of its own, told already
    return Roster({}, open=True, zone=config.settings.zone, language=config.settings.language), ()


def _absolute(model: _Model, node: Node | None, sources: Sources, base: Path) -> _Model:
    """The model with every path in it absolute; a relative one is relative to the file in which it stands."""
    changed: dict[str, object] = {}
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        inner = node.children.get(info.alias or name) if node else None
        folder = sources.folder(inner.place, base) if inner else base
        if isinstance(value, Path):
            changed[name] = Path(os.path.normpath(folder / value.expanduser()))
        elif isinstance(value, tuple) and value and isinstance(value[0], Path):
            changed[name] = tuple(_beside(inner, index, each, sources, base) for index, each in enumerate(value))
        elif isinstance(value, BaseModel):
            changed[name] = _absolute(value, inner, sources, base)
        elif isinstance(value, dict) and any(isinstance(entry, BaseModel) for entry in value.values()):
            changed[name] = {
                key: _absolute(entry, inner.children.get(key) if inner else None, sources, base)
                for key, entry in value.items()
            }
        elif name == "database" and isinstance(value, str):
            changed[name] = absolute_database_url(value, folder)
    return model.model_copy(update=changed) if changed else model


def _beside(node: Node | None, index: int, path: Path, sources: Sources, base: Path) -> Path:
    """A path of a list; a single one may stand without the list."""
    where = (node.children.get(index) or node) if node else None
    return Path(os.path.normpath((sources.folder(where.place, base) if where else base) / path.expanduser()))


def _settled(config: Config, export: Export) -> Export:
    """An export that states no `settle` waits as long as its stores' messages may be late."""
    if "settle" in export.model_fields_set:
        return export
    lateness = (config.stores[config.views[view].store].lateness for view in export.views)
    return export.model_copy(update={"settle": max(lateness, default=timedelta(0))})


def _ordered(problems: Iterable[Problem], files: list[str]) -> list[Problem]:
    """By file in the order of reading, then by line and column; what has no file (a variable) comes last."""

    def key(problem: Problem) -> tuple[int, str, int, int]:
        place: Place = problem.place
        rank = files.index(place.file) if place.file in files else len(files)
        return rank, place.file if rank == len(files) else "", place.line or 0, place.column or 0

    return sorted(dict.fromkeys(problems), key=key)
