"""One configuration out of several files: `include:` names files whose sections are added, each name once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from config import documents
from config.documents import Document, Node
from config.errors import ConfigError, Place, Problem


@dataclass(slots=True)
class Sources:
    """Everything that the files say together, which files they are, and what is wrong with them."""

    value: dict[str, object] = field(default_factory=dict)
    node: Node = field(default_factory=lambda: Node(Place("")))
    files: dict[str, Path] = field(default_factory=dict)  # how each file is called in messages -> its real path
    problems: list[Problem] = field(default_factory=list)

    def folder(self, place: Place, otherwise: Path) -> Path:
        """The folder that a path written at this place is relative to."""
        file = self.files.get(place.file)
        return file.parent if file else otherwise


def collect(path: Path) -> Sources:
    """The configuration file with all that it includes, each path relative to the file that names it.

    Problems are collected and not raised, so that what could be read is still checked.
    """
    sources = Sources(node=Node(Place(str(path))))
    _add(sources, path, str(path), chain=())
    return sources


def _add(sources: Sources, path: Path, name: str, chain: tuple[Path, ...]) -> None:
    real = path.resolve()
    sources.files[name] = real
    try:
        document = documents.read(path, name)
    except ConfigError as error:
        sources.problems.extend(error.problems)
        return
    if not isinstance(document.value, dict):
        reason = "the file must be a mapping of sections" if document.value is not None else "the file is empty"
        hint = "begin with settings:, stores: or another section"
        sources.problems.append(Problem(document.node.place, reason, hint))
        return
    include = document.value.pop("include", None)
    node = document.node.children.pop("include", None)
    _merge(sources, document)
    if node is not None:
        for target, target_name, place in _targets(sources, include, node, path, name):
            _follow(sources, target, target_name, place, (*chain, real))


def _follow(sources: Sources, target: Path, name: str, place: Place, chain: tuple[Path, ...]) -> None:
    real = target.resolve()
    if real in chain:
        circle = " includes ".join(file.name for file in (*chain[chain.index(real) :], real))
        sources.problems.append(Problem(place, f"includes go round in a circle: {circle}", "remove one of them"))
    elif real in sources.files.values():
        sources.problems.append(Problem(place, f"{name} is included twice", "remove one of the two"))
    elif not target.is_file():
        reason = "is a directory; a file is needed" if target.is_dir() else "does not exist"
        hint = (
            "write FOLDER/*.yaml for all files in it"
            if target.is_dir()
            else "a path is relative to the file that names it"
        )
        sources.problems.append(Problem(place, f"include: {name} {reason}", hint))
    else:
        _add(sources, target, name, chain)


def _targets(sources: Sources, include: object, node: Node, path: Path, name: str) -> list[tuple[Path, str, Place]]:
    """The files that an `include:` means, with their names in messages and the place that names them."""
    written = include if isinstance(include, list) else [include]
    found = []
    for index, item in enumerate(written):
        place = node.children[index].place if isinstance(include, list) else node.place
        if not isinstance(item, str) or not item:
            reason = "include: must be a path, a pattern such as conf.d/*.yaml, or a list of them"
            sources.problems.append(Problem(place, reason))
            continue
        pattern = str(item)  # pathlib wants plain text
        shown = os.path.normpath(Path(name).parent / pattern)
        if not any(character in pattern for character in "*?["):
            found.append((Path(shown), shown, place))
            continue
        root = Path(name).parent
        itself = path.resolve()
        matches = [match for match in sorted(_glob(root, pattern)) if match.is_file() and match.resolve() != itself]
        if not matches:
            reason = f"include: nothing matches {shown}"
            sources.problems.append(Problem(place, reason, "remove it, or mend the pattern"))
        found.extend((match, str(match), place) for match in matches)
    return found


def _glob(root: Path, pattern: str) -> list[Path]:
    path = Path(pattern)
    try:
        if path.is_absolute():
            return list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        return list(root.glob(pattern))
    except (ValueError, NotImplementedError):
        return []


def _merge(sources: Sources, document: Document) -> None:
    """Adds a file's sections; a section that is a mapping is joined by name."""
    assert isinstance(document.value, dict)  # noqa: S101 (the caller has checked)
    for section, content in document.value.items():
        node = document.node.children[section]
        there = sources.node.children.get(section)
        if there is None:
            sources.value[section] = content
            sources.node.children[section] = node
        elif content is None:
            continue
        elif sources.value[section] is None:
            sources.value[section] = content
            sources.node.children[section] = node
        else:
            _join(sources, section, content, node, there)


def _join(sources: Sources, section: str, content: object, node: Node, there: Node) -> None:
    present = sources.value[section]
    if section == "customers" or not isinstance(present, dict) or not isinstance(content, dict):
        first = there.key or there.place
        sources.problems.append(Problem(node.key or node.place, f"{section} is given twice", f"first at {first}"))
        return
    joined = Node(there.place, there.key, dict(there.children))
    values = dict(present)
    for name, value in content.items():
        if name in values:
            first = joined.children[name].key or joined.children[name].place
            place = node.children[name].key or node.children[name].place
            sources.problems.append(Problem(place, f"{section}: {name!r} is written twice", f"first at {first}"))
            continue
        values[name] = value
        joined.children[name] = node.children[name]
    sources.value[section] = values
    sources.node.children[section] = joined
