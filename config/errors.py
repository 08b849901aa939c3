"""What can go wrong, as sentences: the root of every exception, and the located problems of a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class TallywatchError(Exception):
    """Root of all errors that the program raises on purpose.

    Its text is a sentence for whoever has to act on it: what is wrong, where, and a way out. `exit_status` is the
    command line's answer: 1 bad news, 2 wrong usage or configuration, 3 something outside failed.
    """

    exit_status = 3


class UsageError(TallywatchError):
    """The command was called in a way that cannot work; the caller can mend it."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written: a file with 1-based line and column, or the name of an environment variable."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a configuration: where, why, and what was probably meant."""

    place: Place
    reason: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(TallywatchError):
    """A configuration that cannot be used, with every problem found, in the order of the files."""

    exit_status = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
