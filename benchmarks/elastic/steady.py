"""What one evaluation costs: on day 28 against day 2, and of 100,000 customers against 10,000, in Elasticsearch.

python benchmarks/elastic/steady.py [--messages N] [--many N] [--url URL]

Messages arrive at a steady rate, and a pass of the service follows each quarter of an hour. Wanted: day 28 at most 1.2x
of day 2 in time and requests; 100,000 customers at most 12x of 10,000, with ten times their messages, under 600 MB.
For the embedded store: `benchmarks/refresh.py`.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import common
from common import measuring
from month import Month
from rival import Pass, Rival

from config.load import load
from ledger.database import open_database
from tallywatch import compose

QUARTER: Final = timedelta(minutes=15)
ROUNDS: Final = 12


@dataclass
class Installation:
    """A month, and the service at it, which has counted all up to a day."""

    month: Month
    one: Rival
    at: datetime
    first: Pass
    first_mb: int
    passes: list[Pass] = field(default_factory=list)

    def go_on(self) -> None:
        """A quarter of an hour passes."""
        self.at = self.month.until(self.at + QUARTER)
        self.passes.append(self.one.one_pass(self.at))

    @property
    def seconds(self) -> float:
        """The median of the later passes."""
        return statistics.median(one.seconds for one in self.passes)

    @property
    def requests(self) -> float:
        """The same."""
        return statistics.median(one.requests for one in self.passes)


def installation(month: Month, day: float) -> Installation:
    """Everything up to a day, counted; then the service begins another life, so that its memory is that of passes."""
    at = month.until(day)
    one = month.ours()
    one.start(at)
    first = one.one_pass(at)
    peak = one.peak_mb
    one.kill()
    one.start(at)
    return Installation(month, one, at, first, peak)


def in_turn(installations: Sequence[Installation]) -> None:
    """Their passes, so that a machine that slows down slows all of them. The first of a life is not measured."""
    for number in range(ROUNDS + 1):
        for one in installations:
            one.go_on()
            if number == 0:
                one.passes.clear()


def days(stack: ExitStack, url: str, folder: Path, number: int) -> None:
    """450 customers on day 28 against day 2."""
    early, late = (installation(Month(stack, url, folder, f"day-{day}", number), day) for day in (2, 28))
    in_turn((early, late))
    rows = [
        (f"day {day}", f"{one.seconds:.3f}", f"{one.seconds / early.seconds:.2f}x", f"{one.requests:.0f}",
         f"{one.requests / early.requests:.2f}x", one.one.peak_mb)
        for day, one in ((2, early), (28, late))
    ]  # fmt: skip
    measuring.print_table(
        f"A pass of 450 customers, {number:,} messages a month, medians of {ROUNDS}",
        ("", "seconds", "ratio", "requests", "ratio", "peak MB"),
        rows,
    )


def crowds(stack: ExitStack, url: str, folder: Path, number: int) -> None:
    """100,000 customers against 10,000 with a tenth of the messages; some in a hundred are above a threshold."""
    found = [
        installation(Month(stack, url, folder, f"crowd-{size}", number * size // 100_000, size, share=0.5), 28)
        for size in (10_000, 100_000)
    ]
    in_turn(found)
    fewer, more = found
    whole = [measuring.measure(lambda one=one: _from_the_logs(one)) for one in found]
    rows = [
        ("a pass", f"{fewer.seconds:.2f}", f"{more.seconds:.2f}", f"{more.seconds / fewer.seconds:.1f}x",
         f"{more.one.peak_mb}"),
        ("its requests", f"{fewer.requests:.0f}", f"{more.requests:.0f}", f"{more.requests / fewer.requests:.1f}x", ""),
        ("the first pass ever, which counts the month", f"{fewer.first.seconds:.2f}", f"{more.first.seconds:.2f}",
         f"{more.first.seconds / fewer.first.seconds:.1f}x", f"{more.first_mb}"),
        ("evaluated from the logs alone", f"{whole[0].median:.2f}", f"{whole[1].median:.2f}",
         f"{whole[1].median / whole[0].median:.1f}x", f"{whole[1].peak_mb}"),
    ]  # fmt: skip
    measuring.print_table(
        f"100,000 customers with {number:,} messages a month against 10,000 with a tenth, day 28, medians of {ROUNDS}",
        ("", "10,000, s", "100,000, s", "ratio", "peak MB of 100,000"),
        rows,
    )


def _from_the_logs(one: Installation) -> int:
    """What `evaluate --at` does."""
    loaded = load(one.month.folder / "ours" / "tallywatch.yaml", {})
    database = open_database(loaded.config.settings.database, simulation=False, now=one.at)
    found = compose.evaluator(loaded, database).evaluate("limit", one.at)
    assert found.problem is None, found.problem
    return len(found.verdicts)


def main() -> None:
    """Both tables."""
    parser = common.arguments(__doc__.splitlines()[0], size=1_500_000)
    parser.add_argument("--many", type=int, default=2_000_000, help="messages of the 100,000 (2,000,000)")
    given = parser.parse_args()
    with common.server(given.url) as url, common.scratch() as folder:
        if given.messages:
            with ExitStack() as stack:
                days(stack, url, folder, given.messages)
        if given.many:
            with ExitStack() as stack:
                crowds(stack, url, folder, given.many)


if __name__ == "__main__":
    main()
