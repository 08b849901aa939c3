"""Each id once per store: the first wins, whatever file, format or spelling the others come in."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from stores import AT, expected, load, open_ledger, settings, tallies

from config import filters
from ledger.database import Database
from logviews.embedded.store import Embedded
from logviews.intake.ingest import Ingest, IngestReport
from logviews.store import CountQuery

START = datetime(2026, 10, 1, tzinfo=UTC)
MONTH = (START, START + timedelta(days=31))


def message(id_: object, customer: str = "a", **others: Any) -> str:
    return json.dumps({"time": "2026-10-05T00:00:00Z", "customer": customer, "id": id_} | others)


def figures(report: IngestReport) -> tuple[int, int, int]:
    return report.new, report.duplicates, report.conflicts


def query(where: filters.Filter = filters.EVERYTHING, edges: tuple[datetime, ...] = MONTH) -> CountQuery:
    return CountQuery("view", where, "messages", None, 0, edges)


def counted(store: Embedded) -> dict[str, int]:
    return {tally.subject.id: tally.messages for tally in store.count(query())}  # type: ignore[union-attr]


def test_other_spelling_is_a_duplicate_and_other_content_a_conflict(ledger: Database, tmp_path: Path) -> None:
    first = '{"time":"2026-10-05T00:00:00Z","customer":"é","id":"1","n":1.50}'
    same = '{ "n": 1.50, "id": "\\u0031", "customer": "\\u00e9", "time": "2026-10-05T00:00:00Z" }'
    [one, two, three] = load(ledger, tmp_path, [first, same, first.replace("1.50", "1.5")], files=3).reports
    assert (figures(one), figures(two), figures(three)) == ((1, 0, 0), (0, 1, 0), (0, 1, 1))
    assert three.conflicting_ids == ("1",)


def test_within_one_file_the_first_of_two_with_other_content_wins(ledger: Database, tmp_path: Path) -> None:
    # 50 MB, so that DuckDB reads it with several threads
    lines = [message(number, "first", pad="x" * 450) for number in range(100_000)]
    again = [message(number, "second") for number in range(0, 100_000, 2000)]
    loaded = load(ledger, tmp_path, [*lines, *again, *again])
    assert figures(loaded.reports[0]) == (100_000, 100, 100)
    assert len(loaded.reports[0].conflicting_ids) == 10
    assert counted(loaded.store) == {"first": 100_000}


def test_the_same_messages_in_other_formats_are_duplicates(ledger: Database, tmp_path: Path) -> None:
    taking = Ingest("web", settings(tmp_path / "web"), (), ledger)
    rows = [("2026-10-05T00:00:00.000000Z", f"c{number % 7}", f"id-{number}") for number in range(500)]
    text = "".join(json.dumps(dict(zip(("time", "customer", "id"), row, strict=True))) + "\n" for row in rows)
    table = io.StringIO(newline="")
    csv.writer(table, delimiter=";").writerows([("time", "customer", "id"), *rows])
    contents = {
        "a.jsonl": text.encode(),
        "a.gz": gzip.compress(text.encode()),
        "a.zst": zstandard.compress(text.encode()),
        "a.csv": table.getvalue().encode(),
        "a.csv.gz": gzip.compress(table.getvalue().encode()),
        "a.csv.zst": zstandard.compress(table.getvalue().encode()),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (FROM read_json('{tmp_path}/a.jsonl', "
            f"columns={{time:'TIMESTAMPTZ',customer:'VARCHAR',id:'VARCHAR'}})) TO '{tmp_path}/a.parquet'"
        )
    names = [*contents, "a.parquet"]
    random.Random(1).shuffle(names)
    reports = [taking.take(tmp_path / name, AT + timedelta(seconds=number)) for number, name in enumerate(names)]
    assert [figures(report) for report in reports] == [(500, 0, 0), *[(0, 500, 0)] * 6]
    assert counted(Embedded("web", taking.store, (), ledger)) == {
        f"c{customer}": len(range(customer, 500, 7)) for customer in range(7)
    }


def test_a_number_and_the_text_that_it_is_written_as_are_one_id_and_one_customer(
    ledger: Database, tmp_path: Path
) -> None:
    lines = ['"5"', "5", "5.0", '"5.0"', "1e2", '"1e2"', "100.0", "true", '"true"', "-0", "0", '"\\u0035"']
    loaded = load(ledger, tmp_path, [message("@").replace('"@"', id_) for id_ in lines])
    assert figures(loaded.reports[0])[:2] == (7, 5)
    customers = load(ledger, tmp_path, [message(n).replace('"a"', id_) for n, id_ in enumerate(lines)])
    assert counted(customers.store) == {"5": 3, "5.0": 2, "1e2": 2, "100.0": 1, "true": 2, "-0": 1, "0": 1}


def test_several_values_are_one_customer_when_they_are_one_text(ledger: Database, tmp_path: Path) -> None:
    texts = [
        '["a"]',
        '["a","a"]',
        '["5",5]',
        "[1.50,1.5]",
        '["a","b"]',
        "[]",
        "null",
        '""',
        '["",""]',
        '[["a"],[null]]',
    ]
    loaded = load(ledger, tmp_path, [message(n).replace('"a"', text) for n, text in enumerate(texts)])
    assert tallies(loaded.store.count(query())) == expected(loaded, query())
    numbers = {getattr(tally.subject, "id", None): tally.messages for tally in loaded.store.count(query())}
    assert numbers["a"] == 3
    assert numbers["5"] == 1
    assert sum(numbers.values()) == 10


def test_duplicates_are_told_by_filter_and_span(ledger: Database, tmp_path: Path) -> None:
    lines = [message(n % 10, s="x" if n % 2 else "y") for n in range(40)]
    lines += [message("late"), message("late").replace("2026-10-05", "2026-11-05")]
    store = load(ledger, tmp_path, lines, fields=("s",), files=2).store
    assert store.duplicates(query()) == 30
    assert store.duplicates(query(edges=(MONTH[0], MONTH[1] + timedelta(days=31)))) == 31
    assert store.duplicates(query(filters.OneOf("s", ("x",)))) == 15
    assert store.duplicates(query(edges=(MONTH[0], MONTH[0] + timedelta(days=1)))) == 0


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    ids=st.lists(
        st.tuples(st.sampled_from(["1", "2", "é", "", " ", "'", "a\nb", "x" * 300]), st.integers(0, 2)), max_size=12
    ),
    files=st.integers(1, 3),
    data=st.data(),
)
def test_new_duplicates_and_conflicts_are_what_a_plain_loop_finds(
    tmp_path_factory: pytest.TempPathFactory, ids: list[tuple[str, int]], files: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("plain")
    database = open_ledger(folder)
    try:
        messages = [(id_ or "none", content) for id_, content in ids]
        loaded = load(database, folder, [message(id_, n=content) for id_, content in messages], files=files)
        first: dict[str, int] = {}
        for number, report in enumerate(loaded.reports):
            wanted = [0, 0, 0]
            for id_, content in messages[number::files]:
                if id_ not in first:
                    first[id_] = content
                    wanted[0] += 1
                else:
                    wanted[1] += 1
                    wanted[2] += first[id_] != content
            assert figures(report) == tuple(wanted)
        assert tallies(loaded.store.count(query())) == expected(loaded, query())
    finally:
        database.close()
