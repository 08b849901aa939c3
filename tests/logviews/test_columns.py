"""Files of columns that are taken out later: kept once, whole, and by several processes at the same time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import duckdb
import pytest
from stores import expected, load, tallies

from config import filters
from ledger.database import Database
from logviews.embedded import engine
from logviews.embedded.columns import KEEP_SECONDS, ensure_columns
from logviews.embedded.store import Embedded
from logviews.store import CountQuery, StoreUnavailable

START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
TOKEN, OTHER = "0123456789abcdef", "fedcba9876543210"


def part(path: Path, words: int = 3) -> Path:
    """A part with lines and no columns of fields."""
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (SELECT TIMESTAMP '2026-10-02' AS time, 'A' AS customer, CAST(i AS VARCHAR) AS id,
                '{{"word":"' || i || '"}}' AS line FROM range({words}) t(i)) TO '{path}' (FORMAT parquet)"""
        )
    return path


def derive(of: Path, token: str = TOKEN) -> Path:
    with engine.connection() as connection:
        return ensure_columns(connection, of, of.parent / "columns" / f"{of.stem}-{token}.parquet", ["word"])


def age(path: Path, seconds: float) -> None:
    changed = path.stat().st_mtime - seconds
    os.utime(path, (changed, changed))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("round_", range(3))
def test_many_that_need_the_same_columns_at_once_all_count_right(ledger: Database, tmp_path: Path, round_: int) -> None:
    lines = [
        {"time": "2026-10-02T00:00:00Z", "customer": f"c{number % 3}", "id": str(number), "a": "x", "b": number % 7}
        for number in range(400)
    ]  # fmt: skip
    loaded = load(ledger, tmp_path, lines, files=2)
    query = CountQuery("view", filters.OneOf("a", ("x",)), "distinct", "b", 0, (START, END))
    # half of them by a configuration whose views use one more field
    stores = [
        Embedded(loaded.store.name, loaded.store.store, fields, ledger) for fields in [("a", "b"), ("a", "b", "id")] * 3
    ]
    together = Barrier(len(stores))

    def count(store: Embedded) -> dict[object, object]:
        together.wait()
        return tallies(store.count(query))

    with ThreadPoolExecutor(len(stores)) as pool:
        found = list(pool.map(count, stores))
    assert found == [expected(loaded, query)] * len(stores)
    assert not [name for name in names(loaded.store.store.folder / "columns") if not name.endswith(".parquet")]
    assert len(names(loaded.store.store.folder / "columns")) == 4


def test_a_file_that_somebody_may_be_reading_is_never_replaced(tmp_path: Path) -> None:
    of = part(tmp_path / "p.parquet", 20_000)
    together, seen = Barrier(2), set()

    def derive_together(_: int) -> None:
        together.wait()
        seen.add(derive(of).stat().st_ino)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(derive_together, range(2)))
    assert len(seen) == 1
    assert names(tmp_path / "columns") == [f"p-{TOKEN}.parquet"]


def test_columns_that_another_configuration_uses_stay_until_they_are_out_of_use(tmp_path: Path) -> None:
    of = part(tmp_path / "p.parquet")
    other = derive(of, OTHER)
    leftover = other.with_name(f"{other.name}.1-0.partial")
    leftover.write_bytes(b"")
    age(leftover, KEEP_SECONDS + 60)
    age(other, KEEP_SECONDS - 60)
    ours = derive(of)
    assert names(ours.parent) == sorted([other.name, ours.name])
    ours.unlink()
    age(other, 120)
    derive(of)
    assert names(ours.parent) == [ours.name]


def test_using_columns_keeps_them(tmp_path: Path) -> None:
    of = part(tmp_path / "p.parquet")
    other = derive(of, OTHER)
    age(other, 2 * KEEP_SECONDS)
    derive(of, OTHER)
    derive(of)
    assert len(names(other.parent)) == 2


def test_columns_of_a_part_whose_name_begins_like_another_ones_stay(tmp_path: Path) -> None:
    longer = derive(part(tmp_path / "p-2.parquet"))
    age(longer, 2 * KEEP_SECONDS)
    derive(part(tmp_path / "p.parquet"))
    assert longer.is_file()


def test_a_folder_that_cannot_hold_columns_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "columns").write_text("a file where the folder should be")
    with pytest.raises(StoreUnavailable, match="columns of a part cannot be kept there"):
        derive(part(tmp_path / "p.parquet"))
