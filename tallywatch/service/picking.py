"""The jobs that keep embedded stores: logs are picked up as they appear and grow, and small parts become one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from config.load import Loaded
from config.models import EmbeddedStore
from ledger.database import Database
from logviews.fields import used_fields
from tallywatch.service import news
from tallywatch.service.jobs import Job, every

if TYPE_CHECKING:
    from logviews.intake.follow import PickupProblem

PICK_UP_EVERY: Final = timedelta(seconds=10)
MERGE_EVERY: Final = timedelta(minutes=10)
CATCH_UP_SECONDS: Final = 60.0
"""How long one turn goes on looking while something is left to be read; the rest is for the next."""

log = structlog.get_logger("tallywatch.service.picking")


def picking(loaded: Loaded, database: Database) -> Iterator[Job]:
    """One job per store that reads files."""
    for name, store in loaded.config.embedded_stores.items():
        if store.read:
            yield _pick_up(loaded, database, name, store)


def merging(loaded: Loaded, database: Database) -> Iterator[Job]:
    """One job per embedded store."""
    for name, store in loaded.config.embedded_stores.items():
        yield _merge(database, name, store)


def _pick_up(loaded: Loaded, database: Database, name: str, store: EmbeddedStore) -> Job:
    from logviews.intake.follow import Pickup  # noqa: PLC0415 (slow; only who has such a store needs DuckDB)

    rule, first, following = every(PICK_UP_EVERY)
    pickup = Pickup(name, store, used_fields(loaded.config, name), database)

    def run(at: datetime) -> str | None:
        # what comes next in the tick is judging, and what lies here unread would look like little usage
        began = time.monotonic()
        while look(at):
            if time.monotonic() - began > CATCH_UP_SECONDS:
                return "more is there than could be read by now; low counts wait until it is"
        return None

    def look(at: datetime) -> bool:
        report = pickup.run(at)
        for taken in report.taken:
            log.info(
                "picked up",
                store=name,
                file=taken.path,
                new=taken.new,
                duplicates=taken.duplicates,
                conflicts=taken.conflicts,
            )
        for problem in report.problems:
            if not problem.told_before:
                log.warning("not picked up", store=name, file=problem.path, reason=problem.sentence)
            _tell(loaded, database, name, problem, at)
        return report.more

    return Job(f"pick up {name}", rule, first, following, run)


def _tell(loaded: Loaded, database: Database, store: str, problem: PickupProblem, at: datetime) -> None:
    """Tells operations, once: also when the process died between finding the problem and telling it."""
    if problem.told_before and problem.since < at - MERGE_EVERY:
        return
    news.tell(
        database,
        loaded,
        about=f"store {store}",
        affair=f"{problem.path}|{problem.sentence}|{problem.since.isoformat()}",
        headline=f"a file of store {store} cannot be picked up",
        paragraphs=[
            problem.sentence,
            "The other files go on. The file is looked at again as soon as it changes: mend it, replace it or remove "
            f"it; or take it in without its bad lines by: tallywatch ingest {store} FILE --skip-bad BAD",
        ],
        at=at,
    )


def _merge(database: Database, name: str, store: EmbeddedStore) -> Job:
    from logviews.embedded.merge import merge_small  # noqa: PLC0415 (as above)

    rule, first, following = every(MERGE_EVERY)

    def run(at: datetime) -> str | None:
        report = merge_small(name, store, database, at)
        if report.merged or report.removed:
            log.info("merged", store=name, parts=report.merged, into=report.made, files_removed=report.removed)
        return None

    return Job(f"merge {name}", rule, first, following, run)
