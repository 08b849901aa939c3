"""The jobs that evaluate monitors: judged by their schedules, decided and written as `evaluate --commit` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime

import structlog

from config.load import Loaded
from config.models import Monitor
from ledger import due, schedules, standings
from ledger.database import Database
from monitors.commit import commit
from tallywatch import compose
from tallywatch.service.jobs import Job

log = structlog.get_logger("tallywatch.service.evaluating")


def evaluating(loaded: Loaded, database: Database, decided: Callable[[], None]) -> Iterator[Job]:
    """One job per monitor. `decided` is called when there are notices to deliver."""
    zone = loaded.config.settings.zone
    for name, monitor in loaded.config.monitors.items():
        yield _job(loaded, database, name, monitor, zone, decided)


def _job(
    loaded: Loaded, database: Database, name: str, monitor: Monitor, zone: str, decided: Callable[[], None]
) -> Job:
    schedule = monitor.schedule
    store = loaded.config.views[monitor.view].store

    def run(at: datetime) -> str | None:
        began = time.monotonic()
        with database.connect() as connection:
            through = standings.judged_through(connection, name)
            pick_up = due.load(connection).get(f"pick up {store}")
        behind = pick_up is not None and pick_up.failures > 0
        evaluated = compose.evaluator(loaded, database).evaluate(name, at, through, behind=behind)
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
        return evaluated.problem

    return Job(
        f"evaluate {name}",
        f"{schedule!r} in {zone}",
        lambda at: schedules.first_due(schedule, at, zone),
        lambda at: schedules.next_due(schedule, at, zone),
        run,
        tells_itself=True,
    )
