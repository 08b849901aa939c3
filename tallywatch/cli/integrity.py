"""Where the messages went, as a table: a row for each figure and a column for each view, because views may be many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import click

from tallywatch.cli.common import local
from tallywatch.cli.tables import Row, is_constant, number, print_blocks, word, wrapped

Figures = Mapping[str, object]
PARTS: Final = ("selected", "unselected", "unattributed", "unknown", "outside")
"""The heaps: every message that a view matches lies in exactly one of them, and their sum is the total."""
_ROWS: Final = ("total", *PARTS, "duplicates")


def print_integrity(found: Iterable[tuple[str, Figures]], zone: str) -> None:
    """Prints figures, the same ones of the same view once. Each come with the name of what they were counted for,
    which is told where the figures of a view differ; instants are told in `zone`."""
    columns = _columns(found)
    counted_to = [figures["counted_to"] for figures in columns.values()]
    told = [{"to": local(datetime.fromisoformat(str(moment)), zone)} for moment in counted_to]
    same = is_constant(told, "to")
    upto = f"counted to {told[0]['to']}; " if same else ""
    click.echo(wrapped(f"Messages: {upto}the five below the total add up to it, and duplicates are in none of them"))
    rows: list[Row] = [
        {"messages": name} | {label: figures[name] for label, figures in columns.items()} for name in _ROWS
    ]
    if any(figures.get("difference") is not None for figures in columns.values()):
        rows.append({"messages": "differ from what was watched"} | {k: f.get("difference") for k, f in columns.items()})
    if not same:
        rows.append({"messages": "counted to"} | {label: line["to"] for label, line in zip(columns, told, strict=True)})
    print_blocks(rows, word("messages"), [number(label) for label in columns])


def _columns(found: Iterable[tuple[str, Figures]]) -> dict[str, Figures]:
    """Different figures by their heading: the view, with what they were counted for where a view has several."""
    different: dict[str, list[tuple[str, Figures]]] = {}
    for name, figures in found:
        of_view = different.setdefault(str(figures["view"]), [])
        if not any(figures == other for _, other in of_view):
            of_view.append((name, figures))
    return {
        view if len(of_view) == 1 else f"{view} of {name}": figures
        for view, of_view in different.items()
        for name, figures in of_view
    }
