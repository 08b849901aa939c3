"""The service: what is due is done, once, whatever fails beside it and however long it was down."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from service_world import CONFIGURATION, START, World, evaluations, statuses

from ledger import due, outbox, parts, statements
from ledger.due import Due
from ledger.lease import LeaseTakenError
from ledger.parts import Part
from logviews.fields import read_as

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LAST_OF_OCTOBER = START.replace(day=31, hour=22)


@pytest.fixture
def world(tmp_path, ledger_url):
    made = World(tmp_path, ledger_url)
    made.write()
    return made


def test_monitors_are_evaluated_on_their_schedules(world):
    world.log("A", START)
    with world.service() as service:
        world.run(service, HOUR)
        instants = [item.at for item in evaluations(service.database, "monthly")]
        assert instants == [START + 5 * MINUTE, *(START + number * 15 * MINUTE for number in range(1, 5))]
        assert len(evaluations(service.database, "daily")) == 2


def test_what_is_picked_up_is_counted_and_told_in_the_same_tick(world):
    world.log("A", START, 10)
    with world.service() as service:
        world.run(service, 5 * MINUTE)
    assert world.mails() == ["2026-10-05_near_limit_a", "2026-10-05_ops_digest_daily"]


def test_a_store_that_fails_stops_no_other_monitor_and_pages_at_the_second_time(world):
    world.log("A", START, 10)
    (world.folder / "other-events").mkdir()
    with world.service() as service:
        world.run(service, 5 * MINUTE)
        break_store(service, world)
        world.now = START + 58 * MINUTE
        world.run(service, 2 * MINUTE, MINUTE)
        assert evaluations(service.database, "elsewhere")[-1].outcome == "unavailable"
        assert evaluations(service.database, "monthly")[-1].outcome == "done"
        assert not [name for name in world.mails() if "ops_store" in name]
        world.run(service, MINUTE, MINUTE)  # tried again after a minute, not after an hour
        assert [name for name in world.mails() if "ops_store" in name]


def break_store(service, world):
    """Registers a part whose file is not there."""
    read = read_as(service.loaded.config.stores["other"])
    gone = Part("other", "0" * 64, "parts/gone.parquet", "messages", 1, 0, START, START, START, "x", (), read)
    with service.database.begin() as connection:
        parts.add(connection, gone, {})


def test_a_job_that_keeps_failing_is_told_to_operations_once_and_stops_no_other(world):
    (world.folder / "events").write_text("a file where the store's folder should be")
    world.log("A", START)
    with world.service() as service:
        world.run(service, 30 * MINUTE)
        assert len(evaluations(service.database, "monthly")) > 1
        told = [name for name in world.mails() if "ops_news" in name]
        assert len(told) == 1
        with service.database.connect() as connection:
            assert due.load(connection)["pick up web"].failures > 3


def test_while_logs_are_known_to_be_unread_nobody_is_told_of_low_usage(world):
    for hours in (-24, -1, 13):
        world.log("A", START + hours * HOUR)
    with world.service() as service:
        world.run(service, MINUTE, MINUTE)
        with service.database.begin() as connection:
            behind = due.load(connection)["pick up web"]
            due.put(connection, Due(behind.name, START + 90 * DAY, behind.rule, 1, "more is there"))
        world.now = START + 14 * HOUR  # the day is over, and its grace
        (world.folder / "logs" / "app.jsonl").unlink()
        world.run(service, 5 * MINUTE)
        assert not [name for name in world.mails() if name == "2026-10-06_ops_digest_daily"]


def test_after_downtime_open_periods_are_evaluated_once_and_ended_ones_judged_once_each(world):
    for day in range(6):
        world.log("A", START + day * DAY - HOUR)
    with world.service() as service:
        world.run(service, HOUR)
    world.now = START + 5 * DAY
    with world.service() as service:
        world.run(service, 10 * MINUTE)
        before = [item for item in evaluations(service.database, "monthly") if item.at > START + 2 * HOUR]
        assert len(before) == 1
        silent = [name for name in world.mails() if "ops_digest" in name]
        with service.database.connect() as connection:
            keys = outbox.used_keys(connection, "daily", START - 30 * DAY)
        told = sorted((key.split("|")[4][:10], key.rsplit(":", 1)[1]) for key in keys if key.startswith("ops|"))
    assert silent
    # of the days before the first evaluation the last one is judged; A was heard of on every day from the 5th on
    both = [("2026-10-04", name) for name in "AB"]
    assert told == [*both, *((f"2026-10-{day:02}", "B") for day in range(5, 10))]


def test_a_restart_decides_and_delivers_nothing_twice(world):
    world.log("A", START, 10)
    for _ in range(3):
        with world.service() as service:
            world.run(service, 20 * MINUTE)
            assert statuses(service.database) == {"delivered": 2}


def test_a_second_service_on_the_same_ledger_is_refused(world):
    with world.service(), pytest.raises(LeaseTakenError, match="another `tallywatch run`"), world.service():
        pass


def test_a_month_whose_feed_stopped_is_not_closed_without_a_person_and_operations_are_told(world):
    world.log("A", START, 12)
    with world.service() as service:
        world.run(service, HOUR)
        world.now = START.replace(month=11, day=5)
        world.run(service, HOUR)
        with service.database.connect() as connection:
            assert not statements.of_month(connection, "2026-10")
    assert len([name for name in world.mails() if "ops_news" in name]) == 1


def test_a_month_is_closed_once_it_has_settled_and_its_files_are_written(world):
    world.log("A", START, 11)
    with world.service() as service:
        world.run(service, HOUR)
        world.now = START.replace(month=11, day=3, hour=23)
        world.log("A", LAST_OF_OCTOBER)
        world.run(service, 30 * MINUTE)
        assert not (world.folder / "exports").exists()
        world.run(service, HOUR)
        with service.database.connect() as connection:
            assert len(statements.of_month(connection, "2026-10")) == 1
    content = (world.folder / "exports/2026-10/billing.csv").read_text()
    assert content.splitlines()[1:] == ["A,basic,12,10,2,0.02", "B,basic,0,10,0,0.00"]
    assert [name for name in world.mails() if "ops_news" in name]


def test_files_that_a_crash_kept_from_being_written_are_written_after_the_restart(world):
    world.log("A", START, 11)
    with world.service() as service:
        world.run(service, HOUR)
        world.now = START.replace(month=11, day=5)
        world.log("A", LAST_OF_OCTOBER)
        world.run(service, HOUR)
        written = world.folder / "exports/2026-10/billing.csv"
        content = written.read_bytes()
        written.unlink()
        with service.database.begin() as connection:  # as it is between sealing and writing
            due.put(connection, Due("write 2026-10", world.now, "every 6:00:00"))
    with world.service() as service:
        world.run(service, 5 * MINUTE)
        with service.database.connect() as connection:
            assert "write 2026-10" not in due.load(connection)
    assert written.read_bytes() == content


def test_a_changed_roster_is_taken_over_while_the_service_runs(world):
    world.log("C", START, 10)
    with world.service() as service:
        world.run(service, HOUR)
        world.write(customers=("A", "B", "C"))
        world.run(service, 30 * MINUTE)
    assert "2026-10-05_near_limit_c" in world.mails()


def test_a_broken_configuration_keeps_what_runs_and_is_told_to_operations_once(world):
    with world.service() as service:
        world.run(service, 10 * MINUTE)
        world.write(CONFIGURATION + "views: {{}}\n")
        world.run(service, HOUR)
        assert len(evaluations(service.database, "monthly")) == 5
        assert len([name for name in world.mails() if "ops_news" in name]) == 1
        world.write(CONFIGURATION.replace("every: 15m", "every: 5m"))
        world.run(service, HOUR)
        assert len(evaluations(service.database, "monthly")) > 14


def test_another_database_needs_a_restart(world):
    with world.service() as service:
        world.run(service, 10 * MINUTE)
        text = CONFIGURATION.replace('database: "{url}"', 'database: "sqlite:///new.db"')
        world.write(text)
        world.run(service, 15 * MINUTE)
        assert service.loaded.config.settings.database != "sqlite:///new.db"
        assert [name for name in world.mails() if "ops_news" in name]


def test_a_reload_that_is_asked_for_comes_with_the_next_tick(world):
    with world.service() as service:
        world.run(service, 5 * MINUTE)
        before = service.loaded
        service.ask_for_reload()
        world.run(service, 5 * MINUTE)
        assert service.loaded is not before


def test_a_file_that_is_written_while_the_service_looks_is_read_when_it_is_done(world):
    with world.service() as service:
        world.run(service, 5 * MINUTE)
        world.config.write_text("settings: {")
        service.tick()
        world.write()
        os.utime(world.config)
        world.run(service, 15 * MINUTE)
    assert not [name for name in world.mails() if "ops_news" in name]
