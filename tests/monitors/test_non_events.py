"""Evaluating through outages, stopped feeds and skipped days, against a plain model that knows no ledger.

The model judges every period of every customer by counting messages in a loop, and remembers nothing but lists of what
it saw. The program evaluates, decides and commits in a real database.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from building import DOCUMENT, member, roster_of, utc
from feed import Feed
from hypothesis import given, settings
from hypothesis import strategies as st

from config.models import Config
from config.roster import RosterCustomer
from ledger import standings
from ledger.database import open_database
from ledger.facts import CustomerFacts
from ledger.records import Decision, NoticeDue
from monitors.commit import commit
from monitors.evaluate import Evaluator

BEGINNING = utc(2026, 10, 12)
FIRST = utc(2026, 10, 19, 4)  # a Monday: a week, and many days, are over in every zone but those of America
STALE_AFTER = timedelta(hours=6)
REPEAT = timedelta(hours=6)
OVER, LOW, IDLE = 12, 4, 2
GRACE = {"low": timedelta(hours=2), "idle": timedelta(hours=30)}
LONGEST_GRACE = max(GRACE.values())
PEOPLE = (
    member("A"),
    member("B", zone="Pacific/Auckland"),
    member("C", zone="America/Los_Angeles", valid_from=date(2026, 10, 21), valid_until=date(2026, 10, 29)),
    member("D"),  # appears in no log, ever
)


def configuration(window: str) -> Config:
    monitor = {
        "view": "free",
        "window": window,
        "schedule": {"every": "15m"},
        "thresholds": {
            "over": {"severity": "error", "max": str(OVER)},
            "low": {"severity": "warning", "min": str(LOW), "grace": "2h"},
            "idle": {"severity": "error", "min": str(IDLE), "grace": "30h"},
        },
        "notify": {
            "tell": {"when": ["over", "low", "idle"], "to": "customer"},
            "page": {"when": ["over", "low", "idle", "unavailable"], "to": "ops", "repeat": "6h", "recovery": True},
        },
    }
    stores = {"api": {**DOCUMENT["stores"]["api"], "stale_after": "6h"}}
    return Config.model_validate({**DOCUMENT, "stores": stores, "monitors": {"m": monitor}})


# --- what happens ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class History:
    """Messages as (hours since the beginning, customer, how many, hours until they arrive), hours in which the whole
    feed stood still, and evaluations as (hours since the last one, whether the store is down)."""

    window: str
    messages: tuple[tuple[int, str, int, int], ...]
    stopped: tuple[tuple[int, int], ...]
    evaluations: tuple[tuple[int, bool], ...]

    def feed(self) -> Feed:
        found = []
        for hours, who, number, delay in self.messages:
            at = BEGINNING + timedelta(hours=hours)
            found += [(at + timedelta(seconds=n), who, at + timedelta(hours=delay)) for n in range(number)]
        beats = (BEGINNING + timedelta(hours=hours, minutes=30) for hours in range(0, 900, 3))
        found += [(at, "somebody unknown", at) for at in beats]
        standstills = [
            (BEGINNING + timedelta(hours=first), BEGINNING + timedelta(hours=first + long))
            for first, long in self.stopped
        ]
        return Feed([item for item in found if not any(a <= item[0] < b for a, b in standstills)], STALE_AFTER)


histories = st.builds(
    History,
    window=st.sampled_from(["day", "week"]),
    messages=st.lists(
        st.tuples(
            st.integers(0, 700),
            st.sampled_from("AABC"),
            st.sampled_from([1, 2, 3, 4, 9, 13]),
            st.sampled_from([0, 0, 0, 3, 40]),
        ),
        max_size=40,
    ).map(tuple),
    stopped=st.lists(st.tuples(st.integers(150, 600), st.sampled_from([9, 30, 80])), max_size=3).map(tuple),
    evaluations=st.lists(
        st.tuples(st.sampled_from([0, 1, 1, 2, 5, 13, 31, 80, 200]), st.sampled_from([False, False, False, True])),
        min_size=3,
        max_size=22,
    ).map(tuple),
)


# --- the model -------------------------------------------------------------------------------------------------------


def midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def periods(who: RosterCustomer, window: str) -> list[tuple[datetime, datetime]]:
    """Every period of six weeks, as a calendar has them."""
    step = 1 if window == "day" else 7
    days = [date(2026, 10, 5) + timedelta(days=number * step) for number in range(1 + 49 // step)]
    return [(midnight(day, who.zone), midnight(day + timedelta(days=step), who.zone)) for day in days]


@dataclass
class Model:
    """The rules again, from lists of what was seen."""

    window: str
    feed: Feed
    good: list[datetime] = field(default_factory=list)  # evaluations that the store answered and that were fresh
    outcomes: list[bool] = field(default_factory=list)  # whether the store answered
    seen: dict[tuple, list[bool | None]] = field(default_factory=lambda: defaultdict(list))
    customers_told: set[tuple] = field(default_factory=set)
    operations_told: dict[tuple, datetime] = field(default_factory=dict)
    recovered: set[tuple] = field(default_factory=set)

    def evaluate(self, at: datetime) -> tuple[list[tuple], dict[str, dict], set[tuple]]:
        """What is to be told now: to customers, to operations of customers by kind, and to operations of the store."""
        there = [(moment, who) for moment, who, arrival in self.feed.messages if arrival <= at and moment < at]
        stale = not there or at - max(there)[0] > STALE_AFTER
        failed, failed_before = self.feed.down, bool(self.outcomes) and not self.outcomes[-1]
        self.outcomes.append(not failed)
        self.seen["store", "unavailable"].append((True if failed_before else None) if failed else False)
        self.seen["store", "logs_stale"].append(None if failed else stale)
        verdicts = [] if failed else list(self.verdicts(at, there, stale))
        if not failed and not stale:
            self.good.append(at)
        for key, results in verdicts:
            for threshold, result in results.items():
                self.seen[*key, threshold].append(result)
        customers = [notice for key, results in verdicts if (notice := self.customer(key, results)) is not None]
        return customers, self.operations(verdicts, at), self.store(at)

    def verdicts(self, at, there, stale):
        first = not self.good
        ended, running = [], []
        for who in PEOPLE:
            for start, end in periods(who, self.window):
                begins, ends = start, end
                if who.valid_from is not None:
                    begins = max(start, midnight(who.valid_from, who.zone))
                    ends = min(end, midnight(who.valid_until, who.zone))
                if begins >= ends or start > at:
                    continue
                used = sum(1 for moment, name in there if name == who.id and begins <= moment < ends)
                results = {"over": used > OVER, "low": None, "idle": None}
                for threshold, limit in (("low", LOW), ("idle", IDLE)):
                    whole = (begins, ends) == (start, end)
                    doubtful = used < limit and (stale or not whole)
                    if at >= end + GRACE[threshold] and not doubtful:
                        results[threshold] = used < limit
                if at < end:
                    running.append(((who.id, start, end), results))
                elif first:  # of the time before only the last period, and of that what has to be judged by now
                    if not any(end < later <= at for _, later in periods(who, self.window)):
                        ended.append(((who.id, start, end), {**results, "over": None}))
                elif end > self.good[0] and not any(moment >= end + LONGEST_GRACE for moment in self.good):
                    ended.append(((who.id, start, end), results))
        # each customer's periods in order, and what ended before what runs
        yield from sorted(ended, key=lambda item: item[0][1])
        yield from running

    def customer(self, key, results):
        """(customer, start, threshold) of the notice that is due, or None."""
        rank = {"over": ("max", 2), "low": ("min", 1), "idle": ("min", 2)}
        breached = [threshold for threshold, result in results.items() if result]
        told = [threshold for threshold in rank if (*key, threshold) in self.customers_told]
        due = [
            threshold
            for threshold in breached
            if threshold not in told
            and not any(rank[other][0] == rank[threshold][0] and rank[other] > rank[threshold] for other in told)
        ]
        if not due:
            return None
        worst = max(due, key=lambda threshold: (rank[threshold][1], threshold == "over"))
        self.customers_told |= {(*key, threshold) for threshold in due}
        return (key[0], key[1], worst)

    def standing(self, key) -> tuple[bool, int]:
        """Whether it stands breached after all that was seen, and in which episode."""
        standing, episode, in_range = False, 0, 0
        for result in self.seen[key]:
            in_range = in_range + 1 if result is False else 0
            if result and not standing:
                standing, episode = True, episode + 1
            elif standing and in_range >= 2:
                standing = False
        return standing, episode

    def operations(self, verdicts, at):
        told = {"breach": {}, "repeat": {}, "recovery": {}}
        again, due_again = {}, False
        for key, results in verdicts:
            who, start, end = key
            for threshold in ("low", "over", "idle"):  # the most severe comes last; over and idle exclude each other
                standing, episode = self.standing((*key, threshold))
                affair = (*key, threshold, episode)
                if results[threshold] and affair not in self.operations_told:
                    told["breach"][who, start] = threshold
                elif results[threshold] and end > at:
                    again[affair] = (who, start, threshold)
                    due_again = due_again or at - self.operations_told[affair] >= REPEAT
                over = results[threshold] is False and not standing and end > at
                if over and affair in self.operations_told and affair not in self.recovered:
                    self.recovered.add(affair)
                    told["recovery"][who, start] = threshold
        for key, results in verdicts:
            for threshold, result in results.items():
                affair = (*key, threshold, self.standing((*key, threshold))[1])
                if result:
                    self.operations_told.setdefault(affair, at)
        if due_again:
            for affair, (who, start, threshold) in again.items():
                self.operations_told[affair] = at
                told["repeat"][who, start] = threshold
        return {kind: found for kind, found in told.items() if found}

    def store(self, at):
        told = set()
        for condition in ("unavailable", "logs_stale"):
            key = ("store", condition)
            standing, episode = self.standing(key)
            affair = (*key, episode)
            result = self.seen[key][-1]
            if result and affair not in self.operations_told:
                told.add((condition, "breach"))
                self.operations_told[affair] = at
            elif result and at - self.operations_told[affair] >= REPEAT:
                told.add((condition, "repeat"))
                self.operations_told[affair] = at
            elif result is False and not standing and affair in self.operations_told and affair not in self.recovered:
                told.add((condition, "recovery"))
                self.recovered.add(affair)
        return told


# --- the comparison --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Path:
    """An empty ledger, to be copied: making one takes longer than a whole history."""
    path = tmp_path_factory.mktemp("empty") / "x.db"
    open_database(f"sqlite:///{path}", simulation=True, now=FIRST).close()
    return path


@settings(max_examples=120, deadline=None)
@given(history=histories)
def test_random_histories_are_told_as_the_model_says(empty, tmp_path_factory, history):
    config = configuration(history.window)
    roster = roster_of(config.settings, PEOPLE)
    feed = history.feed()
    model, at = Model(history.window, feed), FIRST
    path = tmp_path_factory.mktemp("history") / "x.db"
    shutil.copy(empty, path)
    database = open_database(f"sqlite:///{path}", simulation=True, now=FIRST)
    try:
        for number, (hours, down) in enumerate(history.evaluations):
            again = number > 0 and hours == 0
            at += timedelta(hours=hours)
            feed.now, feed.down = at, feed.down if again else down
            with database.connect() as connection:
                through = standings.judged_through(connection, "m")
            found = Evaluator(config, roster, lambda _: feed).evaluate("m", at, through)
            decision = commit(database, found, roster)
            if again:
                assert decision.notices == ()
                assert decision.transitions == ()
                continue
            customers, operations, store = model.evaluate(at)
            said = [told(notice) for notice in decision.notices if notice.kind == "customer"]
            assert in_turn(said) == in_turn(customers)
            check_digests(decision, operations)
            assert {
                (notice.facts["condition"], notice.facts["kind"])
                for notice in decision.notices
                if notice.template == "ops_store"
            } == store
            for notice in decision.notices:
                check_truth(notice, feed, at)
    finally:
        database.close()
    shutil.rmtree(path.parent)


def in_turn(notices: list[tuple]) -> list[tuple]:
    """By customer, each customer's in the order in which they were decided."""
    return sorted(notices, key=lambda notice: notice[0])


