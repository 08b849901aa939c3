"""The service itself: a tick that works through what is due, and deliveries. Threads and signals are `run`'s affair.

Everything it knows is in the ledger, so it may die at any instruction and go on where it was: an evaluation that was
not committed is made again, one that was committed decides nothing new, and what was due meanwhile is done once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from config.errors import TallywatchError, UsageError
from config.load import Loaded, load
from ledger import due
from ledger.database import Database
from ledger.due import Due
from ledger.lease import Lease
from notifiers.channels import Channels
from notifiers.delivery import Summary, deliver_due
from tallywatch.connections import CONNECTIONS
from tallywatch.service import news
from tallywatch.service.closing import closing, months_to_write, writing
from tallywatch.service.evaluating import evaluating
from tallywatch.service.heartbeat import beating
from tallywatch.service.jobs import Again, Job, retry_at
from tallywatch.service.picking import merging, picking
from tallywatch.service.tallying import Tallying
from tallywatch.service.watch import Watch

Clock = Callable[[], datetime]
TELL_AFTER: Final = 3
"""So many failures in a row of one job are told to operations."""

log = structlog.get_logger("tallywatch.service")


class RestartNeededError(UsageError):
    """A change of the configuration that a running service cannot take over."""


class Service:
    """One installation at work. `tick` and `deliver` may be called from different threads, each from one at a time."""

    def __init__(self, config_path: Path, loaded: Loaded, database: Database, lease: Lease, clock: Clock) -> None:
        self.database, self.clock = database, clock
        self.loaded = loaded
        self.stopping = threading.Event()
        self.something_to_deliver = threading.Event()
        self._config_path, self._lease = config_path, lease
        self._watch = Watch(loaded.files)
        self._channels = Channels()
        self._reload_asked = threading.Event()
        self._tallying, self._jobs = self._all_jobs(loaded)

    def ask_for_reload(self) -> None:
        """Lets the next tick read the configuration again, changed or not."""
        self._reload_asked.set()

    def tick(self) -> None:
        """Does what is due, one thing after another, and gives up only what fails. Reloads the configuration first.

        Raises:
            LedgerError: when the ledger cannot be read or written, or the lease is lost.
        """
        self._lease.check()
        self._reload_if_asked()
        self._tallying.begin_tick()
        before: tuple[Job, datetime] | None = None
        for name in self._due_now():
            if self.stopping.is_set():
                return
            job = self._jobs[name]
            # what is evaluated in one go is evaluated as of one instant, so that monitors of one filter count it once
            shared = before is not None and before[0].together and job.together
            at = before[1] if before is not None and shared else self.clock()
            self._do(job, at)
            before = job, at

    def deliver(self) -> Summary:
        """Lets leave what is due in the outbox. What fails waits for its next turn.

        Raises:
            LedgerError: when the ledger cannot be read or written.
        """
        self.something_to_deliver.clear()
        settings = self.loaded.config.settings
        found = deliver_due(
            self.database, settings, self.clock, channel=self._channels.of(settings.email), stopping=self.stopping
        )
        if found.delivered or found.failures:
            log.info("delivered", notices=found.delivered, failures=len(found.failures))
        for failure in found.failures:
            log.warning("not delivered", notice=failure.notice_id, reason=failure.reason, outcome=failure.outcome)
        return found

    def close(self) -> None:
        """Gives up the connections of the channels and of the log stores."""
        self._channels.close()
        CONNECTIONS.close()

    def next_at(self) -> datetime | None:
        """When something is due next; None when nothing is."""
        with self.database.connect() as connection:
            entries = due.load(connection)
        return min((entry.at for entry in entries.values()), default=None)

    def _all_jobs(self, loaded: Loaded) -> tuple[Tallying, dict[str, Job]]:
        """In the order of doing: what is new is picked up before it is judged, and judged before a month is closed."""
        jobs: Iterator[Job]
        found: dict[str, Job] = {}
        tallying = Tallying(loaded, self.database)
        for jobs in (
            picking(loaded, self.database),
            tallying.jobs(),
            evaluating(loaded, self.database, tallying, self.something_to_deliver.set),
            closing(loaded, self.database),
            merging(loaded, self.database),
            beating(loaded, self.database),
        ):
            found.update((job.name, job) for job in jobs)
        return tallying, found

    def _due_now(self) -> list[str]:
        """The names of what is due, in the order of doing; what was never done gets its first time."""
        at = self.clock()
        with self.database.connect() as connection:
            entries = due.load(connection)
        for month in months_to_write(entries):
            job = writing(self.loaded, self.database, month)
            self._jobs.setdefault(job.name, job)
        new = [
            Due(job.name, job.first(at), job.rule)
            for job in self._jobs.values()
            if job.name not in entries or entries[job.name].rule != job.rule
        ]
        gone = entries.keys() - self._jobs.keys()
        if new or gone:
            with self.database.begin() as connection:
                for entry in new:
                    due.put(connection, entry)
                due.keep_only(connection, self._jobs)
        entries.update((entry.name, entry) for entry in new)
        return [name for name in self._jobs if entries[name].at <= at]

    def _do(self, job: Job, at: datetime) -> None:
        problem: str | Again | None
        try:
            problem = job.run(at)
        except TallywatchError as error:
            problem = str(error)
        except Exception as error:
            # whatever nobody foresaw in one job must not stop the others
            log.exception("job failed", job=job.name)
            problem = f"{type(error).__name__}: {error}"
        self._note(job, at, problem)

    def _note(self, job: Job, at: datetime, outcome: str | Again | None) -> None:
        following, problem = job.following(at), None
        if isinstance(outcome, Again):
            following = min(following, at + outcome.after)
        else:
            problem = outcome
        with self.database.begin() as connection:
            before = due.load(connection).get(job.name)
            if before is None:
                return  # done for good
            failures = before.failures + 1 if problem is not None else 0
            if problem is not None:
                log.warning("failed", job=job.name, reason=problem, failures=failures)
                following = retry_at(at, failures, following)
            due.put(connection, Due(job.name, following, job.rule, failures, problem or ""))
        if problem is not None and failures == TELL_AFTER and not job.tells_itself:
            news.tell(
                self.database,
                self.loaded,
                about=job.name,
                affair=f"{job.name} fails|{at.isoformat()}",
                headline=f"{job.name}: failed {failures} times in a row",
                paragraphs=[problem, "It is tried again and again; you are not told again until it has worked."],
                at=at,
            )
            self.something_to_deliver.set()

    def _reload_if_asked(self) -> None:
        changed = self._watch.changed()
        if not changed and not self._reload_asked.is_set():
            return
        self._reload_asked.clear()
        try:
            loaded = load(self._config_path)
            _refuse_another_ledger(self.loaded, loaded)
        except TallywatchError as error:
            self._refused(error)
            return
        self._watch = Watch(loaded.files)
        self.loaded = loaded
        self._tallying, self._jobs = self._all_jobs(loaded)
        CONNECTIONS.keep_only(loaded.config.elasticsearch_stores)
        log.info("reloaded", files=[str(path) for path in loaded.files])

    def _refused(self, error: TallywatchError) -> None:
        log.error("configuration refused; what runs is kept", problem=str(error))
        news.tell(
            self.database,
            self.loaded,
            about="configuration",
            affair=f"{error}|{self._watch.token}",
            headline="the changed configuration is refused",
            paragraphs=[
                "The service goes on with the configuration that it has. What is wrong with the new one:",
                *str(error).splitlines(),
                "Mend it, and look at it with: tallywatch check",
            ],
            at=self.clock(),
        )
        self.something_to_deliver.set()


def _refuse_another_ledger(running: Loaded, new: Loaded) -> None:
    before, after = running.config.settings, new.config.settings
    if (before.database, before.simulation) != (after.database, after.simulation):
        raise RestartNeededError(
            "settings.database and settings.simulation cannot change while the service runs; stop it and start it again"
        )
