"""Closing against what was watched: logs and tallies are compared, and `recount` mends the tallies."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from exporting import EXPORTS, World

from config.load import load
from ledger.clock import now
from ledger.periods import period_containing
from tallywatch import compose

LAST = period_containing(
    "month", period_containing("month", now(), "Europe/Stockholm").start - timedelta(days=9), "UTC"
)
MONTH = LAST.start.strftime("%Y-%m")
DAY = f"{MONTH}-05"
MONITORS = """
monitors:
  basic: {view: basic, window: billing month, schedule: {every: 1h}, thresholds: {t: {severity: error, max: 999}}}
  pro: {view: pro, window: day, schedule: {every: 1h}, thresholds: {t: {severity: error, max: 999}}}
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.write(exports=EXPORTS + MONITORS)
    made.ingest(
        [*made.calls("A", 4, DAY), *made.calls("B", 2, DAY), *made.calls("C", 7, DAY), *made.calls(None, 1, DAY)]
    )
    watch(made)
    return made


def watch(world: World) -> None:
    """Brings the tallies up, as the service does before it evaluates."""
    loaded, database = load(world.base / "tallywatch.yaml"), world.database()
    for name in ("basic", "pro"):
        keeper = compose.keeper(loaded, database, name)
        assert keeper.bring_up(now(), LAST.start - timedelta(days=1), lambda: True) is None
    database.close()


def tamper(world: World, more: int, customer: str = "A") -> None:
    """Makes tallies of a customer say so many more than the logs, as if messages had been deleted since."""
    database = world.database()
    with database.begin() as connection:
        for table in ("tally", "quantity"):
            connection.exec_driver_sql(
                f'UPDATE {table} SET messages = messages + {more}, "values" = "values" + {more}, '
                f"quantity = CAST(CAST(quantity AS INTEGER) + {more} AS TEXT) WHERE customer = '{customer}'"
            )
    database.close()


def differences(world: World) -> dict[str, Any]:
    manifest = json.loads((world.month(MONTH) / "manifest.json").read_text())
    (billing,) = (file for file in manifest["files"] if file["export"] == "billing")
    return {view: figures["difference"] for view, figures in billing["integrity"].items()}


def test_a_month_that_was_watched_right_closes_without_a_difference(world: World) -> None:
    result = world.run("close", MONTH)
    assert result.status == 0, result.error
    assert differences(world) == {"basic": 0, "pro": 0}
    assert "differ from what was watched" in result.output


def test_what_came_in_after_the_last_evaluation_is_no_difference(world: World) -> None:
    world.ingest([*world.calls("A", 3, DAY), *world.calls("C", 1, DAY)])
    assert world.run("close", MONTH).status == 0
    assert differences(world) == {"basic": 0, "pro": 0}


@pytest.mark.parametrize("customer", ["A", "C"])  # watched by the month, and by the day
def test_a_count_that_differs_from_what_was_watched_holds_the_close_until_it_is_recounted(
    world: World, customer: str
) -> None:
    tamper(world, 2, customer)
    watched, counted = {"A": (6, 4), "C": (9, 7)}[customer]
    result = world.run("close", MONTH)
    assert result.status == 1
    assert f"{customer} (watched {watched}, counted {counted})" in result.error
    assert "is held" in result.error and f"--period {MONTH}" in result.error
    assert not world.month(MONTH).exists()
    view = "basic" if customer == "A" else "pro"
    again = world.run("recount", view, "--period", MONTH, "--format", "json")
    assert [json.loads(line) for line in again.output.splitlines()] == [
        {"view": view, "customer": customer, "tallied": watched, "counted": counted, "tallied_messages": watched,
         "counted_messages": counted}
    ]  # fmt: skip
    assert "1 customer differed" in again.error
    assert world.run("close", MONTH).status == 0
    assert differences(world) == {"basic": 0, "pro": 0}
    assert world.rows("SELECT action FROM audit ORDER BY sequence")[0] == ("recount",)


def test_a_difference_within_the_tolerance_is_told_and_closed(world: World) -> None:
    world.write(exports=EXPORTS.replace("approve: auto", "approve: auto, tolerance: 2") + MONITORS)
    tamper(world, 2)
    assert world.run("close", MONTH).status == 0
    assert differences(world) == {"basic": 2, "pro": 0}


def test_a_view_that_nobody_watches_has_nothing_to_be_compared_with(world: World) -> None:
    world.write()
    assert world.run("close", MONTH).status == 0
    assert differences(world) == {"basic": None, "pro": None}
    again = world.run("recount", "basic", "--period", MONTH)
    assert (again.status, again.output) == (0, "basic: no monitor watches it, so no tallies are kept of it\n")


def test_tallies_of_another_time_are_no_tallies_of_the_month(world: World) -> None:
    result = world.run("recount", "basic", "--period", "2020-10")
    assert result.status == 0
    assert "no tallies are kept of 2020-10; they begin at" in result.output


def test_recount_of_what_is_right_changes_nothing_and_says_so(world: World) -> None:
    before = world.rows("SELECT * FROM tally ORDER BY 1, 2, 3")
    result = world.run("recount", "basic", "--period", MONTH)
    assert result.status == 0 and "nothing differed" in result.output
    assert world.rows("SELECT * FROM tally ORDER BY 1, 2, 3") == before


def test_recount_also_tells_of_messages_of_nobody(world: World) -> None:
    world.ingest([*world.calls("stranger", 1, DAY)])
    watch(world)
    tamper(world, 5, "")
    tamper(world, 1, "stranger")
    result = world.run("recount", "basic", "--period", MONTH, "--format", "csv")
    assert result.output.splitlines() == [
        "view,customer,tallied,counted,tallied_messages,counted_messages,known",
        "basic,stranger,2,1,2,1,False",
        "basic,,,,6,1,False",
    ]
    tamper(world, 5, "")
    table = world.run("recount", "basic", "--period", MONTH).output
    assert "(unattributed)" in table


def test_a_mistyped_view_or_month_is_a_sentence(world: World) -> None:
    assert world.run("recount", "basik", "--period", MONTH).status == 2
    assert world.run("recount", "basic", "--period", "October").status == 2
    assert world.run("recount", "basic").status == 2
