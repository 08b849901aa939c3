"""Bad lines: a file is refused for the first, with its place and a way out; or they are set apart from the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from logviews.intake import strict
from logviews.intake.files import IngestError, LogFile
from logviews.intake.staging import copy_durably
from logviews.intake.strict import Rules, ScannedLine
from logviews.messages import BadLine

_ANOTHER_FORMAT: Final = (
    "JSON lines, CSV or Parquet expected. If this is CSV, say --as csv; a log of plain text has to be written as JSON "
    "by the program it comes from, or converted"
)


@dataclass(slots=True)
class SetApart:
    """Bad lines that are set apart: kept in `staged` while their file is read, then written to `target`."""

    staged: Path
    target: Path
    lines: int = 0

    def add(self, lines: Path, start: int, end: int) -> None:
        """Adds a stretch of a file, byte for byte, as one bad line; it gets a line end if it has none."""
        last = b""
        with lines.open("rb") as stream, self.staged.open("ab") as out:
            stream.seek(start)
            while start < end and (chunk := stream.read(min(1 << 20, end - start))):
                out.write(chunk)
                start, last = start + len(chunk), chunk[-1:]
            if last != b"\n":
                out.write(b"\n")
        self.lines += 1

    def keep(self) -> None:
        """Writes them where they were asked for.

        Raises:
            IngestPlaceError: when they cannot be written there.
        """
        if self.lines:
            copy_durably(self.staged, self.target)


def sift(file: LogFile, lines: Path, passed: int, rules: Rules, good: Path, apart: SetApart | None) -> None:
    """Reads lines strictly; writes the good ones to `good`, and sets the bad ones, as they are, apart.

    Raises:
        IngestError: for the first bad line, with its place, when they are not set apart.
    """
    with good.open("wb") as out:
        for line in good_lines(file, lines, passed, rules, apart):
            out.write(line.content.strip() + b"\n")  # neither a mark nor blanks, which DuckDB may refuse


def good_lines(file: LogFile, lines: Path, passed: int, rules: Rules, apart: SetApart | None) -> Iterator[ScannedLine]:
    """Reads lines strictly; gives the good ones, and sets the bad ones, as they are, apart.

    Args:
        file: what the lines were made of, for the sentence.
        lines: JSON lines.
        passed: how many lines of the file come before them.
        rules: what a line must be.
        apart: where bad lines go; None to refuse the file for them.

    Raises:
        IngestError: for the first bad line, with its place, when they are not set apart.
    """
    first = passed == 0
    with lines.open("rb") as stream:
        for line in strict.scan(stream, rules):
            if line.problem is None:
                yield line
            elif apart is None:
                raise IngestError(_sentence(file, passed + line.number, line.content, line.problem, first=first))
            else:
                apart.add(lines, line.start, line.end)
            first = False


def _sentence(file: LogFile, number: int, content: bytes, problem: BadLine, *, first: bool) -> str:
    if file.format == "jsonl":
        if first and problem.reason.startswith("not JSON:") and not content.lstrip().startswith(b"{"):
            return f"{file.name}:{number}:1: not JSON; {_ANOTHER_FORMAT}"
        return f"{place(file, number)}:{problem.column}: {problem.reason}"
    # the column would be that of the line of JSON that was made of the row
    return f"{place(file, number)}: {problem.reason}"


def place(file: LogFile, number: int) -> str:
    """Where the line of that number stands, counted from 1."""
    return f"{file.name}: row {number}" if file.format == "parquet" else f"{file.name}:{number}"
