"""What evaluating from tallies needs: how far back it looks, whom it counts exactly, and what it says meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from building import DOCUMENT, member, roster_of, utc
from feed import Watching
from plain_store import PlainStore

from config.models import Config
from ledger import standings
from ledger.database import Database, open_database
from ledger.records import TOTAL, Reason, customer
from logviews.tallies.pieces import Progress
from logviews.tallies.tallied import BackfillingError
from monitors.commit import commit
from monitors.evaluate import Evaluated, Evaluator
from monitors.subjects import reach
from monitors.watched import watched

NOW = utc(2026, 10, 25, 9)
HOUR = timedelta(hours=1)
MAX = {"over": {"severity": "error", "max": "3"}}
BOTH = {**MAX, "low": {"severity": "warning", "min": "2", "grace": "6h"}}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'ledger.db'}", simulation=False, now=NOW)
    yield opened
    opened.close()


def evaluator(store: PlainStore, people: list[Any], **monitor: Any) -> Evaluator:
    views = {**DOCUMENT["views"], "words": {"store": "api", "count": {"distinct": "w"}}}
    given = {"view": "words", "window": "month", "schedule": {"every": "15m"}, "thresholds": MAX, **monitor}
    config = Config.model_validate({**DOCUMENT, "views": views, "monitors": {"m": given}})
    return Evaluator(config, roster_of(config.settings, people), lambda _: store)


def words(store: PlainStore, who: str, *said: str) -> None:
    for number, word in enumerate(said):
        store.add(utc(2026, 10, 1 + number), who, f'{{"w": "{word}"}}')


def exactly(store: PlainStore) -> list[set[str]]:
    """Of whom distinct values were counted exactly, question by question."""
    return [{member.value for member in query.members} for query in store.asked if query.members is not None]


def quantities(found: Evaluated) -> dict[str, Any]:
    return {str(verdict.subject): verdict.quantity for verdict in found.verdicts}


class Bounds(PlainStore):
    """Answers day by day, as tallies do, so that what is added up of distinct values is an upper bound."""

    def count(self, query: Any) -> Any:
        if query.members is None:
            days = (query.edges[-1] - query.edges[0]) // timedelta(days=1)
            edges = {*query.edges, *(query.edges[0] + number * timedelta(days=1) for number in range(days))}
            query = type(query)(
                query.view, query.where, query.aggregation, query.field, query.scale, tuple(sorted(edges))
            )
        return super().count(query)


def test_distinct_values_are_counted_exactly_of_those_alone_who_may_be_above_a_limit() -> None:
    store = Bounds()
    words(store, "A", "x", "x", "x", "x")  # bound 4, exactly 1
    words(store, "B", "x", "y", "z", "v", "v")  # bound 5, exactly 4
    words(store, "C", "x", "x", "y")  # bound 3, which is not above 3
    words(store, "stranger", "x", "y", "z", "v")
    people = [member("A"), member("B"), member("C"), member("D")]
    found = evaluator(store, people).evaluate("m", NOW, NOW, breached=())
    assert quantities(found) == {"A": 1, "B": 4, "C": 3, "D": 0}
    assert [verdict.state for verdict in found.verdicts] == ["ok", "error", "ok", "ok"]
    assert exactly(store) == [{"A", "B"}]
    store.asked.clear()
    found = evaluator(store, people).evaluate("m", NOW, NOW, breached={customer("C")})
    assert quantities(found)["C"] == 2  # what is told of it must be so
    assert exactly(store) == [{"A", "B", "C"}]
    store.asked.clear()
    found = evaluator(store, people).evaluate("m", NOW, NOW)
    assert quantities(found) == {"A": 1, "B": 4, "C": 2, "D": 0}
    assert exactly(store) == [{"A", "B", "C", "stranger"}]


def test_a_min_needs_the_very_number_of_everybody() -> None:
    store = Bounds()
    words(store, "A", "x", "x")
    words(store, "B", "x", "y")
    at = utc(2026, 11, 2)
    found = evaluator(store, [member("A"), member("B")], thresholds=BOTH).evaluate("m", at, NOW, breached=())
    final = [verdict for verdict in found.verdicts if verdict.period.end <= at]
    assert [(str(one.subject), one.quantity, one.reason) for one in final] == [
        ("A", 1, Reason.BELOW_MIN),
        ("B", 2, Reason.WITHIN_LIMITS),
    ]


def test_a_total_of_distinct_values_is_counted_exactly_when_it_may_be_above_the_limit() -> None:
    store = Bounds()
    words(store, "A", "x", "x")
    one = evaluator(store, [member("A"), member("B")], per="total")
    assert quantities(one.evaluate("m", NOW, NOW, breached=())) == {"total": 2}
    assert exactly(store) == []
    assert quantities(one.evaluate("m", NOW, NOW, breached={TOTAL})) == {"total": 1}
    words(store, "B", "x", "x")
    assert quantities(one.evaluate("m", NOW, NOW, breached=())) == {"total": 1}
    assert exactly(store) == [{"A"}, {"A", "B"}]
    assert quantities(one.evaluate("m", NOW, NOW)) == {"total": 1}


@pytest.mark.parametrize("per", ["customer", "total"])
@pytest.mark.parametrize("window", ["billing month", "month", "week", "day"])
@pytest.mark.parametrize("seed", range(3))
def test_no_evaluation_looks_further_back_than_its_reach(per: str, window: str, seed: int) -> None:
    dice, store = Random(seed), PlainStore()
    zones = ("Europe/Stockholm", "America/New_York", "Asia/Kathmandu", "Pacific/Apia")
    people = [
        member(name, zone=dice.choice(zones), billing_day=dice.choice([1, 15, 31]), valid_from=date(2026, 1, 1))
        for name in "ABC"
    ]
    one = evaluator(store, people, per=per, window=window, thresholds=dice.choice([MAX, BOTH]))
    it = watched(one.config, "m")
    for through in (None, NOW, NOW - timedelta(hours=dice.randint(1, 60)), NOW - timedelta(days=dice.randint(3, 70))):
        at = NOW + timedelta(hours=dice.randint(0, 400))
        store.asked.clear()
        one.evaluate("m", at, through, breached=())
        assert store.asked or it.monitor.per == "total" or len(it.monitor.minima) == len(it.thresholds)
        assert min((query.edges[0] for query in store.asked), default=at) >= reach(it, one.roster, at, through)


def test_while_it_is_backfilled_a_monitor_decides_nothing_and_nobody_is_paged(database: Database) -> None:
    thresholds = {"over": {"severity": "error", "max": "0.5"}}
    notify = {"page": {"when": ["over", "unavailable"], "to": "ops"}}
    watching = Watching(database, [member("A")], thresholds=thresholds, notify=notify)
    watching.use("A", NOW - HOUR)
    watching.evaluate(NOW)

    def backfilling(_: str) -> Any:
        raise BackfillingError("free", Progress(12, 28))

    for hours in (1, 2, 3):
        at = NOW + hours * HOUR
        evaluated = Evaluator(watching.config, watching.roster, backfilling).evaluate("m", at, NOW)
        (verdict,) = evaluated.verdicts
        assert (verdict.state, verdict.reason, verdict.quantity) == ("unavailable", Reason.BACKFILLING, None)
        decision = commit(database, evaluated, watching.roster)
        assert (decision.evaluation.outcome, decision.evaluation.figures["counted"]) == ("backfilling", "12 of 28 days")
        assert not (decision.notices or decision.transitions or decision.closed or decision.standings)
        assert decision.judged_through is None
    failed = watching.evaluate(NOW + 4 * HOUR, down=True)
    assert not failed.notices  # the first failure, not the fourth
    with database.connect() as connection:
        assert [standing.breached for standing in standings.load(connection, "m").values()] == [True]


def test_a_total_that_is_backfilled_is_unavailable_too(database: Database) -> None:
    watching = Watching(database, [member("A")], thresholds={"over": {"severity": "error", "max": "1"}}, per="total")

    def backfilling(_: str) -> Any:
        raise BackfillingError("free", Progress(0, 1))

    (verdict,) = Evaluator(watching.config, watching.roster, backfilling).evaluate("m", NOW).verdicts
    assert (verdict.subject, verdict.reason) == (TOTAL, Reason.BACKFILLING)
