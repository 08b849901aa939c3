"""CSV files with a header, as JSON lines.

A row ends with a line end. The last one of a file that may still grow and has none yet is left for the next time,
because nobody can tell half a cell from a whole one.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from config.models import FieldType, Store
from logviews.intake.files import Beginning, IngestError, LogFile, opened
from logviews.messages import MAX_LINE_BYTES

_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Rows:
    """What was read of a CSV file. `refused` rows did not fit the header; line `unfinished` was left, None if none."""

    read: Beginning
    lines: int
    refused: int
    unfinished: int | None


def csv_to_lines(
    file: LogFile,
    target: Path,
    store: Store,
    after: int = 0,
    refused: Path | None = None,
    skipped: int = 0,
) -> Rows:
    """Writes a CSV file with a header as JSON lines, each on the line of the same number as its row starts on.

    The first `after` lines are passed over, and so is their number in the target. What is said to be read is exactly
    what was, because the file may be growing.

    A JSON number is a number, empty is missing, all else is text; customer and id are always text, and a declared type
    decides where there is one. A column `a.b` becomes a nested field. Costs some 5 µs a row.

    Args:
        file: the file.
        target: where the JSON lines go.
        store: whose fields and types say what a cell is.
        after: how many lines were read before.
        refused: where rows go, as they are, that have more or fewer cells than the header; they refuse the file else.
        skipped: how many lines are not there, of a log that lies in `file` with its header and its last rows only; they
            count in sentences, not in the target.

    Raises:
        IngestError: for a row that does not fit the header, or is no CSV, with its line.
    """
    csv.field_size_limit(MAX_LINE_BYTES)
    start, refusals = 1, 0
    with opened(file) as stream, target.open("w", encoding="utf-8", newline="") as out:
        source = _Source(file, stream, skipped)
        lines = source.lines()
        try:
            delimiter, header = _header(file.name, next(lines, ""))
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            cells = [_CellType(name, store) for name in header]
            start = 2
            out.write("\n" if after < 1 else "")
            source.row_ended()
            for row in reader:
                following, written = reader.line_num + 2, source.row_ended()
                if start > after:
                    fits = not row or len(row) == len(header)
                    if not fits:
                        _refuse(f"{file.name}:{start + skipped}: {_misfit(row, header)}", written, refused)
                        refusals += 1
                    # an empty line for an empty row and for each further line of a row
                    out.write((_message(cells, row) if row and fits else "") + "\n" * (following - start))
                start = following
        except csv.Error as error:
            raise IngestError(f"{file.name}:{start + skipped}: not CSV: {error}") from error
    return Rows(Beginning(source.size, source.digest.hexdigest()), start - 1, refusals, source.unfinished)


class _Source:
    """The lines of a file as the reader pulls them, and the bytes of those that made whole rows."""

    def __init__(self, file: LogFile, stream: BinaryIO, skipped: int) -> None:
        self._file, self._stream, self._skipped = file, stream, skipped
        self._pulled: list[bytes] = []
        self.size, self.digest = 0, hashlib.sha256()
        self.unfinished: int | None = None

    def lines(self) -> Iterator[str]:
        """The lines as text, without the last one when it is unfinished."""
        number = 0
        while line := self._stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise IngestError(
                    f"{self._place(number)}: the line is longer than {MAX_LINE_BYTES // 1024 // 1024} MiB"
                )
            if number > 1 and self._file.may_grow and not line.endswith(b"\n"):
                self.unfinished = number
                return
            self._pulled.append(line)
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                column = len(line[: error.start].decode()) + 1
                raise IngestError(f"{self._place(number)}:{column}: not UTF-8 text") from error

    def _place(self, number: int) -> str:
        return f"{self._file.name}:{number + self._skipped if number > 1 else number}"

    def row_ended(self) -> bytes:
        """Notes that the lines pulled so far made whole rows, and gives those of the last row, byte for byte."""
        row = b"".join(self._pulled)
        self._pulled.clear()
        self.size += len(row)
        self.digest.update(row)
        return row


def _misfit(row: list[str], header: list[str]) -> str:
    return f"{len(row)} cell{'s' if len(row) != 1 else ''}, but the header has {len(header)}"


def _refuse(sentence: str, row: bytes, refused: Path | None) -> None:
    if refused is None:
        raise IngestError(sentence)
    with refused.open("ab") as out:
        out.write(row if row.endswith(b"\n") else row + b"\n")


def _header(path: str, line: str) -> tuple[str, list[str]]:
    """The delimiter and the names of the columns."""
    delimiter = max(",;\t", key=line.count)
    header = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    if not header:
        raise IngestError(f"{path}:1: the file has no header row with the names of its columns")
    for number, name in enumerate(header):
        if not name:
            raise IngestError(f"{path}:1: column {number + 1} has no name")
        if name in header[:number]:
            raise IngestError(f"{path}:1: two columns are named {name!r}")
        if any(other.startswith(name + ".") for other in header):
            raise IngestError(f"{path}:1: {name!r} cannot be a column beside columns inside it ({name}.…)")
    return delimiter, header


class _CellType:
    """How the cells of one column are read."""

    def __init__(self, name: str, store: Store) -> None:
        self.path = name.split(".")
        declared = store.types.get(name)
        if name in (store.fields.customer, store.fields.id) or declared in ("string", "time", "ip"):
            self.type: FieldType | None = "string"
        else:
            self.type = declared

    def json(self, cell: str) -> str:
        """The cell as JSON text; a number stays as it was written."""
        if self.type == "boolean" and cell in ("true", "false"):
            return cell
        if self.type != "string" and _NUMBER.fullmatch(cell):
            return cell
        return json.dumps(cell, ensure_ascii=False)


_Tree = dict[str, "str | _Tree"]


def _message(cells: list[_CellType], row: list[str]) -> str:
    tree: _Tree = {}
    for cell, written in zip(cells, row, strict=True):
        if written:
            node = tree
            for segment in cell.path[:-1]:
                node = cast("_Tree", node.setdefault(segment, {}))
            node[cell.path[-1]] = cell.json(written)
    return _json(tree)


def _json(tree: _Tree) -> str:
    members = (
        f"{json.dumps(key, ensure_ascii=False)}:{node if isinstance(node, str) else _json(node)}"
        for key, node in tree.items()
    )
    return "{" + ",".join(members) + "}"
