"""A log store in plain Python, whose messages arrive when a test says so and which is down when a test says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from building import DOCUMENT, roster_of

from config.models import Config
from config.roster import Roster, RosterCustomer
from ledger import standings
from ledger.database import Database
from ledger.records import Decision, Freshness, Tally
from logviews.reference import Event, count
from logviews.store import CountQuery, StoreUnavailable
from monitors.commit import commit
from monitors.evaluate import Evaluated, Evaluator


@dataclass
class Feed:
    """Messages as (time, customer, arrival). What has not arrived by `now` is not there yet."""

    messages: list[tuple[datetime, str, datetime]]
    stale_after: timedelta
    now: datetime | None = None
    down: bool = False

    def at_once(self) -> AbstractContextManager[None]:
        return nullcontext()

    def count(self, query: CountQuery) -> Iterator[Tally]:
        self._answer()
        first, last = query.edges[0], query.edges[-1]
        events = [
            Event(time, who, str(number), {})
            for number, (time, who, _) in enumerate(self._there())
            if first <= time < last
        ]
        yield from count(events, query, {})

    def duplicates(self, query: CountQuery) -> int:
        return 0

    def freshness(self, at: datetime) -> Freshness:
        self._answer()
        there = [time for time, _, _ in self._there() if time < at]
        newest = max(there, default=None)
        return Freshness(newest, None, newest is None or at - newest > self.stale_after)

    def _answer(self) -> None:
        if self.down:
            raise StoreUnavailable("store api: no answer")

    def _there(self) -> Iterator[tuple[datetime, str, datetime]]:
        return (item for item in self.messages if self.now is None or item[2] <= self.now)


class Watching:
    """One monitor `m`, evaluated over a feed and committed to a real ledger, as the service does."""

    def __init__(self, database: Database, people: Sequence[RosterCustomer] | None, **monitor: Any) -> None:
        self.database = database
        self.configure(**monitor)
        settings = self.config.settings
        self.roster = Roster({}, open=True, zone=settings.zone) if people is None else roster_of(settings, people)
        self.feed = Feed([], timedelta(hours=2))

    def configure(self, **monitor: Any) -> None:
        """Another monitor under the same name."""
        api = {**DOCUMENT["stores"]["api"], "stale_after": "2h"}
        stores = {"api": api, "spare": {**api, "folder": "spare"}}
        views = {**DOCUMENT["views"], "spare": {"store": "spare"}}
        document = {"view": "free", "window": "day", "schedule": {"every": "15m"}, **monitor}
        self.config = Config.model_validate({**DOCUMENT, "stores": stores, "views": views, "monitors": {"m": document}})

    def use(self, who: str, at: datetime, number: int = 1) -> None:
        """So many messages of a customer, arriving as they happen."""
        for n in range(number):
            moment = at + timedelta(milliseconds=n)
            self.feed.messages.append((moment, who, moment))

    def beat(self, first: datetime, until: datetime) -> None:
        """Messages of nobody, every hour, so that the feed is known to be alive."""
        moment = first
        while moment < until:
            self.feed.messages.append((moment, "nobody", moment))
            moment += timedelta(hours=1)

    def evaluated(self, at: datetime, *, down: bool = False, behind: bool = False) -> Evaluated:
        """What an evaluation finds, without committing it."""
        self.feed.now, self.feed.down = at, down
        with self.database.connect() as connection:
            through = standings.judged_through(connection, "m")
        return Evaluator(self.config, self.roster, lambda _: self.feed).evaluate("m", at, through, behind=behind)

    def evaluate(self, at: datetime, *, down: bool = False) -> Decision:
        """An evaluation, committed."""
        return commit(self.database, self.evaluated(at, down=down), self.roster)


def customers(decision: Decision) -> list[tuple[str, str, str]]:
    """(customer, threshold, local day on which the period started) of the notices to customers."""
    return [
        (notice.facts["customer"], notice.facts["threshold"], notice.facts["period_start"][:10])
        for notice in decision.notices
        if notice.kind == "customer"
    ]


def operations(decision: Decision) -> list[tuple[str, str, str]]:
    """(route, kind, what of) of the notices to operations: customers, the total, or a state of the store."""
    found = []
    for notice in decision.notices:
        if notice.template == "ops_digest":
            of = ",".join(row["name"] for row in notice.facts["rows"])
            found.append((notice.route, notice.facts["kind"], of))
        elif notice.template == "ops_store":
            found.append((notice.route, notice.facts["kind"], notice.facts["condition"]))
        elif notice.kind == "ops":
            found.append((notice.route, notice.template, ""))
    return found
