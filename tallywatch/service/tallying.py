"""Tallying: what evaluations count from, brought up to date, and the job that counts what nobody has watched before.

A new view, a changed filter, a store that is another one, or an installation that was away for days: what its monitors
need is counted in the background, a few seconds a tick for all of them together, the newest days first. Until then they
have no verdicts.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from config.load import Loaded
from ledger import standings, watermarks
from ledger.database import Database
from logviews.store import LogStore, StoreUnavailable
from logviews.tallies.keeper import Keeper
from logviews.tallies.keys import FilterKey, filter_keys
from logviews.tallies.segments import Cut, roster_token
from logviews.tallies.tallied import BackfillingError, Tallied
from logviews.tallies.unused import drop_unused
from monitors.subjects import reach
from monitors.watched import watched
from tallywatch import compose
from tallywatch.service.jobs import Again, Job, every

SECONDS_A_TICK: Final = 10.0
"""How long a tick may go on counting what was never counted, for all filters together."""

LOOK_EVERY: Final = timedelta(minutes=10)
LONG_AWAY: Final = timedelta(days=1)
"""What was not counted for so long is counted in the background, and not by an evaluation."""

log = structlog.get_logger("tallywatch.service.tallying")


@dataclass(slots=True)
class Allowance:
    """So much time for a tick's longer work; what is being done when it is over is finished."""

    seconds: float = field(default_factory=lambda: SECONDS_A_TICK)
    _spent: float = 0.0
    _since: float | None = None

    def renew(self) -> None:
        """All of it again."""
        self._spent = 0.0

    def left(self) -> bool:
        """Whether more may be begun; asked from within `spending`."""
        running = 0.0 if self._since is None else time.monotonic() - self._since
        return self._spent + running < self.seconds

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        if self._since is not None:
            self._spent += time.monotonic() - self._since
        self._since = None


@dataclass(slots=True)
class Tallying:
    """The tallies that the monitors of a configuration read, made when they are first asked for."""

    loaded: Loaded
    database: Database
    allowance: Allowance = field(default_factory=Allowance)
    _keys: dict[str, FilterKey] = field(init=False)
    _keepers: dict[str, Keeper] = field(default_factory=dict)
    _fresh: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._keys = filter_keys(self.loaded.config, self.loaded.roster)

    def begin_tick(self) -> None:
        """What was counted before is no longer fresh, and there is time again."""
        self.allowance.renew()
        self._fresh.clear()

    def source(self, monitor: str, at: datetime, judged_through: datetime | None) -> LogStore:
        """What an evaluation at `at` counts from: tallies that reach from its first period to that very instant.

        Monitors of one filter that are evaluated at the same instant count it once.

        Raises:
            BackfillingError: while they do not reach so far.
            StoreUnavailable: when the store cannot answer exactly.
        """
        it = watched(self.loaded.config, monitor)
        keeper, needed = self._keeper(it.view_name), reach(it, self.loaded.roster, at, judged_through)
        fresh = self._fresh.get(keeper.key.hash)
        if fresh is None or fresh[0] != at or fresh[1] > needed:
            with self.allowance:
                progress = keeper.bring_up(at, needed, self.allowance.left)
            if progress is not None:
                raise BackfillingError(it.view_name, progress)
            self._fresh[keeper.key.hash] = at, needed
        cut = Cut(it.monitor.per, it.monitor.window)
        return Tallied(keeper.store, self.database, keeper.key, cut, keeper.token, at)

    def at_once(self, monitor: str) -> AbstractContextManager[None]:
        """Within it, what an evaluation asks of its log store is asked of one instant, where the store can do that."""
        try:
            return self._keeper(watched(self.loaded.config, monitor).view_name).store.at_once()
        except StoreUnavailable:  # told by the evaluation, which asks for the store itself
            return nullcontext()

    def jobs(self) -> Iterator[Job]:
        """The job that counts what is missing, and takes away what nobody needs."""
        if not self.loaded.config.monitors:
            return
        _, first, following = every(LOOK_EVERY)
        filters = sorted({self._hash(monitor.view) for monitor in self.loaded.config.monitors.values()})
        rule = f"every {LOOK_EVERY} of {hashlib.sha256(' '.join(filters).encode()).hexdigest()[:16]}"
        # a store that cannot be counted is told by its monitors
        yield Job("tallies", rule, first, following, self._backfill, tells_itself=True)

    def _backfill(self, at: datetime) -> str | Again | None:
        problem, unfinished = None, False
        for name in self.loaded.config.monitors:
            try:
                unfinished = self._backfill_for(name, at) or unfinished
            except StoreUnavailable as error:
                problem = str(error)
        with self.allowance:
            used = {key.hash for key in self._keys.values()}
            for mark in drop_unused(self.database, used, at, self.allowance.left):
                log.info("dropped", store=mark.store, filter=mark.hash)
        return Again() if unfinished else problem

    def _backfill_for(self, monitor: str, at: datetime) -> bool:
        """Whether a monitor's periods are still not counted as far as they should be."""
        it = watched(self.loaded.config, monitor)
        keeper = self._keeper(it.view_name)
        with self.database.connect() as connection:
            needed = reach(it, self.loaded.roster, at, standings.judged_through(connection, monitor))
            mark = watermarks.load(connection, keeper.key.hash)
            waiting = mark is not None and bool(watermarks.changed_buckets(connection, mark.id))
        with self.allowance:
            if mark is not None and mark.since <= needed and at - mark.counted_to <= LONG_AWAY and not waiting:
                keeper.prune(at, self._needed(keeper, at), self.allowance.left)
                return False
            progress = keeper.bring_up(at, needed, self.allowance.left)
        log.info("backfilled", monitor=monitor, view=it.view_name, counted="all" if progress is None else str(progress))
        return progress is not None

    def _needed(self, keeper: Keeper, at: datetime) -> datetime:
        """The start of the earliest period that any monitor of a filter looks at."""
        found = [at]
        for name, monitor in self.loaded.config.monitors.items():
            if self._hash(monitor.view) == keeper.key.hash:
                with self.database.connect() as connection:
                    through = standings.judged_through(connection, name)
                found.append(reach(watched(self.loaded.config, name), self.loaded.roster, at, through))
        return min(found)

    def _hash(self, view: str) -> str:
        return self._keys[view].hash

    def _keeper(self, view: str) -> Keeper:
        """One keeper for all views that count the same."""
        hash_ = self._hash(view)
        if hash_ not in self._keepers:
            token = next((keeper.token for keeper in self._keepers.values()), None)
            if token is None:
                token = roster_token(self.loaded.roster, self.loaded.config.settings.zone)
            self._keepers[hash_] = compose.keeper(self.loaded, self.database, view, token)
        return self._keepers[hash_]
