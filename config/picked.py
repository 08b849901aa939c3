"""Contradictions of files to pick up: a store that reads its own parts would count for ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from config.errors import Problem
from config.references import Context

_WILD: Final = frozenset("*?[")


def check(context: Context) -> Iterator[Problem]:
    """Every pattern of files that lies in the folder of its store."""
    for name, store in context.config.embedded_stores.items():
        for index, pattern in enumerate(store.read):
            fixed = unwild(pattern)
            if store.folder == fixed or store.folder in fixed.parents:
                node = context.node.at(("stores", name, "read", index))
                place = node.place if node else context.place("stores", name, "read")
                reason = f"stores.{name}.read: these files lie in the store's own folder"
                yield Problem(place, reason, "keep logs and the store's parts in different folders")


def unwild(pattern: Path) -> Path:
    """The folder in which an absolute pattern begins to have wildcards, or that holds the one file that it names."""
    fixed = Path(pattern.anchor)
    for part in pattern.relative_to(pattern.anchor).parts[:-1]:
        if _WILD & set(part):
            break
        fixed /= part
    return fixed
