"""Where messages have come in since a mark: what the embedded store says of its parts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from stores import AT, load

from config import filters
from ledger.database import Database
from logviews.embedded.merge import merge_small
from logviews.embedded.store import Embedded
from logviews.intake.ingest import Ingest
from logviews.store import CountQuery, StoreUnavailable

START = datetime(2026, 10, 1, tzinfo=UTC)
END = START + timedelta(days=31)
HOUR = timedelta(hours=1)
WHOLE = CountQuery("view", filters.EVERYTHING, "messages", None, 0, (START, END))


def line(number: int, at: datetime) -> str:
    return f'{{"time": "{at.isoformat()}", "customer": "A", "id": "{number}"}}'


def take(store: Embedded, folder: Path, *lines: str) -> None:
    path = folder / "more.jsonl"
    path.write_text("".join(one + "\n" for one in lines))
    Ingest(store.name, store.store, store.fields, store.database).take(path, AT)


def test_a_new_part_has_changed_the_hours_of_its_messages(ledger: Database, tmp_path: Path) -> None:
    store = load(ledger, tmp_path, [line(1, START + 5 * HOUR)]).store
    first = store.changes(WHOLE, None, AT)
    assert first.stretches == ((START, END),)
    assert store.changes(WHOLE, first.mark, AT).stretches == ()
    moments = [timedelta(hours=7, minutes=59), timedelta(hours=8), timedelta(days=9, milliseconds=1)]
    take(store, tmp_path, *(line(number, START + moment) for number, moment in enumerate(moments, 2)))
    changed = store.changes(WHOLE, first.mark, AT)
    assert changed.stretches == (
        (START + 7 * HOUR, START + 9 * HOUR),
        (START + timedelta(days=9), START + timedelta(days=9, hours=1)),
    )
    assert store.changes(WHOLE, first.mark, AT) == changed  # asking twice is harmless
    assert store.changes(WHOLE, changed.mark, AT).stretches == ()


def test_changes_are_cut_at_the_edges_of_the_question(ledger: Database, tmp_path: Path) -> None:
    store = load(ledger, tmp_path, [line(1, START)]).store
    mark = store.changes(WHOLE, None, AT).mark
    take(store, tmp_path, line(2, START + 3.5 * HOUR), line(3, START + timedelta(days=40)))
    query = CountQuery("view", filters.EVERYTHING, "messages", None, 0, (START + 3.25 * HOUR, START + 3.75 * HOUR))
    assert store.changes(query, mark, AT).stretches == ((START + 3.25 * HOUR, START + 3.75 * HOUR),)
    assert store.changes(WHOLE, mark, AT).stretches == ((START + 3 * HOUR, START + 4 * HOUR),)


def test_duplicates_of_what_is_there_change_nothing(ledger: Database, tmp_path: Path) -> None:
    store = load(ledger, tmp_path, [line(1, START)]).store
    mark = store.changes(WHOLE, None, AT).mark
    take(store, tmp_path, line(1, START))
    assert store.changes(WHOLE, mark, AT).stretches == ()


def test_a_merged_part_brings_nothing_new_and_what_went_into_it_is_not_forgotten(
    ledger: Database, tmp_path: Path
) -> None:
    lines = [line(number, START + number * HOUR) for number in range(12)]
    store = load(ledger, tmp_path, lines, files=12).store
    mark = store.changes(WHOLE, None, AT).mark
    assert merge_small(store.name, store.store, ledger, AT).made == 1
    assert store.changes(WHOLE, mark, AT).stretches == ()
    after = store.changes(WHOLE, mark, AT).mark
    late = [START + timedelta(days=day, minutes=30) for day in (20, 22)]
    for number in range(12):  # enough small parts to be merged before anybody looks
        take(store, tmp_path, line(100 + number, late[number % 2]), line(200 + number, late[number % 2] + HOUR))
    assert merge_small(store.name, store.store, ledger, AT).made == 1
    changed = store.changes(WHOLE, after, AT)
    assert all(any(start <= at < end for start, end in changed.stretches) for at in (*late, late[0] + HOUR))
    assert changed.stretches[0][0] >= START + timedelta(days=20)
    assert store.changes(WHOLE, changed.mark, AT).stretches == ()


def test_a_part_that_is_missing_is_told_by_whoever_looks_at_its_time(ledger: Database, tmp_path: Path) -> None:
    store = load(ledger, tmp_path, [line(1, START)]).store
    (part,) = (store.store.folder / "parts").iterdir()
    part.rename(tmp_path / "elsewhere.parquet")
    with pytest.raises(StoreUnavailable, match="missing"):
        store.check(WHOLE)
    later = CountQuery("view", filters.EVERYTHING, "messages", None, 0, (START + HOUR, END))
    store.check(later)


def test_a_period_whose_parts_hold_different_kinds_is_refused_though_no_hour_of_it_does(
    ledger: Database, tmp_path: Path
) -> None:
    store = load(ledger, tmp_path, [f'{{"time": "{START.isoformat()}", "customer": "A", "id": "1", "n": 1}}']).store
    take(store, tmp_path, f'{{"time": "{(START + 2 * HOUR).isoformat()}", "customer": "A", "id": "2", "n": "one"}}')

    def about(*edges: datetime) -> CountQuery:
        return CountQuery("view", filters.parse({"n": 1}), "messages", None, 0, edges)

    for start in (START, START + 2 * HOUR):
        assert list(store.count(about(start, start + HOUR))) is not None
        store.check(about(start, start + HOUR))
    for _ in range(2):  # found out, and then known
        with pytest.raises(StoreUnavailable, match="holds"):
            store.check(about(START, END))
