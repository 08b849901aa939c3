"""Parquet files: every type comes in as what it means, or is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from stores import AT, settings

from ledger import parts
from ledger.database import Database
from logviews.intake.files import IngestError
from logviews.intake.ingest import Ingest, IngestReport

BASE = "TIMESTAMPTZ '2026-10-01 02:00:00.1239+02:00' AS time, 'a' AS customer, 'id-' || i AS id"


def written(path: Path, columns: str, rows: int = 1) -> Path:
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT {columns} FROM range({rows}) r(i)) TO '{path}' (FORMAT parquet)")
    return path


def take(
    ledger: Database, tmp_path: Path, columns: str, fields: tuple[str, ...] = (), **changes: Any
) -> list[tuple[Any, ...]]:
    taking = Ingest("web", settings(tmp_path / "web", **changes), fields, ledger)
    taking.take(written(tmp_path / "log.parquet", columns), AT)
    return stored(taking)


def stored(taking: Ingest) -> list[tuple[Any, ...]]:
    with taking.database.connect() as reading:
        paths = [str(taking.store.folder / part.path) for part in parts.of_store(reading, taking.name)]
    with duckdb.connect() as connection:
        return [row for path in paths for row in connection.execute(f"SELECT * FROM read_parquet('{path}')").fetchall()]


def test_values_of_every_type_keep_their_exact_text(ledger: Database, tmp_path: Path) -> None:
    columns = {
        "d": ("12345678901234567.89::DECIMAL(20, 2)", "12345678901234567.89"),
        "h": ("123456789012345678901234567890::DECIMAL(38, 0)", "123456789012345678901234567890"),
        "u": ("18446744073709551615::UBIGINT", "18446744073709551615"),
        "e": ("0.1::DOUBLE", "0.1"),
        "b": ("true", "true"),
        "t": ("'x\n\"é😀'", '"x\\n\\"é😀"'),
        "l": ("[1, NULL, 3]", "[1,3]"),
        "s.x": ("{'y': [{'z': 1}, {'z': 2}]}", "{}"),
        "nil": ("NULL::VARCHAR", None),
        "day": ("DATE '2026-10-01'", '"2026-10-01"'),
        "j": ("'{\"k\": [1, 2]}'::JSON", "{}"),
        "m": ("MAP {'k': 1}", "{}"),
    }
    sql = ", ".join(f'{value} AS "{name}"' for name, (value, _) in columns.items())
    [row] = take(ledger, tmp_path, f"{BASE}, {sql}", (*columns, "s.x.y.z", "j.k", "m.k"))
    assert row[:3] == (datetime(2026, 10, 1, 0, 0, 0, 123000), "a", "id-0")  # noqa: DTZ001 (DuckDB's UTC)
    assert list(row[3:-1]) == [*(text for _, text in columns.values()), "[1,2]", "[1,2]", "1"]


def test_a_timestamp_without_a_zone_needs_the_stores_and_is_cut_to_milliseconds(
    ledger: Database, tmp_path: Path
) -> None:
    for type_ in ("TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP_MS"):
        columns = f"{type_} '2026-10-01 02:00:00.999999999' AS time, 'a' AS customer, '{type_}' AS id"
        path = written(tmp_path / "log.parquet", columns)
        with pytest.raises(IngestError, match=r"row 1: time '2026-10-01T02:00:0.* has no offset"):
            Ingest("none", settings(tmp_path / "none"), (), ledger).take(path, AT)
        Ingest("web", settings(tmp_path / "web", zone="Europe/Stockholm"), (), ledger).take(path, AT)
    times = {row[2]: row[0] for row in stored(Ingest("web", settings(tmp_path / "web"), (), ledger))}
    assert times["TIMESTAMP_NS"] == datetime(2026, 10, 1, 0, 0, 0, 999000)  # noqa: DTZ001 (DuckDB's UTC)
    assert len(times) == 3


@pytest.mark.parametrize("value", ["'nan'::DOUBLE", "'-infinity'::DOUBLE", "[1.0, 'nan'::DOUBLE]"])
def test_nan_and_infinity_are_refused_by_their_row(ledger: Database, tmp_path: Path, value: str) -> None:
    with pytest.raises(IngestError, match=r"log\.parquet: row 1: (NaN|-Infinity) is not a JSON number"):
        take(ledger, tmp_path, f"{BASE}, {value} AS n", ("n",))


def test_bytes_nested_times_and_columns_inside_columns_are_refused(ledger: Database, tmp_path: Path) -> None:
    for column, sentence in {
        "'x'::BLOB AS b": "holds bytes, not text",
        "[TIMESTAMP '2026-10-01'] AS b": "holds times inside",
        '1 AS a, 2 AS "a.b"': "cannot be a column beside columns inside it",
        '2 AS "a.b", 1 AS a': "cannot be a column beside columns inside it",
    }.items():
        with pytest.raises(IngestError, match=sentence):
            take(ledger, tmp_path, f"{BASE}, {column}")


def test_a_damaged_file_is_refused(ledger: Database, tmp_path: Path) -> None:
    path = written(tmp_path / "log.parquet", BASE, 100)
    content = path.read_bytes()
    taking = Ingest("web", settings(tmp_path / "web"), (), ledger)
    for damaged in (content[: len(content) // 2], b"PAR1", content[:-8] + b"\xff\xff\xff\x7fPAR1"):
        path.write_bytes(damaged)
        with pytest.raises(IngestError, match=r"log\.parquet: the Parquet file cannot be read"):
            taking.take(path, AT)


def test_of_two_messages_with_one_id_the_first_in_the_file_counts(ledger: Database, tmp_path: Path) -> None:
    columns = (
        "TIMESTAMPTZ '2026-10-01 00:00:00Z' AS time, 'c' || i AS customer, (i % 5)::VARCHAR AS id, "
        "repeat('x', 50) AS pad"
    )
    taking = Ingest("web", settings(tmp_path / "web"), (), ledger)
    report = taking.take(written(tmp_path / "log.parquet", columns, 300_000), AT)
    assert (report.new, report.conflicts) == (5, 299_995)
    assert {row[1] for row in stored(taking)} == {"c0", "c1", "c2", "c3", "c4"}


def test_without_ids_a_file_that_was_read_whole_is_not_counted_again_and_a_copy_is(
    ledger: Database, tmp_path: Path
) -> None:
    chosen = settings(tmp_path / "web", fields={"time": "time", "customer": "customer"})
    taking = Ingest("web", chosen, (), ledger)
    path = written(tmp_path / "log.parquet", BASE, 1000)

    def again(read: Path) -> IngestReport:
        return taking.take(read, AT + timedelta(seconds=1))

    assert again(path).new == 1000
    assert (again(path).new, again(path).resumed) == (0, 1000)
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(path.read_bytes())
    assert again(copy).new == 1000
    moved = path.rename(tmp_path / "log.1.parquet")
    assert again(moved).new == 0
    assert again(written(moved, BASE, 500)).new == 500


def test_times_of_epochs_are_read_from_numbers(ledger: Database, tmp_path: Path) -> None:
    columns = "1790805600.9999::DECIMAL(20, 4) AS time, 'a' AS customer, 'x' AS id"
    [row] = take(ledger, tmp_path, columns, time_format="epoch_s")
    assert row[0].replace(tzinfo=UTC) == datetime(2026, 9, 30, 22, 0, 0, 999000, UTC)
