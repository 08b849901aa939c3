"""What did not happen: a min is judged when its period is over, once, and only where few messages mean little usage."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest
from building import member, utc
from feed import Watching, customers, operations

from ledger.database import Database, open_database
from ledger.records import Reason

LOW = {"low": {"severity": "warning", "min": "5"}}
GRACED = {"low": {"severity": "warning", "min": "5", "grace": "2h"}}
BOTH = {"high": {"severity": "error", "max": "20"}, "low": {"severity": "warning", "min": "5", "grace": "2h"}}
TELL = {"tell": {"when": "low", "to": "customer"}}
TELL_BOTH = {"tell": {"when": ["high", "low"], "to": "customer"}}
NIGHT = utc(2026, 10, 20, 22)  # midnight in Stockholm: the 20th is over, the 21st begins
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def database(ledger_url: str) -> Iterator[Database]:
    found = open_database(ledger_url, simulation=True, now=NIGHT)
    yield found
    found.close()


@pytest.fixture
def sqlite(tmp_path) -> Iterator[Database]:
    found = open_database(f"sqlite:///{tmp_path / 'x.db'}", simulation=True, now=NIGHT)
    yield found
    found.close()


def alive(it: Watching) -> Watching:
    """A monitor that was watching before, over a feed that does not stop."""
    it.beat(NIGHT - 70 * DAY, NIGHT + 60 * DAY)
    it.evaluate(NIGHT - 2 * HOUR)
    return it


def test_a_customer_that_appears_in_no_log_is_told_once_its_day_is_over(database):
    it = alive(Watching(database, (member("A"), member("B")), thresholds=LOW, notify=TELL))
    it.use("A", NIGHT - 5 * HOUR, 5)
    assert customers(it.evaluate(NIGHT - timedelta(milliseconds=1))) == []
    assert customers(it.evaluate(NIGHT)) == [("B", "low", "2026-10-20")]
    assert [customers(it.evaluate(NIGHT + n * HOUR)) for n in range(1, 24)] == [[]] * 23
    assert customers(it.evaluate(NIGHT + DAY)) == [("A", "low", "2026-10-21"), ("B", "low", "2026-10-21")]


def test_each_min_waits_for_its_own_grace(sqlite):
    thresholds = {
        "few": {"severity": "warning", "min": "5", "grace": "1h"},
        "none": {"severity": "error", "min": "1", "grace": "26h"},
    }
    it = alive(
        Watching(
            sqlite, (member("A"),), thresholds=thresholds, notify={"t": {"when": ["few", "none"], "to": "customer"}}
        )
    )
    assert customers(it.evaluate(NIGHT + HOUR - timedelta(milliseconds=1))) == []
    assert customers(it.evaluate(NIGHT + HOUR)) == [("A", "few", "2026-10-20")]
    assert customers(it.evaluate(NIGHT + 2 * HOUR)) == [("A", "none", "2026-10-19")]
    assert customers(it.evaluate(NIGHT + 25 * HOUR)) == [("A", "few", "2026-10-21")]
    assert customers(it.evaluate(NIGHT + 26 * HOUR)) == [("A", "none", "2026-10-20")]


def test_messages_that_arrive_within_the_grace_count_and_later_ones_do_not_undo_what_was_told(sqlite):
    it = alive(Watching(sqlite, (member("A"), member("B")), thresholds=GRACED, notify=TELL))
    for who, delay in (("A", 1), ("B", 3)):
        it.feed.messages += [(NIGHT - HOUR, who, NIGHT + delay * HOUR)] * 5
    assert customers(it.evaluate(NIGHT + HOUR / 2)) == []
    assert customers(it.evaluate(NIGHT + 2 * HOUR)) == [("B", "low", "2026-10-20")]
    assert it.evaluate(NIGHT + 4 * HOUR).notices == ()


def test_days_that_ended_while_the_service_was_down_are_judged_once_each_and_in_order(sqlite):
    it = alive(Watching(sqlite, (member("A"), member("T", zone="Asia/Tokyo")), thresholds=LOW, notify=TELL))
    it.use("A", NIGHT + DAY, 5)  # on the 22nd
    told = customers(it.evaluate(NIGHT + 3 * DAY))
    assert [day for who, _, day in told if who == "A"] == ["2026-10-20", "2026-10-21", "2026-10-23"]
    assert [day for who, _, day in told if who == "T"] == ["2026-10-21", "2026-10-22", "2026-10-23"]
    assert customers(it.evaluate(NIGHT + 3 * DAY + HOUR)) == []


def test_the_first_evaluation_judges_the_min_of_the_last_period_and_nothing_else_of_the_time_before(sqlite):
    it = Watching(sqlite, (member("A"), member("B")), thresholds={**BOTH, **LOW}, notify=TELL_BOTH)
    it.beat(NIGHT - 9 * DAY, NIGHT + 9 * DAY)
    it.use("A", NIGHT - HOUR, 30)
    assert customers(it.evaluate(NIGHT + HOUR)) == [("B", "low", "2026-10-20")]
    assert customers(it.evaluate(NIGHT + 2 * HOUR)) == []


def test_a_max_of_before_the_first_evaluation_is_not_told_at_the_second_either(sqlite):
    it = Watching(sqlite, (member("A"),), thresholds=BOTH, notify=TELL_BOTH)
    it.beat(NIGHT - 9 * DAY, NIGHT + 9 * DAY)
    it.use("A", NIGHT - HOUR, 30)
    assert [customers(it.evaluate(NIGHT + n * HOUR / 2)) for n in range(1, 10)] == [[]] * 9


def test_what_is_used_between_the_last_evaluation_and_the_end_of_a_period_still_counts_against_a_max(sqlite):
    it = alive(Watching(sqlite, (member("A"),), thresholds=BOTH, notify=TELL_BOTH))
    it.use("A", NIGHT - HOUR, 30)
    assert customers(it.evaluate(NIGHT + HOUR)) == [("A", "high", "2026-10-20")]
    assert customers(it.evaluate(NIGHT + 2 * HOUR)) == []


def test_every_customer_has_its_own_zone_and_billing_day(sqlite):
    people = (member("S"), member("Q", billing_day=21), member("T", zone="Asia/Tokyo", billing_day=21))
    it = alive(Watching(sqlite, people, thresholds=LOW, notify=TELL, window="billing month"))
    # the Japanese month that ended on the 20th had its end before the monitor's first evaluation, and is its last one
    assert customers(it.evaluate(NIGHT)) == [("Q", "low", "2026-09-21")]
    assert customers(it.evaluate(utc(2026, 10, 31, 23))) == [("S", "low", "2026-10-01")]
    assert customers(it.evaluate(utc(2026, 11, 20, 14, 59))) == []
    assert customers(it.evaluate(utc(2026, 11, 20, 15))) == [("T", "low", "2026-10-21")]
    assert customers(it.evaluate(utc(2026, 11, 20, 23))) == [("Q", "low", "2026-10-21")]


def test_a_contract_that_covers_part_of_a_period_is_not_told_as_little_usage(sqlite):
    people = (
        member("Part", valid_from=date(2026, 10, 2)),
        member("Gone", valid_until=date(2026, 10, 31)),
        member("Whole", valid_from=date(2026, 10, 1), valid_until=date(2026, 11, 1)),
        member("Never", valid_from=date(2026, 11, 1)),
    )
    it = alive(Watching(sqlite, people, thresholds=LOW, notify=TELL, window="month"))
    found = it.evaluated(utc(2026, 10, 31, 23))
    assert {verdict.subject.id: verdict.reason for verdict in found.verdicts} == {
        "Part": Reason.PARTIAL_PERIOD,
        "Gone": Reason.PARTIAL_PERIOD,
        "Whole": Reason.BELOW_MIN,
    }
    assert customers(it.evaluate(utc(2026, 10, 31, 23))) == [("Whole", "low", "2026-10-01")]
    assert customers(it.evaluate(utc(2026, 11, 30, 23))) == [
        ("Never", "low", "2026-11-01"),
        ("Part", "low", "2026-11-01"),
    ]


def test_a_period_is_as_low_as_its_logs_also_where_they_only_begin_in_it(sqlite):
    it = Watching(sqlite, (member("A"),), thresholds=LOW, notify=TELL)
    it.beat(NIGHT - DAY + 10 * HOUR, NIGHT + DAY)
    assert customers(it.evaluate(NIGHT)) == [("A", "low", "2026-10-20")]


def test_while_messages_are_known_to_be_missing_no_low_count_is_believed_and_the_period_waits(sqlite):
    it = Watching(sqlite, (member("A"),), thresholds=LOW, notify=TELL)
    it.beat(NIGHT - DAY, NIGHT + DAY)
    doubtful = it.evaluated(NIGHT, behind=True)
    assert [verdict.reason for verdict in doubtful.verdicts] == [Reason.LOGS_STALE]
    assert doubtful.judged_through is None
    assert customers(it.evaluate(NIGHT)) == [("A", "low", "2026-10-20")]


def stopping(database: Database, **notify) -> Watching:
    """A feed that stops two hours before midnight and goes on in the morning."""
    it = Watching(database, (member("A"), member("B")), thresholds=BOTH, notify=notify)
    it.beat(NIGHT - 20 * DAY, NIGHT - 2 * HOUR)
    it.beat(NIGHT + 8 * HOUR, NIGHT + 20 * DAY)
    it.evaluate(NIGHT - 3 * HOUR)
    return it


def test_when_the_feed_has_stopped_operations_are_told_that_instead_and_customers_once_it_goes_on(database):
    it = stopping(database, tell=TELL_BOTH["tell"], page={"when": "low", "to": "ops", "recovery": True})
    it.use("A", NIGHT - 4 * HOUR, 5)
    assert it.evaluate(NIGHT - HOUR).notices == ()
    stale = it.evaluate(NIGHT + 3 * HOUR)
    assert (customers(stale), operations(stale)) == ([], [("page", "breach", "logs_stale")])
    (notice,) = stale.notices
    assert notice.facts["newest"] == "2026-10-20T21:00:00+02:00"
    assert stale.evaluation.outcome == "stale"
    found = it.evaluated(NIGHT + 3 * HOUR)
    judged = {verdict.subject.id: verdict for verdict in found.verdicts if verdict.period.end == NIGHT}
    assert (judged["A"].state, judged["A"].reason) == ("ok", Reason.WITHIN_LIMITS)  # what is there is enough
    assert (judged["B"].state, judged["B"].reason) == ("unavailable", Reason.LOGS_STALE)
    assert it.evaluate(NIGHT + 7 * HOUR).notices == ()
    fresh = it.evaluate(NIGHT + 9 * HOUR)
    assert customers(fresh) == [("B", "low", "2026-10-20")]
    assert operations(fresh) == [("page", "breach", "B Ltd")]
    assert operations(it.evaluate(NIGHT + 10 * HOUR)) == [("page", "recovery", "logs_stale")]


def test_a_feed_that_has_stopped_keeps_no_max_from_being_told(sqlite):
    it = stopping(sqlite, tell=TELL_BOTH["tell"])
    it.use("A", NIGHT - 2 * HOUR - HOUR / 2, 21)
    assert customers(it.evaluate(NIGHT + 3 * HOUR)) == [("A", "high", "2026-10-20")]


def test_where_only_customers_would_be_told_of_a_min_all_of_operations_are_told_that_the_feed_has_stopped(sqlite):
    it = stopping(sqlite, tell=TELL_BOTH["tell"])
    decision = it.evaluate(NIGHT + 3 * HOUR)
    assert operations(decision) == [("logs_stale", "breach", "logs_stale")]
    assert decision.notices[0].addresses == ("ops@example.com", "night@example.com")


def test_a_route_for_the_morning_is_told_then_what_was_judged_at_night(sqlite):
    notify = {
        "tell": {"when": "low", "to": "customer", "hours": "08:00-09:00"},
        "page": {"when": "low", "to": "ops", "hours": "22:00-23:00"},
    }
    it = alive(Watching(sqlite, (member("A"),), thresholds=LOW, notify=notify))
    told = {n: it.evaluate(NIGHT + n * HOUR) for n in range(25)}
    assert [n for n, decision in told.items() if customers(decision)] == [8]
    assert [n for n, decision in told.items() if operations(decision)] == [22]
    assert customers(told[8]) == [("A", "low", "2026-10-20")]


def test_the_total_of_all_has_its_min_too(sqlite):
    page = {"page": {"when": "low", "to": "ops", "repeat": "1h", "recovery": True}}
    it = alive(Watching(sqlite, (member("A"), member("B")), per="total", thresholds=LOW, notify=page))
    it.use("A", NIGHT - HOUR, 2)
    it.use("B", NIGHT - HOUR, 2)
    assert operations(it.evaluate(NIGHT)) == [("page", "breach", "total")]
    it.use("B", NIGHT + HOUR, 5)
    assert [operations(it.evaluate(NIGHT + n * HOUR)) for n in range(1, 25)] == [[]] * 24


def test_a_min_is_neither_repeated_nor_taken_back_though_its_period_is_looked_at_longer(sqlite):
    thresholds = {**LOW, "none": {"severity": "error", "min": "1", "grace": "20h"}}
    page = {"page": {"when": ["low", "none"], "to": "ops", "repeat": "1h", "recovery": True}}
    it = alive(Watching(sqlite, (member("A"),), thresholds=thresholds, notify=page))
    it.feed.messages += [(NIGHT - HOUR, "A", NIGHT + 5 * HOUR)] * 9
    assert operations(it.evaluate(NIGHT)) == [("page", "breach", "A Ltd")]
    assert [operations(it.evaluate(NIGHT + n * HOUR)) for n in range(1, 23)] == [[]] * 22


def test_without_a_roster_whoever_was_found_is_judged_and_whoever_was_not_is_nobody(sqlite):
    page = {"page": {"when": "low", "to": "ops"}}
    it = alive(Watching(sqlite, None, thresholds=LOW, notify=page))
    it.use("x", NIGHT - HOUR, 4)
    it.use("y", NIGHT - HOUR, 5)
    it.use("y" * 600, NIGHT - HOUR, 1)
    assert operations(it.evaluate(NIGHT)) == [("page", "breach", "x")]  # "nobody" beats every hour


def test_an_id_that_the_ledger_cannot_keep_is_counted_in_the_figures_and_watched_by_nobody(database):
    page = {"page": {"when": "high", "to": "ops"}}
    it = alive(Watching(database, None, thresholds={"high": {"severity": "error", "max": "50"}}, notify=page))
    for who in ("y" * 600, "a\0b", "z"):
        it.use(who, NIGHT + HOUR, 60)
    decision = it.evaluate(NIGHT + 2 * HOUR)
    assert operations(decision) == [("page", "breach", "z")]
    assert decision.evaluation.figures["unfit_ids"] == 2


def test_too_little_is_told_though_too_much_was_told_before(sqlite):
    """Only an average, a latest value and the like can be both in one period; here the min lies above the max."""
    thresholds = {"half": {"severity": "error", "max": "10"}, "goal": {"severity": "warning", "min": "20"}}
    notify = {"tell": {"when": ["half", "goal"], "to": "customer"}}
    it = alive(Watching(sqlite, (member("A"),), thresholds=thresholds, notify=notify))
    it.use("A", NIGHT + HOUR, 15)
    assert customers(it.evaluate(NIGHT)) == [("A", "goal", "2026-10-20")]
    assert customers(it.evaluate(NIGHT + 2 * HOUR)) == [("A", "half", "2026-10-21")]
    assert customers(it.evaluate(NIGHT + DAY)) == [("A", "goal", "2026-10-21")]


@pytest.mark.parametrize("window", ["day", "week", "month", "billing month"])
def test_every_window_is_judged_at_its_end(sqlite, window):
    it = alive(Watching(sqlite, (member("A"),), thresholds=LOW, notify=TELL, window=window))
    ends: dict[str, datetime] = {
        "day": NIGHT,
        "week": utc(2026, 10, 25, 23),
        "month": utc(2026, 10, 31, 23),
        "billing month": utc(2026, 10, 31, 23),
    }
    assert it.evaluate(ends[window] - timedelta(seconds=1)).notices == () or window != "day"
    assert [threshold for _, threshold, _ in customers(it.evaluate(ends[window]))] == ["low"]
