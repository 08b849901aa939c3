"""The jobs that evaluate monitors: judged by their schedules, decided and written as `evaluate --commit` does.

What was used is read from the tallies, which are brought up to the evaluation's instant just before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

import structlog

from config.load import Loaded
from config.models import Monitor
from ledger import due, schedules, standings
from ledger.database import Database
from monitors.commit import commit
from monitors.evaluate import Evaluator
from tallywatch.service.jobs import Again, Job
from tallywatch.service.tallying import Tallying

ASK_AGAIN_AFTER: Final = timedelta(minutes=1)
"""How long a monitor waits whose periods are still being counted, before it is evaluated again."""

log = structlog.get_logger("tallywatch.service.evaluating")


def evaluating(loaded: Loaded, database: Database, tallying: Tallying, decided: Callable[[], None]) -> Iterator[Job]:
    """One job per monitor. `decided` is called when there are notices to deliver."""
    for name, monitor in loaded.config.monitors.items():
        yield _job(loaded, database, tallying, name, monitor, decided)


def _job(
    loaded: Loaded, database: Database, tallying: Tallying, name: str, monitor: Monitor, decided: Callable[[], None]
) -> Job:
    schedule, zone = monitor.schedule, loaded.config.settings.zone
    store = loaded.config.views[monitor.view].store

    def run(at: datetime) -> str | Again | None:
        began = time.monotonic()
        with database.connect() as connection:
            through = standings.judged_through(connection, name)
            known = standings.load(connection, name).values()
            pick_up = due.load(connection).get(f"pick up {store}")
        behind = pick_up is not None and pick_up.failures > 0
        evaluator = Evaluator(loaded.config, loaded.roster, lambda _: tallying.source(name, at, through))
        breached = {standing.subject for standing in known if standing.breached}
        with tallying.at_once(name):
            evaluated = evaluator.evaluate(name, at, through, behind=behind, breached=breached)
        decision = commit(database, evaluated, loaded.roster)
        if decision.notices:
            decided()
        log.info(
            "evaluated",
            monitor=name,
            at=at.isoformat(),
            outcome=decision.evaluation.outcome,
            subjects=len(evaluated.verdicts),
            notices=len(decision.notices),
            transitions=len(decision.transitions),
            seconds=round(time.monotonic() - began, 3),
        )
        return Again(ASK_AGAIN_AFTER) if evaluated.backfilling is not None else evaluated.problem

    return Job(
        f"evaluate {name}",
        f"{schedule!r} in {zone}",
        lambda at: schedules.first_due(schedule, at, zone),
        lambda at: schedules.next_due(schedule, at, zone),
        run,
        tells_itself=True,
        together=True,
    )
