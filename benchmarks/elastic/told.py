"""Comparing the mails that left with the notices that were wanted, and the tables of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import people
from common import measuring
from people import DAY, MONTHS, RESTART, Person, Wanted

OPERATIONS: Final = "operations"
_KINDS: Final = (
    ("less than", "low"),
    ("exceeded", "max"),
    ("% of the monthly limit", "warning"),
    ("warning", "warning"),
    ("max", "max"),
    ("low", "low"),
)
"""How a kind of notice is known by its subject, in this order."""


@dataclass
class Outcome:
    """What one of them mailed: (customer, subject, pass). `attempts` are those at the address that is refused."""

    name: str
    mails: list[tuple[str, str, datetime]] = field(default_factory=list)
    attempts: int = 0
    requests: int = 0
    disabled: int = 0
    _seen: int = 0

    def add(self, mails: Sequence[tuple[str, str]], at: datetime) -> None:
        """Takes in what the mail server has that is new, as mailed at a pass."""
        for address, subject in mails[self._seen :]:
            self.mails.append((address.partition("@")[0], subject, at))
        self._seen = len(mails)


@dataclass
class Judged:
    """The mails of one of them, each judged by the messages alone."""

    right: dict[Wanted, datetime] = field(default_factory=dict)
    untrue: int = 0
    repeated: int = 0

    def count(self, wanted: Sequence[Wanted]) -> str:
        """How many of these notices were sent."""
        return f"{sum(notice in self.right for notice in wanted)} of {len(wanted)}"

    def late(self, wanted: Sequence[Wanted]) -> int:
        """How many of these were sent, but more than a day after they were due."""
        return sum(notice in self.right and self.right[notice] > notice.due + DAY for notice in wanted)


def judged(outcome: Outcome, persons: Sequence[Person], wanted: Sequence[Wanted]) -> Judged:
    """Judges each mail: true of which month, for the first time or again."""
    found, of = Judged(), people.by_id(persons)
    awaited = {(notice.customer, notice.kind, notice.month): notice for notice in wanted}
    for id_, subject, at in outcome.mails:
        if id_ == OPERATIONS:
            continue
        kind = next(kind for words, kind in _KINDS if words in subject)
        month = people.true_of(of[id_], kind, at)
        if month is None:
            found.untrue += 1
        elif (notice := awaited[id_, kind, month]) in found.right:
            found.repeated += 1
        else:
            found.right[notice] = at
    return found


def print_outcomes(persons: Sequence[Person], refused: str, outcomes: Sequence[Outcome]) -> None:
    """Prints who was told what, by situation, and what was told that should not have been."""
    unreachable = refused.partition("@")[0]
    of = people.by_id(persons)
    everything = people.wanted(persons)
    wanted = [notice for notice in everything if notice.customer != unreachable]
    first = min(notice.due for notice in everything if notice.customer == unreachable)
    found = [judged(outcome, persons, everything) for outcome in outcomes]

    def row(title: str, which: Callable[[Wanted], bool]) -> tuple[str, ...]:
        chosen = [notice for notice in wanted if which(notice)]
        return (title, *(one.count(chosen) for one in found))

    def limits(notice: Wanted) -> bool:
        return notice.kind != "low"

    def low(group: str) -> Callable[[Wanted], bool]:
        return lambda notice: notice.kind == "low" and of[notice.customer].group == group

    def crowded(notice: Wanted) -> bool:
        return of[notice.customer].tier == "tier-1" and limits(notice) and notice.month == MONTHS[0]

    def mate(notice: Wanted) -> bool:
        return (
            of[notice.customer].tier == of[unreachable].tier
            and limits(notice)
            and first <= notice.due <= first + 30 * DAY
        )

    def before(notice: Wanted) -> bool:
        return limits(notice) and notice.due < RESTART

    def after(notice: Wanted) -> bool:
        return limits(notice) and notice.month == MONTHS[0] and notice.due >= RESTART

    rows = [
        row("limits in the first month, before the restart", before),
        row("limits in the first month, after the restart", after),
        row("of these two, the tier with 58 over at once", crowded),
        row("limits in the second month", lambda notice: limits(notice) and notice.month == MONTHS[1]),
        row("low: a few messages a month", low("a few messages")),
        row("low: silent from the second month", low("silent from November")),
        row("low: never seen", low("never seen at all")),
        row("others of that tier in the 30 days after the 550", mate),
        row("**all that had to be told**", lambda _: True),
        ("of those told, more than a day late", *(one.late(wanted) for one in found)),
        ("told, but untrue of any month", *(one.untrue for one in found)),
        ("told again in the same month", *(one.repeated for one in found)),
        ("attempts at the address that answers 550", *(outcome.attempts for outcome in outcomes)),
        ("rules switched off by that", *(outcome.disabled for outcome in outcomes)),
        ("requests of all 64 passes", *(f"{outcome.requests:,}" for outcome in outcomes)),
    ]
    measuring.print_table(
        "Who got the right notice, 450 customers, two months, a look a day",
        ("", *(outcome.name for outcome in outcomes)),
        rows,
    )