def told(notice: NoticeDue) -> tuple:
    facts = CustomerFacts.from_json(notice.facts)
    return (facts.customer, datetime.fromisoformat(facts.period_start), facts.threshold)


def check_digests(decision: Decision, expected: dict[str, dict]) -> None:
    """One mail per kind, which counts all and lists at most 50."""
    found = [notice.facts for notice in decision.notices if notice.template == "ops_digest"]
    assert sorted(facts["kind"] for facts in found) == sorted(expected)
    for facts in found:
        wanted = expected[facts["kind"]]
        rows = {
            (row["customer"], datetime.fromisoformat(row["period_start"])): row["threshold"] for row in facts["rows"]
        }
        assert facts["number"] == len(wanted)
        assert len(rows) == len(facts["rows"]) == min(50, len(wanted))
        assert rows.items() <= wanted.items()


def check_truth(notice: NoticeDue, feed: Feed, at: datetime) -> None:
    """What a customer is told is so, and what lies below a min is told of a period that is over."""
    if notice.kind != "customer":
        return
    facts = CustomerFacts.from_json(notice.facts)
    start, end = (datetime.fromisoformat(moment) for moment in (facts.period_start, facts.period_end))
    there = [who for moment, who, arrival in feed.messages if arrival <= at and start <= moment < min(end, at)]
    if facts.side == "min":
        assert at >= end + GRACE[facts.threshold]
        assert there.count(facts.customer) == int(facts.quantity) < int(facts.limit)
        assert notice.template == "low_usage"
    else:
        assert int(facts.quantity) > int(facts.limit) == OVER
        assert notice.template == "over_limit"
