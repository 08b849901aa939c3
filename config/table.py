"""CSV files of text cells, strictly read, with the place of any cell that is asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from config.documents import Node
from config.errors import ConfigError, Place, Problem
from config.names import did_you_mean


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its cells by column, empty ones left out, and lists split at semicolons."""

    table: Table
    line: int  # 1-based line on which it starts
    values: dict[str, object]

    @property
    def place(self) -> Place:
        """Where the row starts."""
        return Place(self.table.name, self.line, 1)

    def node(self) -> Node:
        """The places of all its cells. Costs a second reading of the row, so it is for problems only."""
        node = Node(self.place)
        for index, column in enumerate(self.table.header):
            place = self.table.cell(self.line, index)
            node.children[column] = Node(place, place)
        return node


class Table:
    """A CSV file with a header: comma, double quotes, one record per row; a quoted cell may hold line breaks.

    Raises:
        ConfigError: when the header names unknown columns, one twice, or lacks the required one.
    """

    def __init__(self, text: str, name: str, columns: Sequence[str], *, required: str, lists: Collection[str]) -> None:
        self.name = name
        self.lists = frozenset(lists)
        self.lines = list(io.StringIO(text, newline=""))  # not splitlines(), which also splits at U+2028
        self.reader = csv.reader(self.lines, strict=True)
        self.header: list[str] = []
        header = self._next()
        if header is None:
            raise ConfigError([Problem(Place(name), "the file is empty", f"begin with the header {','.join(columns)}")])
        self.header = [column.strip() for column in header]
        problems = list(self._header_problems(columns, required))
        if problems:
            raise ConfigError(problems)

    def _header_problems(self, columns: Sequence[str], required: str) -> Iterator[Problem]:
        only = self.header[0] if len(self.header) == 1 else ""
        for separator, word in ((";", "semicolons"), ("\t", "tabs")):
            if separator in only:
                reason = f"the columns are separated by {word}; commas are expected"
                yield Problem(Place(self.name, 1, 1), reason, "save the file as CSV with commas")
                return
        for index, column in enumerate(self.header):
            if column not in columns:
                what = f"unknown column {column!r}" if column else "a column without a name"
                yield Problem(self.cell(1, index), what, did_you_mean(column, columns))
            elif column in self.header[:index]:
                yield Problem(self.cell(1, index), f"the column {column!r} is there twice", "remove one of them")
        if required not in self.header:
            reason = f"the column {required!r} is missing"
            yield Problem(Place(self.name, 1, 1), reason, f"the first line names the columns: {','.join(columns)}")

    def rows(self, problems: list[Problem]) -> Iterator[Row]:
        """Every row; those that cannot be read are appended to `problems`. A broken quote ends the reading."""
        while True:
            line = self.reader.line_num + 1
            try:
                cells = self._next()
            except ConfigError as error:
                problems.extend(error.problems)
                return
            if cells is None:
                return
            if not cells:
                continue  # an empty line
            if len(cells) != len(self.header):
                reason = f"the row has {_count(len(cells))}, and the header {_count(len(self.header))}"
                hint = (
                    "put a cell that holds a comma in double quotes"
                    if len(cells) > len(self.header)
                    else ("write a comma for each empty cell")
                )
                problems.append(Problem(Place(self.name, line, 1), reason, hint))
                continue
            yield Row(self, line, self._values(cells))

    def _values(self, cells: list[str]) -> dict[str, object]:
        values: dict[str, object] = {}
        for column, cell in zip(self.header, cells, strict=True):
            if column in self.lists:
                parts = [part.strip() for part in cell.split(";")]
                values[column] = [part for part in parts if part]
            elif cell and (column == "id" or cell.strip()):
                values[column] = cell if column == "id" else cell.strip()
        return values

    def _next(self) -> list[str] | None:
        line = self.reader.line_num + 1
        try:
            return next(self.reader, None)
        except csv.Error as error:
            reason, hint = _csv_sentence(str(error))
            raise ConfigError([Problem(Place(self.name, line, 1), reason, hint)]) from error

    def cell(self, line: int, index: int) -> Place:
        """Where the cell with this 0-based index stands, in the row that starts on this line."""
        row, column, quoted = line, 1, False
        at_start = True
        for text in self.lines[line - 1 :]:
            for position, character in enumerate(text):
                if index == 0:
                    return Place(self.name, row, position + 1)
                # a quote right after a closing one is a written quote, and the cell goes on
                if character == '"' and (quoted or at_start or text[position - 1 : position] == '"'):
                    quoted = not quoted
                elif character == "," and not quoted:
                    index -= 1
                at_start = character == "," and not quoted
                column = position + 2
            if not quoted:
                break
            row += 1
        return Place(self.name, row, column)


def _count(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"


def _csv_sentence(problem: str) -> tuple[str, str]:
    if "unexpected end" in problem:
        return "a double quote that opens in this row is never closed", "close it, or write it twice inside quotes"
    if "expected after" in problem:
        return "text follows a quoted cell", "write a double quote inside quotes twice"
    if "field larger" in problem:
        return "a cell is larger than 128 KB", "look for a double quote that is never closed"
    return f"the row cannot be read: {problem}", "write cells with commas, and quotes around text that holds one"
