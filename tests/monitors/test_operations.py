"""What operations are told: breaches, that they last, that they are over, the state of the store, and held mailings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from building import member, utc
from feed import Watching, customers, operations

from ledger import holds, outbox
from ledger.database import Database, open_database
from ledger.facts import HeldFacts, OpsFacts, StoreFacts
from ledger.records import SubjectKind

START = utc(2026, 10, 20, 0)  # 02:00 in Stockholm
QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
HIGH = {"high": {"severity": "error", "max": "10"}}


@pytest.fixture
def database(ledger_url: str) -> Iterator[Database]:
    found = open_database(ledger_url, simulation=True, now=START)
    yield found
    found.close()


@pytest.fixture
def sqlite(tmp_path) -> Iterator[Database]:
    found = open_database(f"sqlite:///{tmp_path / 'x.db'}", simulation=True, now=START)
    yield found
    found.close()


def watching(database: Database, *people: str, **route: object) -> Watching:
    """A maximum per month, told to operations by one route, over a feed that lives."""
    page = {"when": ["high", "unavailable"], "to": "ops", **route}
    it = Watching(
        database,
        tuple(member(who) for who in people or ("A",)),
        window="month",
        thresholds=HIGH,
        notify={"page": page},
    )
    it.beat(START - 30 * DAY, START + 30 * DAY)
    return it


def states(it: Watching, pattern: str) -> list[list[tuple[str, str, str]]]:
    """What is told at evaluations a quarter of an hour apart, of a store that answers (.) or does not (x)."""
    return [operations(it.evaluate(START + n * QUARTER, down=mark == "x")) for n, mark in enumerate(pattern)]


PAGED, OVER = [("page", "breach", "unavailable")], [("page", "recovery", "unavailable")]


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        (".x.x.x.", {}),
        (".xx", {2: PAGED}),
        ("xx", {1: PAGED}),
        ("xxxxxx", {1: PAGED}),
        ("xx..", {1: PAGED, 3: OVER}),
        ("xx.x.x..", {1: PAGED, 7: OVER}),
        ("xx.xx..", {1: PAGED, 6: OVER}),
        ("xx..x.xx..", {1: PAGED, 3: OVER, 7: PAGED, 9: OVER}),
    ],
)
def test_a_store_is_unavailable_after_two_failures_in_a_row_and_back_after_two_answers_in_a_row(sqlite, pattern, told):
    found = states(watching(sqlite, recovery=True), pattern)
    assert {n: said for n, said in enumerate(found) if said} == told


def test_one_failure_evaluated_twice_for_the_same_instant_is_one_failure(sqlite):
    it = watching(sqlite)
    assert it.evaluate(START, down=True).notices == ()
    assert it.evaluate(START, down=True).notices == ()
    assert operations(it.evaluate(START + QUARTER, down=True)) == PAGED


def test_one_answer_evaluated_twice_for_the_same_instant_is_one_answer(sqlite):
    it = watching(sqlite, recovery=True)
    assert states(it, "xx.")[1] == PAGED
    assert it.evaluate(START + 2 * QUARTER).notices == ()
    assert operations(it.evaluate(START + 3 * QUARTER)) == OVER


def test_the_notice_says_why_and_since_when_and_a_recovery_no_reason(database):
    it = watching(database, recovery=True)
    it.evaluate(START, down=True)
    (notice,) = it.evaluate(START + QUARTER, down=True).notices
    facts = StoreFacts.from_json(notice.facts)
    assert (facts.store, facts.detail, facts.newest) == ("api", "store api: no answer", None)
    assert facts.since == facts.at == "2026-10-20T02:15:00+02:00"
    it.evaluate(START + 2 * QUARTER)
    (over,) = it.evaluate(START + 3 * QUARTER).notices
    facts = StoreFacts.from_json(over.facts)
    assert (facts.kind, facts.detail, facts.since) == ("recovery", "", "2026-10-20T02:45:00+02:00")


def test_an_outage_over_the_end_of_a_month_is_one_outage_and_is_repeated_as_long_as_it_lasts(database):
    it = watching(database, repeat="4h", recovery=True)
    began = utc(2026, 10, 30)
    it.evaluate(began - QUARTER)
    told = {n: operations(it.evaluate(began + n * HOUR, down=True)) for n in range(80)}
    assert {n: said for n, said in told.items() if said} == {
        1: PAGED,
        **{n: [("page", "repeat", "unavailable")] for n in range(5, 80, 4)},
    }
    assert operations(it.evaluate(began + 80 * HOUR)) == []
    assert operations(it.evaluate(began + 81 * HOUR)) == OVER


def test_what_was_known_of_customers_is_frozen_by_an_outage(database):
    it = watching(database, "A", repeat="1h")
    it.use("A", START - HOUR, 11)
    assert operations(it.evaluate(START)) == [("page", "breach", "A Ltd")]
    told = [operations(it.evaluate(START + n * HOUR, down=True)) for n in range(1, 5)]
    assert told == [[], PAGED, [("page", "repeat", "unavailable")], [("page", "repeat", "unavailable")]]
    decision = it.evaluate(START + 5 * HOUR)
    assert operations(decision) == [("page", "repeat", "A Ltd")]
    assert decision.transitions == ()


def test_a_monitor_that_comes_back_to_a_store_is_told_of_its_outages_as_of_new_ones(sqlite):
    it = watching(sqlite)
    keys = {"window": "month", "thresholds": HIGH, "notify": {"page": {"when": "unavailable", "to": "ops"}}}
    for number, view in enumerate(("free", "spare", "free", "spare", "free")):
        it.configure(view=view, **keys)
        began = START + number * DAY
        told = [operations(it.evaluate(began + n * QUARTER, down=True)) for n in range(3)]
        assert told == [[], PAGED, []]
        assert [operations(it.evaluate(began + n * QUARTER)) for n in range(3, 6)] == [[]] * 3


def test_a_monitor_that_left_a_store_in_an_outage_is_told_of_the_next_one_there(sqlite):
    it = watching(sqlite)
    keys = {"window": "month", "thresholds": HIGH, "notify": {"page": {"when": "unavailable", "to": "ops"}}}
    assert [it.evaluate(START + n * QUARTER, down=True).notices != () for n in range(3)] == [False, True, False]
    it.configure(view="spare", **keys)
    it.evaluate(START + DAY)
    it.configure(view="free", **keys)
    assert [it.evaluate(START + 2 * DAY + n * QUARTER, down=True).notices != () for n in range(3)] == [
        False,
        True,
        False,
    ]


def test_a_breach_that_lasts_is_told_again_with_all_others_that_were_told(sqlite):
    it = watching(sqlite, "A", "B", "C", repeat="4h")
    it.use("A", START, 11)
    it.use("B", START + 2 * HOUR, 11)
    it.use("C", START + 4 * HOUR - QUARTER, 11)
    told = {n: operations(it.evaluate(START + n * HOUR)) for n in range(1, 12)}
    assert {n: said for n, said in told.items() if said} == {
        1: [("page", "breach", "A Ltd")],
        3: [("page", "breach", "B Ltd")],
        4: [("page", "breach", "C Ltd")],
        5: [("page", "repeat", "A Ltd,B Ltd,C Ltd")],
        9: [("page", "repeat", "A Ltd,B Ltd,C Ltd")],
    }


def test_without_repeat_and_recovery_operations_hear_once(sqlite):
    it = watching(sqlite, "A")
    it.use("A", START, 11)
    told = [operations(it.evaluate(START + n * DAY)) for n in range(1, 9)]
    assert told == [[("page", "breach", "A Ltd")], *[[]] * 7]


def falling(database: Database, **route: object) -> Watching:
    """A is above its limit until its messages turn out to have been taken back, three hours later."""
    it = watching(database, "A", **route)
    it.use("A", START, 11)
    it.evaluate(START + HOUR)
    it.feed.messages = [item for item in it.feed.messages if item[1] != "A"]
    return it


def test_operations_hear_that_it_is_over_after_two_evaluations_in_range(database):
    it = falling(database, recovery=True)
    assert operations(it.evaluate(START + 2 * HOUR)) == []
    over = it.evaluate(START + 3 * HOUR)
    assert operations(over) == [("page", "recovery", "A Ltd")]
    facts = OpsFacts.from_json(over.notices[0].facts)
    assert (facts.kind, facts.number, facts.rows[0].quantity, facts.rows[0].limit) == ("recovery", 1, "0", "10")
    assert operations(it.evaluate(START + 4 * HOUR)) == []
    it.use("A", START + 4 * HOUR, 11)
    assert operations(it.evaluate(START + 5 * HOUR)) == [("page", "breach", "A Ltd")]


def test_that_it_is_over_waits_for_the_hours_of_the_route(sqlite):
    it = falling(sqlite, recovery=True, hours="03:00-04:00")  # an hour after the start, in Stockholm
    told = {n: operations(it.evaluate(START + n * HOUR)) for n in range(2, 30)}
    assert {n: said for n, said in told.items() if said} == {25: [("page", "recovery", "A Ltd")]}


def test_that_the_store_is_back_waits_for_the_hours_of_the_route(sqlite):
    it = watching(sqlite)
    page = {"when": "unavailable", "to": "ops", "recovery": True, "hours": "02:00-03:00"}
    it.configure(window="day", thresholds=HIGH, notify={"page": page})  # the outage is older than the day it is told on
    assert states(it, "xxx") == [[], PAGED, []]
    assert [operations(it.evaluate(START + n * HOUR)) for n in range(1, 24)] == [[]] * 23
    assert operations(it.evaluate(START + DAY)) == OVER


def test_nobody_recovers_from_what_was_not_told(sqlite):
    it = falling(sqlite, recovery=True, hours="13:00-14:00")
    assert [operations(it.evaluate(START + n * HOUR)) for n in range(2, 30)] == [[]] * 28


def test_what_lasts_to_the_end_of_its_period_ends_with_it_without_a_word(sqlite):
    it = watching(sqlite, "A", repeat="1h", recovery=True)
    it.use("A", START, 11)
    end = utc(2026, 10, 31, 23)
    assert operations(it.evaluate(end - HOUR)) == [("page", "breach", "A Ltd")]
    assert [operations(it.evaluate(end + n * HOUR)) for n in range(4)] == [[]] * 4


def test_whoever_is_told_that_nothing_can_be_counted_is_told_of_a_feed_that_stopped(sqlite):
    it = watching(sqlite, recovery=True, repeat="2h")
    it.feed.messages = [item for item in it.feed.messages if item[0] < START or item[0] >= START + 5 * HOUR]
    told = {n: operations(it.evaluate(START + n * HOUR)) for n in range(8)}
    assert {n: [kind for _, kind, _ in said] for n, said in told.items() if said} == {
        2: ["breach"],
        4: ["repeat"],
        7: ["recovery"],
    }


# --- holds -----------------------------------------------------------------------------------------------------------


def mailing(database: Database, watched: int, breaching: int, **changes: object) -> Watching:
    people = tuple(member(f"C{number:03}") for number in range(watched))
    notify = {"tell": {"when": "high", "to": "customer"}}
    it = Watching(database, people, **{"window": "month", "thresholds": HIGH, "notify": notify, **changes})
    it.beat(START - 30 * DAY, START + 30 * DAY)
    for number in range(breaching):
        it.use(f"C{number:03}", START - HOUR, 11)
    return it


@pytest.mark.parametrize(
    ("watched", "breaching", "held"),
    [(30, 20, False), (30, 21, True), (209, 20, False), (209, 21, True), (219, 21, False), (300, 30, False),
     (300, 31, True)],
)  # fmt: skip
def test_more_than_20_or_a_tenth_of_the_customers_are_not_mailed_unseen(sqlite, watched, breaching, held):
    decision = mailing(sqlite, watched, breaching).evaluate(START)
    assert len(customers(decision)) == breaching
    assert {notice.held for notice in decision.notices if notice.kind == "customer"} == {held}
    assert operations(decision) == ([("held", "ops_held", "")] if held else [])


def test_held_notices_wait_under_one_hold_and_operations_hear_of_them(database):
    it = mailing(database, 40, 25)
    decision = it.evaluate(START)
    (notice,) = [notice for notice in decision.notices if notice.kind == "ops"]
    facts = HeldFacts.from_json(notice.facts)
    assert (facts.number, facts.customers, facts.watched, facts.allowed) == (25, 25, 40, 20)
    assert facts.examples == tuple(f"C{number:03}" for number in range(10))
    assert notice.addresses == ("ops@example.com", "night@example.com")  # no route names them, so everybody is told
    with database.connect() as connection:
        (hold,) = holds.list_holds(connection)
        waiting = outbox.list_deliveries(connection)
    assert (hold.monitor, hold.at, hold.notices, hold.watched, hold.status) == ("m", START, 25, 40, "held")
    assert sum(item.delivery.status == "held" for item in waiting) == 25
    assert sum(item.delivery.status == "queued" for item in waiting) == 2
    assert it.evaluate(START + HOUR).notices == ()  # decided is decided


def test_a_second_hold_for_the_same_instant_is_a_hold_of_its_own(sqlite):
    it = mailing(sqlite, 60, 25)
    assert operations(it.evaluate(START)) == [("held", "ops_held", "")]
    for number in range(25, 50):
        it.use(f"C{number:03}", START - HOUR, 11)
    again = it.evaluate(START)
    assert (len(customers(again)), operations(again)) == (25, [("held", "ops_held", "")])


def test_many_days_of_few_customers_are_no_mass_mailing(sqlite):
    low = {"window": "day", "thresholds": {"low": {"severity": "warning", "min": "1"}}}
    it = mailing(sqlite, 12, 0, **low, notify={"tell": {"when": "low", "to": "customer"}})
    it.evaluate(START - 6 * DAY)
    decision = it.evaluate(START)
    assert len(customers(decision)) == 6 * 12
    assert operations(decision) == []


def test_customers_that_are_judged_for_two_periods_are_watched_once(sqlite):
    thresholds = {**HIGH, "low": {"severity": "warning", "min": "1", "grace": "1h"}}
    it = mailing(sqlite, 240, 0, window="day", thresholds=thresholds)
    it.evaluate(START - DAY)
    for number in range(25):
        it.use(f"C{number:03}", START - 4 * HOUR, 11)  # before midnight in Stockholm
    decision = it.evaluate(START - HOUR - HOUR / 2)  # half past midnight: both days are judged
    assert len(it.evaluated(START - HOUR - HOUR / 2).verdicts) == 480
    assert operations(decision) == [("held", "ops_held", "")]
    assert decision.watched == 240


def test_the_standing_of_the_store_is_not_a_customer(database):
    it = watching(database)
    states(it, "xx")
    decision = it.evaluate(START + HOUR)
    assert [standing.subject.kind for standing in decision.standings] == [SubjectKind.STORE]
    assert decision.watched == 1
