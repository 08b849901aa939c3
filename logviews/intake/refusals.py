"""Bad lines: a file is refused for the first, with its place and a way out; or they are set apart from the others."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO, Final

from logviews.intake import strict
from logviews.intake.files import IngestError, LogFile
from logviews.intake.strict import LineRules
from logviews.messages import BadLine

_ANOTHER_FORMAT: Final = (
    "JSON lines, CSV or Parquet expected. If this is CSV, say --as csv; a log of plain text has to be written as JSON "
    "by the program it comes from, or converted"
)


def sift(file: LogFile, lines: Path, passed: int, rules: LineRules, good: Path, refused: Path | None) -> int:
    """Reads lines strictly; writes the good ones to `good`, and adds the bad ones, as they are, to `refused`.

    Args:
        file: what the lines were made of, for the sentence.
        lines: JSON lines.
        passed: how many lines of the file come before them.
        rules: what a line must be.
        good: where good lines go.
        refused: where bad lines go; None to refuse the file for them.

    Returns:
        How many were bad.

    Raises:
        IngestError: for the first bad line, with its place, when there is no `refused`.
    """
    skipped, first = 0, passed == 0
    with lines.open("rb") as stream, good.open("wb") as out, refused.open("ab") if refused else nullcontext() as apart:
        for line in strict.scan(stream, rules):
            if line.problem is None:
                out.write(line.content.strip() + b"\n")  # neither a mark nor blanks, which DuckDB may refuse
            elif apart is None:
                raise IngestError(_sentence(file, passed + line.number, line.content, line.problem, first=first))
            else:
                _copy_span(lines, line.start, line.end, apart)
                skipped += 1
            first = False
    return skipped


def _sentence(file: LogFile, number: int, content: bytes, problem: BadLine, *, first: bool) -> str:
    match file.format:
        case "jsonl":
            place = f"{file.name}:{number}:{problem.column}"
            if first and problem.reason.startswith("not JSON:") and not content.lstrip().startswith(b"{"):
                return f"{file.name}:{number}:1: not JSON; {_ANOTHER_FORMAT}"
        case "csv":  # the column would be that of the line of JSON that was made of the row
            place = f"{file.name}:{number}"
        case "parquet":
            place = f"{file.name}: row {number}"
    return f"{place}: {problem.reason}"


def _copy_span(path: Path, start: int, end: int, out: BinaryIO) -> None:
    """Copies a stretch of a file, byte for byte, and ends it with a line end if it has none."""
    last = b""
    with path.open("rb") as stream:
        stream.seek(start)
        while start < end and (chunk := stream.read(min(1 << 20, end - start))):
            out.write(chunk)
            start, last = start + len(chunk), chunk[-1:]
    if last != b"\n":
        out.write(b"\n")
