"""The keeper: tallies come to what the logs come to, whatever happens, and cost what has changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from plain_store import PlainStore
from random_steps import changes, later, messages, refresh
from tallies_world import (
    MONTHLY,
    OFF_THE_HOUR,
    VIEWS,
    ZONES,
    World,
    member,
    needed,
    random_roster,
    roster_of,
)

from ledger import watermarks
from ledger.database import Database, open_database
from logviews.store import StoreUnavailable
from logviews.tallies import keeper as keepers
from logviews.tallies.keeper import KEPT_FOR, Keeper
from logviews.tallies.keys import HOUR
from logviews.tallies.pieces import Progress
from logviews.tallies.segments import Cut
from logviews.tallies.tallied import BackfillingError
from logviews.tallies.unused import UNUSED_FOR, drop_unused

START = datetime(2026, 10, 1, tzinfo=UTC)
NOW = datetime(2026, 10, 28, 9, 20, 30, 123000, tzinfo=UTC)
MONTH = datetime(2026, 9, 30, 22, tzinfo=UTC)  # the first of October in Stockholm


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'ledger.db'}", simulation=False, now=START)
    yield opened
    opened.close()


@pytest.fixture
def world(database: Database) -> World:
    store = PlainStore()
    # the same messages, asked by somebody else: `counted` tells what the keeper asked
    return World(database, store, PlainStore(store.events, store.journal), cuts=frozenset({MONTHLY}))


def logs(world: World) -> PlainStore:
    assert isinstance(world.store, PlainStore)
    return world.store


def always() -> bool:
    return True


def never() -> bool:
    return False


def up(world: World, at: datetime, name: str = "messages", **changed: Any) -> Keeper:
    """Brought up to an instant, from the beginning of the month on."""
    keeper = world.keeper(name, **changed)
    assert keeper.bring_up(at, MONTH, always) is None
    return keeper


def counted(world: World) -> list[tuple[datetime, datetime]]:
    """What the store has been asked to count since this was called last, as stretches."""
    found = [(query.edges[0], query.edges[-1]) for query in logs(world).asked]
    logs(world).asked.clear()
    return found


def fill(world: World, days: int = 27, first: int = 0) -> None:
    """A message of A every three hours."""
    for number in range(first * 8, days * 8):
        logs(world).add(START + timedelta(hours=3 * number), "A")


@pytest.mark.parametrize("seed", range(5))
def test_readings_from_tallies_are_those_from_the_logs_after_every_random_step(database: Database, seed: int) -> None:
    dice = Random(seed)
    now = dice.choice([datetime(2026, 10, 20, tzinfo=UTC), datetime(2026, 3, 25, tzinfo=UTC)])
    now += timedelta(hours=dice.randint(0, 200), milliseconds=dice.randint(0, 3_600_000))
    zones = ZONES + OFF_THE_HOUR if seed == 3 else ZONES
    store = PlainStore()
    world = World(database, store, store, roster=random_roster(dice, now, zones))
    names = dice.sample(sorted(VIEWS), 2)
    for _ in range(6):
        messages(dice, now, 12, store.add)
        if store.events and dice.random() < 0.3:
            store.remove(dice.choice(store.events))
        changes(dice, world, now, zones)
        now = later(dice, now)
        if dice.random() < 0.05:
            now -= timedelta(hours=dice.randint(1, 30))
        for name in names:
            refresh(dice, world, name, now)


def test_the_same_holds_on_postgresql(postgresql_url: str) -> None:
    opened = open_database(postgresql_url, simulation=False, now=START)
    try:
        dice, store = Random(5), PlainStore()
        world = World(opened, store, store, roster=random_roster(dice, NOW))
        for step in range(4):
            messages(dice, NOW, 12, store.add)
            changes(dice, world, NOW)
            refresh(dice, world, ("latest", "sum", "max", "average")[step], NOW + step * HOUR)
    finally:
        opened.close()


def test_a_refresh_counts_the_hours_that_changed_and_the_one_that_runs(world: World) -> None:
    fill(world)
    up(world, NOW)
    counted(world)
    late, now = datetime(2026, 10, 7, 11, 30, tzinfo=UTC), NOW + timedelta(minutes=15)
    logs(world).add(late, "A")
    up(world, now)
    running = NOW.replace(minute=0, second=0, microsecond=0)
    hour = late.replace(minute=0)
    assert counted(world) == [(hour, hour + HOUR), (running, now)]
    world.compare("messages", now, before=0)


def test_an_evaluation_on_day_28_asks_as_little_as_one_on_day_2(world: World) -> None:
    asked = []
    for day in range(1, 29):
        now = START + timedelta(days=day, hours=-1, minutes=20)
        logs(world).add(now - timedelta(minutes=1), "A")
        up(world, now - timedelta(minutes=15))
        counted(world)
        up(world, now)
        asked.append([last - first for first, last in counted(world)])
    assert asked == [[timedelta(minutes=20)]] * 28


def test_where_nothing_has_changed_nothing_is_asked_and_nothing_written(world: World) -> None:
    fill(world)
    before = up(world, NOW).watermark()
    counted(world)
    assert up(world, NOW).watermark() == before
    assert counted(world) == []


def test_messages_of_the_time_to_come_count_when_it_has(world: World) -> None:
    logs(world).add(NOW + timedelta(minutes=5), "A")
    up(world, NOW)
    world.compare("messages", NOW, before=0)
    for minutes in (4, 5, 6, 90):
        at = NOW + timedelta(minutes=minutes)
        up(world, at)
        world.compare("messages", at, before=0)


def test_a_backfill_goes_from_the_newest_days_to_the_oldest_and_says_how_far_it_is(world: World) -> None:
    fill(world)
    keeper, turns = world.keeper("messages"), iter([True, True, True, True, False])
    found = keeper.bring_up(NOW, MONTH, lambda: next(turns))
    assert found == Progress(2, 28) and str(found) == "2 of 28 days"
    mark = keeper.watermark()
    assert mark is not None and mark.since < mark.counted_to == NOW
    world.sound(keeper)
    stretches = counted(world)[1:]  # after the hour that runs
    assert all(older[1] == newer[0] for newer, older in pairwise(stretches))
    assert [last - first for first, last in stretches] == [n * HOUR for n in (4, 8, 16, 24)]
    assert str(BackfillingError("calls", found)) == "view calls: 2 of 28 days are counted; the rest is being counted"
    assert keeper.bring_up(NOW, MONTH, never) == found
    assert keeper.bring_up(NOW, MONTH, always) is None
    world.sound(keeper)
    world.compare("messages", NOW, before=0)


def test_what_a_shorter_period_needs_is_there_before_a_longer_one_is_backfilled(world: World) -> None:
    fill(world)
    keeper = world.keeper("messages")
    turns = iter([True, True, False])
    assert keeper.bring_up(NOW, MONTH, lambda: next(turns)) is not None
    assert keeper.bring_up(NOW, NOW - 8 * HOUR, never) is None


def test_after_a_long_time_away_what_was_missed_is_counted_piece_by_piece(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepers, "AT_ONCE", 10)
    fill(world, days=10)
    keeper = up(world, START + timedelta(days=10))
    fill(world, first=10)
    turns = iter([True, False])
    assert keeper.bring_up(NOW, MONTH, lambda: next(turns)) is not None
    world.sound(keeper)
    mark = keeper.watermark()
    assert mark is not None and START + timedelta(days=10) < mark.counted_to < NOW
    assert keeper.bring_up(NOW, MONTH, never) is not None  # it is not asked for the same changes again and again
    assert keeper.bring_up(NOW, MONTH, always) is None
    world.sound(keeper)
    world.compare("messages", NOW, before=0)


def test_a_late_month_of_messages_waits_in_pieces_and_its_mark_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = up(world, NOW)
    monkeypatch.setattr(keepers, "AT_ONCE", 20)
    fill(world)
    turns = iter([True, False])
    progress = keeper.bring_up(NOW, MONTH, lambda: next(turns))
    assert progress is not None and progress.done < 28
    mark = keeper.watermark()
    assert mark is not None and mark.mark == str(len(logs(world).journal))
    with world.database.connect() as connection:
        assert watermarks.changed_buckets(connection, mark.id)
    assert keeper.bring_up(NOW, MONTH, always) is None
    world.sound(keeper)
    world.compare("messages", NOW, before=0)


def test_a_store_that_fails_half_way_leaves_all_that_was_counted_sound(world: World) -> None:
    fill(world)
    keeper, store = world.keeper("messages"), logs(world)
    pieces = 0

    def fails_at_the_third() -> bool:
        nonlocal pieces
        pieces += 1
        store.down = pieces == 3
        return True

    with pytest.raises(StoreUnavailable, match="no answer"):
        keeper.bring_up(NOW, MONTH, fails_at_the_third)
    store.down = False
    world.sound(keeper)
    assert keeper.bring_up(NOW, MONTH, always) is None
    world.sound(keeper)


def test_a_period_whose_fields_cannot_be_counted_as_a_whole_is_refused(world: World) -> None:
    fill(world)
    keeper = up(world, NOW)
    logs(world).unfit_from = START + timedelta(days=3)
    logs(world).asked.clear()
    with pytest.raises(StoreUnavailable, match="numbers and strings"):
        keeper.bring_up(NOW, MONTH, always)


def test_what_is_older_than_the_stores_retention_is_not_counted_again(world: World) -> None:
    fill(world)
    keeper = up(world, NOW, lifetime=timedelta(days=10))
    old, new = NOW - timedelta(days=11), NOW - timedelta(days=9)
    for event in [event for event in logs(world).events if event.time < NOW - timedelta(days=10)]:
        logs(world).remove(event)
    logs(world).add(old, "A")
    logs(world).add(new, "B")
    counted(world)
    keeper = up(world, NOW, lifetime=timedelta(days=10))
    assert [start for start, _ in counted(world)] == [new.replace(minute=0, second=0, microsecond=0)]
    keeper.recount(START, NOW, NOW)
    assert min(start for start, _ in counted(world)) >= NOW - timedelta(days=10)
    with world.database.connect() as connection:
        mark = keeper.watermark()
        assert mark is not None
        first = watermarks.buckets(connection, mark.id, START, START + HOUR)
    assert [bucket.messages for bucket in first] == [1]  # as it was when the message was still there


def test_a_recount_by_somebody_else_meanwhile_is_noticed_and_nothing_is_lost(world: World) -> None:
    fill(world)
    keeper, store = up(world, NOW), logs(world)
    now, happened = NOW + timedelta(minutes=10), False
    count = store.count

    def with_company(query: Any) -> Any:
        nonlocal happened
        found = list(count(query))
        if not happened:  # counted, and not yet written: the other one is faster, and has counted more
            happened = True
            store.add(NOW + timedelta(minutes=1), "B")
            assert world.keeper("messages").bring_up(now, MONTH, always) is None
        return iter(found)

    store.count = with_company  # type: ignore[method-assign]
    assert keeper.bring_up(now, MONTH, always) is None
    store.count = count  # type: ignore[method-assign]
    world.sound(keeper)
    world.compare("messages", now, before=0)


def test_a_clock_that_was_set_back_takes_the_time_that_is_to_come_away(world: World) -> None:
    fill(world, days=30)
    keeper = up(world, NOW)
    for back in (timedelta(minutes=3), timedelta(hours=5), timedelta(days=2, minutes=7)):
        assert keeper.bring_up(NOW - back, MONTH, always) is None
        world.sound(keeper)
        world.compare("messages", NOW - back, before=0)
    up(world, NOW)
    world.compare("messages", NOW, before=0)


@pytest.mark.parametrize("away", [KEPT_FOR + timedelta(days=1), timedelta(days=4_000), timedelta(days=-400)])
def test_a_clock_that_was_wrong_by_months_begins_anew(world: World, away: timedelta) -> None:
    fill(world)
    up(world, NOW)
    counted(world)
    now = NOW + away
    keeper = world.keeper("messages")
    assert keeper.bring_up(now, now - 2 * HOUR, always) is None
    world.sound(keeper)
    assert len(counted(world)) <= 3


def test_a_changed_roster_counts_together_anew_whoever_it_changes(world: World) -> None:
    world.roster = roster_of([member("A"), member("B")])
    for who in ("A", "B", "C"):
        for day in range(27):
            logs(world).add(START + timedelta(days=day, hours=5), who)
    keeper = up(world, NOW)
    counted(world)
    for members in (
        [member("A", billing_day=15), member("B")],
        [member("A", billing_day=15), member("B", valid_from=date(2026, 10, 9)), member("C", zone="America/New_York")],
        [member("A", aliases=("C",)), member("B", valid_until=date(2026, 10, 9))],
        [member("B")],
    ):
        world.roster = roster_of(members)
        assert world.keeper("messages").bring_up(NOW, needed(world, NOW, before=0), always) is None
        world.sound(world.keeper("messages"))
        world.compare("messages", NOW, before=0)
    assert keeper.bring_up(NOW, MONTH, always) is None
    assert all(last <= MONTH for _, last in counted(world))  # no hour that was there is counted again for that


def test_a_window_that_is_new_is_made_of_the_tallies_that_are_there(world: World) -> None:
    fill(world)
    up(world, NOW)
    counted(world)
    world.cuts = frozenset({MONTHLY, Cut("customer", "day"), Cut("total", "week")})
    up(world, NOW)
    assert counted(world) == []
    world.sound(world.keeper("messages"))
    world.compare("messages", NOW, before=0)
    world.cuts = frozenset({Cut("customer", "day")})
    world.sound(up(world, NOW))


def test_pruning_keeps_what_is_needed_and_leaves_the_rest_sound(world: World) -> None:
    for day in range(0, 90, 2):
        logs(world).add(START + timedelta(days=day, hours=3), "A")
    now = START + timedelta(days=90)
    for name in ("messages", "max"):
        keeper = world.keeper(name)
        assert keeper.bring_up(now, START, always) is None
        keeper.prune(now, now - timedelta(days=10), never)
        assert keeper.watermark() is not None
        keeper.prune(now, now - timedelta(days=80), always)
        mark = keeper.watermark()
        assert mark is not None and mark.since == now - timedelta(days=80)  # somebody looks back so far
        keeper.prune(now, now - timedelta(days=10), always)
        mark = keeper.watermark()
        assert mark is not None and mark.since == now - KEPT_FOR
        world.sound(keeper)
        world.compare(name, now, before=0)


def test_filters_that_nobody_uses_go_after_a_while_and_not_before(world: World) -> None:
    fill(world)
    used = up(world, NOW).key.hash
    up(world, NOW, "max")
    assert drop_unused(world.database, {used}, NOW + UNUSED_FOR, always) == []
    assert drop_unused(world.database, {used}, NOW + UNUSED_FOR + HOUR, never) == []
    gone = drop_unused(world.database, {used}, NOW + UNUSED_FOR + HOUR, always)
    assert [mark.hash for mark in gone] == [world.keeper("max").key.hash]
    with world.database.connect() as connection:
        assert [mark.hash for mark in watermarks.load_all(connection)] == [used]
    world.compare("messages", NOW, before=0)


def test_a_filter_that_was_dropped_by_half_is_whole_again_when_it_is_used(world: World) -> None:
    fill(world)
    up(world, NOW)
    turns = iter([True, True, True, False])
    assert drop_unused(world.database, set(), NOW + timedelta(days=8), lambda: next(turns)) == []
    keeper = up(world, NOW)
    world.sound(keeper)
    world.compare("messages", NOW, before=0)


def test_keepers_of_views_with_one_filter_share_what_they_keep(world: World) -> None:
    keeper = up(world, NOW)
    counted(world)
    same = replace(keeper, key=replace(keeper.key, view="other"))
    assert same.bring_up(NOW, MONTH, always) is None
    assert counted(world) == []
