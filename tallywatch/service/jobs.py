"""Jobs: one thing that the service does again and again, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_RETRY: Final = timedelta(minutes=1)
_MOST_DOUBLINGS: Final = 10


@dataclass(frozen=True, slots=True)
class Again:
    """Nothing failed, and not all is done: the job wants its next turn after this time, unless it is due earlier."""

    after: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do: `first` says when it is due if it never ran, `following` when after a run at that instant.

    `rule` is the schedule as text: when that changes, `first` is asked anew. `run` gives None when all went well, else
    a sentence; what it raises is told in the same way, and stops no other job. Jobs that follow each other in a tick
    and are `together` run at one instant.
    """

    name: str
    rule: str
    first: Callable[[datetime], datetime]
    following: Callable[[datetime], datetime]
    run: Callable[[datetime], str | Again | None]
    tells_itself: bool = False  # operations hear of its failures by other ways
    together: bool = False


def every(length: timedelta) -> tuple[str, Callable[[datetime], datetime], Callable[[datetime], datetime]]:
    """The rule of a job that is due at once and then at each whole multiple of a length: its text, first, following."""
    return f"every {length}", lambda at: at, lambda at: _EPOCH + ((at - _EPOCH) // length + 1) * length


def retry_at(at: datetime, failures: int, regular: datetime) -> datetime:
    """When something that failed for the `failures`th time in a row is tried again: after 1, 2, 4 … minutes, and never
    later than it would be due anyway."""
    return min(regular, at + _FIRST_RETRY * (1 << min(failures - 1, _MOST_DOUBLINGS)))
