"""Tables for people: as wide as what they hold, folded only where a terminal is narrower."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, Literal

import click

Row = Mapping[str, object]
GAP: Final = "  "
PAGE: Final = 80
"""How wide a table may be before it is laid out in another way, where no terminal says more."""
_LEAST: Final = 6  # a column is folded no narrower than this


@dataclass(frozen=True, slots=True)
class Column:
    """A column: the key of its cells, its heading, and whether they are numbers or words.

    Numbers stand to the right with their digits grouped, also those that are text because they have decimals. Words
    stay as they are, because an id such as 00123 is one. Of a column without a kind the cells decide, and texts of
    digits are not grouped. One that is `optional` is left out when all of it is empty.
    """

    key: str
    heading: str
    kind: Literal["number", "word"] | None = None
    optional: bool = False


def number(key: str, heading: str | None = None, *, optional: bool = False) -> Column:
    """A column of numbers, headed by its key unless something else is said."""
    return Column(key, key if heading is None else heading, "number", optional)


def word(key: str, heading: str | None = None, *, optional: bool = False) -> Column:
    """A column of words, headed by its key unless something else is said."""
    return Column(key, key if heading is None else heading, "word", optional)


def print_table(rows: Iterable[Row], columns: Sequence[Column]) -> None:
    """Prints a heading, a line and the rows. On a terminal that is too narrow, the widest cells are folded."""
    for line in _lines(list(rows), columns, _terminal()):
        click.echo(line)


def print_blocks(rows: Sequence[Row], head: Column, columns: Sequence[Column]) -> None:
    """Prints a table with as many of its columns side by side as fit, and the others below; `head` begins each."""
    for number_, chosen in enumerate(blocks(rows, head, columns, page())):
        if number_:
            click.echo()
        print_table(rows, (head, *chosen))


def blocks(rows: Sequence[Row], head: Column, columns: Sequence[Column], width: int) -> list[list[Column]]:
    """The columns in groups, each of which fits into the width beside `head`; at least one in a group."""
    left = width - _width(rows, head) - 1
    found: list[list[Column]] = []
    room = 0
    for column in columns:
        needed = len(GAP) + _width(rows, column)
        if not found or needed > room:
            found.append([])
            room = left
        found[-1].append(column)
        room -= needed
    return found


def page() -> int:
    """The width to lay a table out for: the terminal's, or of a page where there is none."""
    import shutil

    return shutil.get_terminal_size((PAGE, 24)).columns


def grouped(value: object) -> str:
    """A number with its digits grouped; decimals stay as they are written, and nothing passes through a float."""
    if value is None:
        return ""
    text = str(value)
    whole, point, decimals = text.partition(".")
    sign = "-" if whole.startswith("-") else ""
    digits = whole.removeprefix("-")
    return f"{sign}{int(digits):,}{point}{decimals}" if digits.isascii() and digits.isdigit() else text


def wrapped(text: str) -> str:
    """A sentence broken between words where a terminal is narrower; elsewhere as it is, for programs that search it."""
    width = _terminal()
    if width is None:
        return text
    import textwrap

    return textwrap.fill(text, max(20, width - 1), subsequent_indent="  ", break_on_hyphens=False)


def is_constant(rows: Sequence[Row], key: str) -> bool:
    """Whether all rows, and there are some, say the same there."""
    return len({row.get(key) for row in rows}) == 1


def _lines(rows: Sequence[Row], columns: Sequence[Column], width: int | None) -> list[str]:
    shown = [
        column
        for column in columns
        if not column.optional or any(row.get(column.key) not in (None, "") for row in rows)
    ]
    right = [_is_right(rows, column) for column in shown]
    cells = [[_text(row.get(column.key), column.kind) for column in shown] for row in rows]
    widths = [
        max([_cells(column.heading), *(_cells(line[index]) for line in cells)]) for index, column in enumerate(shown)
    ]
    rule = 1 + sum(widths) + len(GAP) * (len(shown) - 1)
    if width is not None and rule > width:
        widths = _folded_widths(widths, width - 1 - len(GAP) * (len(shown) - 1), right)
        rule = 1 + sum(widths) + len(GAP) * (len(shown) - 1)
    printed = _line([column.heading for column in shown], widths, right)
    printed.append(" " + "─" * (rule - 1))
    for line in cells:
        printed += _line(line, widths, right)
    return printed


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    """One row, on more lines than one when a cell is wider than its column."""
    pieces = [
        [cell] if _cells(cell) <= width else _folded(cell, width) for cell, width in zip(cells, widths, strict=True)
    ]
    lines = []
    for parts in zip_longest(*pieces, fillvalue=""):
        padded = []
        for part, width, to_the_right in zip(parts, widths, right, strict=True):
            blanks = " " * (width - _cells(part))
            padded.append(blanks + part if to_the_right else part + blanks)
        lines.append((" " + GAP.join(padded)).rstrip())
    return lines


def _folded(text: str, width: int) -> list[str]:
    """The text in pieces of a width: between words, where it has any, and within a word that is longer."""
    if text.isascii():
        import textwrap

        return textwrap.wrap(text, width, break_on_hyphens=False)
    from rich.cells import chop_cells

    return chop_cells(text, width)


def _folded_widths(widths: Sequence[int], room: int, right: Sequence[bool]) -> list[int]:
    """The widths made to fit: the widest column of words gives way first, numbers only when no word can."""
    found = list(widths)
    while sum(found) > room:
        words = [index for index, width in enumerate(found) if width > _LEAST and not right[index]]
        able = words or [index for index, width in enumerate(found) if width > 1]
        if not able:
            break
        found[max(able, key=found.__getitem__)] -= 1
    return found


def _width(rows: Sequence[Row], column: Column) -> int:
    return max([_cells(column.heading), *(_cells(_text(row.get(column.key), column.kind)) for row in rows)])


def _terminal() -> int | None:
    """The terminal's width; None when the table goes elsewhere, where lines are not folded to a made-up width."""
    return page() if sys.stdout.isatty() else None


def _is_right(rows: Sequence[Row], column: Column) -> bool:
    if column.kind is not None:
        return column.kind == "number"
    return bool(rows) and all(_is_number(row.get(column.key)) for row in rows)


def _is_number(value: object) -> bool:
    if value is None or isinstance(value, int):
        return not isinstance(value, bool)
    return isinstance(value, str) and value.lstrip("-").replace(".", "", 1).isdigit()


def _text(value: object, kind: Literal["number", "word"] | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if kind == "number" or (kind is None and isinstance(value, int)):
        return grouped(value)
    # control characters of a hostile id must not reach the terminal
    return "".join(character if character.isprintable() else "\ufffd" for character in str(value))


def _cells(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
