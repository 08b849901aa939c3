"""Merging: many small parts become one, with the same counts before, meanwhile and after."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
from stores import AT, settings

from config.filters import EVERYTHING
from ledger import parts
from ledger.database import Database
from logviews.embedded.merge import MORE_THAN, MergeReport, merge_small
from logviews.embedded.store import Embedded
from logviews.intake.ingest import Ingest
from logviews.store import CountQuery

FIELDS = ("size", "note")
EDGES = (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))


def message(number: int, **more: object) -> str:
    day = 1 + number % 28
    return json.dumps({"time": f"2026-10-{day:02}T00:00:00Z", "customer": f"c{number % 7}", "id": str(number), **more})


def ingest(folder: Path, ledger: Database, name: str, messages: list[str], at: datetime) -> None:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(f"{one}\n" for one in messages))
    Ingest("s", settings(folder / "s"), FIELDS, ledger).take(path, at)


def many(folder: Path, ledger: Database, count: int, first: int = 0) -> None:
    """So many parts, each with a few new messages and one that was there before; a conflict in some of them."""
    for number in range(first, first + count):
        own = [message(number * 10 + index, size=number) for index in range(5)]
        again = [message((number - 1) * 10, size=0 if number % 2 else number - 1)] if number else []
        ingest(folder, ledger, f"log{number}", own + again, AT + timedelta(seconds=number))


def counted(folder: Path, ledger: Database) -> tuple[dict[object, tuple[object, int]], int]:
    store = Embedded("s", settings(folder / "s"), FIELDS, ledger)
    query = CountQuery("v", EVERYTHING, "sum", "size", 0, EDGES)
    tallies = {tally.subject: (tally.quantity, tally.messages) for tally in store.count(query)}
    return tallies, store.duplicates(query)


def listed(ledger: Database, role: parts.Role = "messages") -> tuple[parts.Part, ...]:
    with ledger.connect() as reading:
        return parts.of_store(reading, "s", role)


def small(folder: Path, ledger: Database, at: datetime = AT) -> MergeReport:
    return merge_small("s", settings(folder / "s"), ledger, at)


def test_a_few_parts_stay_as_they_are(tmp_path: Path, ledger: Database) -> None:
    many(tmp_path, ledger, MORE_THAN)
    assert small(tmp_path, ledger) == MergeReport(0, 0, 0)
    assert len(listed(ledger)) == MORE_THAN


def test_many_small_parts_become_one_and_every_figure_stays(tmp_path: Path, ledger: Database) -> None:
    many(tmp_path, ledger, 15)
    before, old = counted(tmp_path, ledger), listed(ledger)
    conflicts = sum(part.conflicts for part in listed(ledger, "duplicates"))
    store = Embedded("s", settings(tmp_path / "s"), FIELDS, ledger)
    fresh = store.freshness(AT)
    assert small(tmp_path, ledger) == MergeReport(29, 2, 0)
    (part,), (duplicates,) = listed(ledger), listed(ledger, "duplicates")
    assert counted(tmp_path, ledger) == before
    assert (part.rows, duplicates.rows, duplicates.conflicts) == (75, 14, conflicts)
    assert conflicts > 0
    assert store.freshness(AT) == fresh
    with duckdb.connect() as connection:
        arrived = connection.execute(
            "SELECT epoch_ms(ingested), count(*) FROM read_parquet(?) GROUP BY 1 ORDER BY 1",
            [str(tmp_path / "s" / part.path)],
        ).fetchall()
    assert arrived == [(int(one.ingested_at.timestamp() * 1000), one.rows) for one in old]


def test_ids_are_known_again_after_a_merge(tmp_path: Path, ledger: Database) -> None:
    many(tmp_path, ledger, 12)
    small(tmp_path, ledger)
    before = counted(tmp_path, ledger)
    many(tmp_path, ledger, 12)
    after = counted(tmp_path, ledger)
    assert after[0] == before[0]
    assert after[1] == before[1] + 12 * 5 + 11


def test_a_merged_part_is_merged_again(tmp_path: Path, ledger: Database) -> None:
    many(tmp_path, ledger, 12)
    small(tmp_path, ledger)
    many(tmp_path, ledger, 12, first=12)
    before = counted(tmp_path, ledger)
    small(tmp_path, ledger, AT + timedelta(minutes=10))
    assert counted(tmp_path, ledger) == before
    assert len(listed(ledger)) == 1


def test_files_are_removed_an_hour_later(tmp_path: Path, ledger: Database) -> None:
    many(tmp_path, ledger, 12)
    folder = tmp_path / "s" / "parts"
    small(tmp_path, ledger)
    assert small(tmp_path, ledger, AT + timedelta(minutes=60)) == MergeReport(0, 0, 0)
    assert len(list(folder.iterdir())) == 12 + 11 + 2
    report = small(tmp_path, ledger, AT + timedelta(minutes=61))
    assert report.removed == 12 + 11
    assert sorted(f"parts/{path.name}" for path in folder.iterdir()) == sorted(
        part.path for role in parts.ROLES for part in listed(ledger, role)
    )


def test_parts_with_other_columns_are_not_merged_with_these(tmp_path: Path, ledger: Database) -> None:
    many(tmp_path, ledger, 8)
    for number in range(8, 16):
        path = tmp_path / f"log{number}.jsonl"
        path.write_text(message(number * 10, size=1) + "\n")
        Ingest("s", settings(tmp_path / "s"), ("size",), ledger).take(path, AT)
    assert small(tmp_path, ledger).merged == 0


def test_kinds_of_value_are_those_of_all_parts_together(tmp_path: Path, ledger: Database) -> None:
    for number in range(12):
        ingest(tmp_path, ledger, f"log{number}", [message(number, note="x" if number == 3 else 1, size=1)], AT)
    with ledger.connect() as reading:
        before = parts.all_kinds(reading, [part.id for part in listed(ledger)])
    small(tmp_path, ledger)
    with ledger.connect() as reading:
        (after,) = parts.all_kinds(reading, [part.id for part in listed(ledger)]).values()
    assert after == {"note": before[1]["note"] | before[4]["note"], "size": before[1]["size"]}


def test_readers_at_work_get_exact_counts_all_the_time(tmp_path: Path, ledger: Database) -> None:
    many(tmp_path, ledger, 14)
    expected, stop, failures = counted(tmp_path, ledger), threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            found = counted(tmp_path, ledger)
            if found != expected:
                failures.append(found)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    rounds = 3
    for round_ in range(rounds):
        for number in range(11):  # of another month, but merged with those that are counted
            late = message(10_000 + round_ * 100 + number, size=1).replace("2026-10-", "2026-11-")
            ingest(tmp_path, ledger, f"late{round_}-{number}", [late], AT)
        assert small(tmp_path, ledger, AT + timedelta(minutes=10 * round_)).merged > MORE_THAN
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []


def test_a_part_that_is_large_enough_is_left_alone(tmp_path: Path, ledger: Database) -> None:
    many(tmp_path, ledger, 12)
    assert merge_small("s", settings(tmp_path / "s"), ledger, AT, small_bytes=10).merged == 0
