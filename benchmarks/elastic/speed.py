"""A later pass, and coming back after `kill -9`: ours against ElastAlert2 2.19.0 on the same server and data.

python benchmarks/elastic/speed.py [--messages N] [--url URL]      (1,500,000 messages in the month; 1 GB of disk)

450 customers, each with a warning and a max, nobody above (which is the cheapest case for grouped rules: each customer
above costs them one more request a pass). Messages arrive at a steady rate, a pass every 15 minutes from day 28 on.
ElastAlert2 as 900 rule files and as twelve grouped rules (`elastalert_rules.py`). Requests are those that the server
itself booked. Wanted: 900 files take 100x the requests and 20x the time; twelve rules more requests and no less time.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Final

import common
import elastalert_rules as rules
import loading
import rival
from books import ELASTALERT
from common import MONTH, measuring
from month import FILTER, Month
from rival import Pass, Rival

DAY: Final = 28
QUARTER: Final = timedelta(minutes=15)
SAMPLE: Final = 100
"""One rule in so many, where coming back whole by steps of 15 minutes is measured: all take an hour."""


def theirs(month: Month, name: str, *, grouped: bool, run_every: str = "minutes: 15", one_in: int = 1) -> Rival:
    """ElastAlert2 in one of its ways, on the same month; not started yet."""
    folder, indices = month.folder / name, f"bench-elastalert-{name}"
    month.stack.enter_context(loading.others(month.client, indices))
    setup = rules.Setup(month.url, month.index, FILTER, run_every, 9, indices)  # nobody is above, so nothing is mailed
    config = rules.write_configuration(folder, setup, rules.Grouped())
    watched = [
        rules.Watched(id_, tier, month.included[tier] * 9 // 10, month.included[tier])
        for id_, tier in month.customers[::one_in]
    ]
    if grouped:
        rules.write_grouped(folder, setup, watched, rules.Grouped(terms_size=1_000))
    else:
        rules.write_files(folder, setup, watched)
    found = rival.elastalert(name, config, month.url, ELASTALERT, month.folder / f"{name}.log")
    month.stack.callback(found.kill)
    return found


def passes(
    month: Month, rivals: list[Rival], at: datetime, rounds: int, make: Callable[[Rival, datetime], Pass]
) -> tuple[datetime, list[list[Pass]]]:
    """So many passes of each, in an order that goes round; each time a quarter of an hour's messages came in."""
    found: dict[str, list[Pass]] = {one.name: [] for one in rivals}
    for number in range(rounds):
        at += QUARTER
        month.until(at)
        for place in range(len(rivals)):
            one = rivals[(place + number) % len(rivals)]
            found[one.name].append(make(one, at))
    return at, list(found.values())


def line(title: str, runs: list[list[Pass]], notes: tuple[str, str, str] = ("", "", "")) -> tuple[str, ...]:
    """A line of the table: seconds and requests of each, and how many times ours the others are."""
    seconds = [statistics.median(one.seconds for one in run) for run in runs]
    requests = [statistics.median(one.requests for one in run) for run in runs]
    cells = [f"{took:.3f} s, {asked:,.0f}{note}" for took, asked, note in zip(seconds, requests, notes, strict=True)]
    ratios = [
        f"{took / seconds[0]:.1f}x, {asked / requests[0]:.1f}x" for took, asked in zip(seconds, requests, strict=True)
    ]
    return (title, *cells, *ratios[1:])


def later(month: Month, rivals: list[Rival], rounds: int) -> tuple[datetime, list[tuple[str, ...]]]:
    """Lines of the table: first and later passes, memory and connections."""
    at = month.until(DAY)
    first = []
    for one in rivals:
        one.start(at)
        first.append([one.one_pass(at)])
    at, found = passes(month, rivals, at, rounds, Rival.one_pass)
    return at, [
        line("the first pass ever", first),
        line(f"a later pass, median of {rounds}", found),
        ("peak MB", *(f"{one.peak_mb}" for one in rivals), "", ""),
        ("connections to the server", *(f"{one.connections}" for one in rivals), "", ""),
    ]


def back(month: Month, rivals: list[Rival], at: datetime, rounds: int) -> list[tuple[str, ...]]:
    """Lines of the table: coming back, from the start of the process to the end of its first pass."""
    at, (ours, files, grouped) = passes(month, rivals, at, rounds, Rival.come_back)
    for one in rivals:
        one.kill()
    start = ("--start", MONTH.isoformat())
    whole = theirs(month, "900-by-days", grouped=False, run_every="days: 1").come_back(at, *start)
    sampled = theirs(month, "900-sample", grouped=False, one_in=SAMPLE).come_back(at, *start)
    steps = f"{sampled.seconds * SAMPLE:,.0f} s, {sampled.requests * SAMPLE:,} (from one rule in {SAMPLE})"
    return [
        line(f"back after kill -9, median of {rounds}", [ours, files, grouped], ("", ", counts lost", "")),
        line("back with the month whole", [ours, [whole], grouped], ("", ", --start, a count a day", "")),
        ("the same, a count for each of its passes", "", steps, "", "", ""),
    ]


def main() -> None:
    """Loads the month up to day 28, lets everybody run, and prints the table."""
    parser = common.arguments(__doc__.splitlines()[0], size=1_500_000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with ExitStack() as stack:
        url, folder = stack.enter_context(common.server(given.url)), stack.enter_context(common.scratch())
        month = Month(stack, url, folder, "speed", given.messages)
        rivals = [
            month.ours(),
            theirs(month, "900-files", grouped=False),
            theirs(month, "twelve-grouped", grouped=True),
        ]
        at, rows = later(month, rivals, given.rounds)
        rows += back(month, rivals, at, given.rounds)
        measuring.print_table(
            f"450 customers on day {DAY} of a month of {given.messages:,} messages: time and requests",
            ("", "tallywatch", "900 rule files", "twelve grouped rules", "900 : ours", "twelve : ours"),
            rows,
        )


if __name__ == "__main__":
    main()
