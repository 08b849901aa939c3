"""The service evaluates from tallies, and counts what nobody has counted in the background."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from service_world import CONFIGURATION, START, World, evaluations

from ledger import due, watermarks
from ledger.database import Database
from ledger.watermarks import Watermark
from logviews.embedded.store import Embedded
from tallywatch.doctor import state
from tallywatch.service import heartbeat, tallying
from tallywatch.service.service import Service

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BUSY = """  busy: {{store: web, where: {{customer: A}}}}
monitors:
  watched:
    view: busy
    window: month
    schedule: {{every: 6h}}
    thresholds: {{some: {{severity: warning, max: 2}}}}
"""


@pytest.fixture
def world(tmp_path: Path, ledger_url: str) -> World:
    made = World(tmp_path, ledger_url)
    made.write()
    for day in range(1, 5):
        made.log("A", START.replace(day=day), 2)
    made.log("A", START)
    return made


@pytest.fixture
def service(world: World) -> Iterator[Service]:
    with world.service() as started:
        yield started


def marks(database: Database) -> tuple[Watermark, ...]:
    with database.connect() as connection:
        return watermarks.load_all(connection)


def change_sums(database: Database, more: int) -> None:
    """Makes the sums say more than the logs, to see who reads them."""
    with database.begin() as connection:
        connection.exec_driver_sql(
            f'UPDATE quantity SET messages = messages + {more}, "values" = "values" + {more}, '
            f"quantity = CAST(CAST(quantity AS INTEGER) + {more} AS TEXT)"
        )


def test_scheduled_evaluations_count_from_the_sums(world: World, service: Service) -> None:
    world.run(service, 5 * MINUTE)
    assert evaluations(service.database, "monthly")[-1].figures["ok"] == 2
    change_sums(service.database, 3)
    world.run(service, 15 * MINUTE)
    assert evaluations(service.database, "monthly")[-1].figures["warning"] == 1
    assert evaluations(service.database, "monthly")[-1].figures["integrity"]["duplicates"] is None


def test_monitors_of_one_filter_count_it_once_a_tick(
    world: World, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run(service, 5 * MINUTE)
    (calls, others) = sorted(marks(service.database), key=lambda mark: mark.store, reverse=True)
    assert set(calls.cuts) == {"customer month", "customer day"} and set(others.cuts) == {"customer month"}
    asked, changes = [], Embedded.changes
    monkeypatch.setattr(Embedded, "changes", lambda self, *about: asked.append(self.name) or changes(self, *about))
    world.now = START + HOUR
    world.log("A", START + 59 * MINUTE)

    def clock() -> datetime:  # one that goes on while the service works
        world.now += timedelta(milliseconds=7)
        return world.now

    service.clock = clock
    service.tick()  # `monthly` and `daily` are due
    assert len({evaluations(service.database, name)[-1].at for name in ("monthly", "daily")}) == 1
    after = next(mark for mark in marks(service.database) if mark.hash == calls.hash)
    assert (after.revision, asked) == (calls.revision + 1, ["web", "other"])


def test_what_is_not_counted_yet_decides_nothing_pages_nobody_and_goes_on_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.log("A", START.replace(day=4, hour=13), 20)
    monkeypatch.setattr(tallying, "SECONDS_A_TICK", 0.0)
    with world.service() as service:
        world.run(service, 3 * MINUTE, MINUTE)
        found = evaluations(service.database, "monthly")
        assert [(item.outcome, item.figures["unavailable"]) for item in found] == [("backfilling", 2)] * 3
        assert found[0].figures["counted"] == "0 of 5 days"
        assert world.mails() == []
        assert heartbeat.ailment(service.loaded, service.database, world.now) is None
        told = state.evaluation("monthly", found[-1], {}, world.now)
        assert (told.state, "0 of 5 days" in told.found) == ("warning", True)
        with service.database.connect() as connection:
            entry = due.load(connection)["evaluate monthly"]
        assert (entry.failures, entry.at) == (0, world.now + MINUTE)
    monkeypatch.setattr(tallying, "SECONDS_A_TICK", 10.0)
    with world.service() as service:
        world.run(service, MINUTE, MINUTE)
        assert evaluations(service.database, "monthly")[-1].outcome == "done"
    assert world.mails() == ["2026-10-05_near_limit_a", "2026-10-05_ops_digest_daily"]


def test_a_view_that_is_new_is_counted_before_its_monitor_is_due(
    world: World, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run(service, 5 * MINUTE)
    monkeypatch.setattr(tallying, "SECONDS_A_TICK", 0.0)
    world.write(CONFIGURATION.replace("monitors:\n", BUSY))
    before = {mark.hash for mark in marks(service.database)}
    service.ask_for_reload()
    world.run(service, 10 * MINUTE)
    (new,) = [mark for mark in marks(service.database) if mark.hash not in before]
    first = evaluations(service.database, "watched")[0]
    assert (first.outcome, new.since) == ("backfilling", new.since.replace(minute=0))
    service._tallying.allowance.seconds = 10.0
    world.run(service, 5 * MINUTE)
    assert evaluations(service.database, "watched")[-1].outcome == "done"


def test_a_store_that_cannot_be_counted_is_unavailable_and_not_backfilling(world: World, service: Service) -> None:
    world.run(service, 5 * MINUTE)
    for part in (world.folder / "events" / "parts").iterdir():
        part.rename(world.folder / part.name)
    world.now = START + 14 * MINUTE
    world.run(service, MINUTE, MINUTE)
    assert evaluations(service.database, "monthly")[-1].outcome == "unavailable"
    assert "missing" in evaluations(service.database, "monthly")[-1].figures["problem"]


def test_tallies_of_views_that_are_gone_go_a_week_later(world: World, service: Service) -> None:
    world.run(service, 5 * MINUTE)
    gone = next(mark for mark in marks(service.database) if mark.store == "other")
    text = CONFIGURATION.replace("others: {{store: other}}", "others: {{store: web, where: {{customer: A}}}}")
    world.write(text)
    service.ask_for_reload()
    world.run(service, 10 * MINUTE)
    assert gone.hash in {mark.hash for mark in marks(service.database)}
    world.now = START + 6 * DAY
    world.run(service, HOUR, 30 * MINUTE)
    assert gone.hash in {mark.hash for mark in marks(service.database)}
    world.now = START + 7 * DAY
    world.run(service, HOUR, 30 * MINUTE)
    assert gone.hash not in {mark.hash for mark in marks(service.database)}


def test_after_days_without_the_service_what_was_missed_is_counted_and_judged(world: World) -> None:
    with world.service() as service:
        world.run(service, 5 * MINUTE)
    for day in range(6, 21):
        world.log("A", START.replace(day=day))
    world.now = START.replace(day=20)
    with world.service() as service:
        world.run(service, 5 * MINUTE)
        found = evaluations(service.database, "monthly")[-1]
        assert (found.outcome, found.figures["warning"]) == ("done", 1)
        assert {mark.counted_to for mark in marks(service.database)} == {found.at}


def test_the_allowance_of_a_tick_is_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 4.0, 6.0, 100.0, 103.0, 105.0, 107.0])
    monkeypatch.setattr(tallying.time, "monotonic", lambda: next(clock))
    allowance = tallying.Allowance(10.0)
    with allowance:
        assert allowance.left()  # 4 seconds are gone
    with allowance:  # and 6 when it began
        assert allowance.left()
        assert not allowance.left()  # 11
    allowance.renew()
    assert allowance.left()
