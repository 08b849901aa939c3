"""The ledger keeps tallies exactly, whatever a customer or a message is called, in both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from ledger import tallies, watermarks
from ledger.database import Database, open_database
from ledger.records import UNATTRIBUTED, customer
from ledger.tallies import Amount, PeriodSum, name_of, subject_of
from ledger.watermarks import Bucket, Watermark

AT = datetime(2026, 10, 25, 9, 0, 0, 123000, tzinfo=UTC)
HOUR = timedelta(hours=1)
AMOUNTS = {
    "A": Amount(3, 3, 3),
    "": Amount(2, 0, None),
    "другой": Amount(1, 2, Fraction(-7, 3)),
    "x" * 512: Amount(2**40, 2**40, 2**200),
    "late": Amount(1, 1, Fraction(1, 8), AT, "id \0 \ud800 'quoted' \\ é"),
    "without an id": Amount(1, 1, 0, AT, ""),
}


@pytest.fixture
def database(ledger_url: str) -> Iterator[Database]:
    opened = open_database(ledger_url, simulation=False, now=AT)
    with opened.begin() as connection:
        watermarks.begin(
            connection, Watermark(0, "h", "logs", "{}", HOUR, "0", 0, AT, AT, AT, {"customer month": "token"})
        )
    yield opened
    opened.close()


def test_amounts_come_back_as_they_were(database: Database) -> None:
    with database.begin() as connection:
        tallies.put_amounts(connection, 1, AT, AMOUNTS)
        tallies.put_amounts(connection, 1, AT + HOUR, {"A": Amount(9, 9, 9)})
    with database.connect() as connection:
        assert tallies.amounts(connection, 1, AT) == AMOUNTS
        found = {(start, name): amount for start, name, amount in tallies.tallies(connection, 1, AT, AT + 2 * HOUR)}
    assert found == {(AT, name): amount for name, amount in AMOUNTS.items()} | {(AT + HOUR, "A"): Amount(9, 9, 9)}


def test_amounts_are_replaced_and_dropped_by_name(database: Database) -> None:
    with database.begin() as connection:
        tallies.put_amounts(connection, 1, AT, AMOUNTS)
        tallies.put_amounts(connection, 1, AT, {"A": Amount(4, 0, None), "new": Amount(1, 1, 1)})
        tallies.drop_amounts(connection, 1, AT, ["", "late", "not there"])
        found = tallies.amounts(connection, 1, AT)
    assert found.keys() == AMOUNTS.keys() - {"", "late"} | {"new"}
    assert found["A"] == Amount(4, 0, None)


@pytest.mark.parametrize("many", [False, True])
def test_tallies_of_some_names_are_found_few_or_many(database: Database, many: bool) -> None:
    names = {f"c{number}" for number in range(3_000)} if many else set()
    with database.begin() as connection:
        for hours in range(3):
            start = AT + hours * HOUR
            watermarks.put_buckets(connection, 1, [Bucket(start, start + HOUR, AT, 1, 0, 1)])
            tallies.put_amounts(connection, 1, start, {"A": Amount(1, 1, hours), "B": Amount(1, 1, hours)})
        found = list(tallies.tallies(connection, 1, AT + HOUR, AT + 3 * HOUR, names | {"A"}))
    assert sorted(found) == [(AT + HOUR, "A", Amount(1, 1, 1)), (AT + 2 * HOUR, "A", Amount(1, 1, 2))]


def test_period_sums_are_kept_by_cut_start_and_name(database: Database) -> None:
    sums = [PeriodSum(name, AT, AT + 5 * HOUR, amount) for name, amount in AMOUNTS.items()]
    with database.begin() as connection:
        tallies.put_sums(connection, 1, "customer month", sums)
        tallies.put_sums(connection, 1, "total day", sums[:1])
        tallies.drop_sums(connection, 1, "customer month", [(AT, ""), (AT + HOUR, "A")])
        assert set(tallies.sums(connection, 1, "customer month", AT, AT + HOUR)) == set(sums) - {sums[1]}
        assert list(tallies.sums(connection, 1, "customer month", AT + HOUR, AT + 9 * HOUR)) == []
        assert tallies.sums_at(connection, 1, "total day", {AT}, {"A"}) == {(AT, "A"): sums[0]}
        tallies.drop_cut(connection, 1, "total day")
        assert tallies.sums_at(connection, 1, "total day", {AT}, {"A"}) == {}


def test_only_who_saw_the_last_revision_moves_a_watermark(database: Database) -> None:
    with database.begin() as connection:
        seen = watermarks.load(connection, "h")
        assert seen is not None and seen == watermarks.load_all(connection)[0]
        assert watermarks.move(connection, seen)
        assert not watermarks.move(connection, seen)
        now = watermarks.load(connection, "h")
        assert now is not None and now.revision == seen.revision + 1
        assert watermarks.load(connection, "other") is None


def test_buckets_are_marked_and_dropped(database: Database) -> None:
    starts = [AT + number * HOUR for number in range(4)]
    with database.begin() as connection:
        watermarks.put_buckets(connection, 1, [Bucket(start, start + HOUR, AT, 5, 1, 3) for start in starts])
        watermarks.mark_changed(connection, 1, starts[1:3])
        assert watermarks.changed_buckets(connection, 1) == tuple(starts[1:3])
        watermarks.put_buckets(connection, 1, [Bucket(starts[1], starts[2], AT, 6, 1, 9)])
        assert watermarks.changed_buckets(connection, 1) == (starts[2],)
        assert watermarks.fullest(connection, 1, starts[2]) == 3
        assert watermarks.fullest(connection, 1, starts[0]) == 9
        watermarks.drop_buckets(connection, 1, starts[:2])
        assert [one.start for one in watermarks.buckets(connection, 1, AT, AT + 9 * HOUR)] == starts[2:]
        watermarks.drop(connection, 1)
        assert watermarks.load_all(connection) == ()


@pytest.mark.parametrize("value", ["A", "é", "x" * 512, " ", "日本" * 256])
def test_a_value_that_can_be_kept_is_kept_under_itself(value: str) -> None:
    assert name_of(customer(value)) == value
    assert subject_of(value) == customer(value)


def test_values_that_cannot_be_kept_have_names_of_their_own_that_are_nobodys_id() -> None:
    values = ["x" * 513, "y" * 513, "a\0", "b\0", "\ud800", "é" * 600]
    names = [name_of(customer(value)) for value in values]
    assert len(set(names)) == len(values)
    assert all(len(name) == 513 and name.isascii() for name in names)
    assert name_of(customer(names[0])) != names[0]


def test_the_unattributed_rest_has_no_name() -> None:
    assert name_of(UNATTRIBUTED) == ""
    assert subject_of("") == UNATTRIBUTED
