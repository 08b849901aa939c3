"""CSV files: what a cell means, and which files are refused."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from stores import AT, settings

from ledger import parts
from ledger.database import Database
from logviews.intake import files
from logviews.intake.csvfile import csv_to_lines
from logviews.intake.files import IngestError
from logviews.intake.ingest import Ingest


def converted(
    tmp_path: Path, content: str | bytes, name: str = "log.csv", **changes: Any
) -> list[dict[str, Any] | None]:
    """The lines that a file becomes: a message, or None for an empty line; numbers are marked texts."""
    path, target = tmp_path / name, tmp_path / "rows.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    csv_to_lines(files.recognise(path), target, settings(tmp_path, **changes))
    texts = target.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(text, parse_int=number, parse_float=number) if text else None for text in texts]


def number(text: str) -> str:
    return f"number {text}"


def refusal(tmp_path: Path, content: str | bytes) -> str:
    with pytest.raises(IngestError) as refused:
        converted(tmp_path, content)
    return str(refused.value).removeprefix(str(tmp_path / "log.csv"))


def test_a_json_number_is_a_number_an_empty_cell_is_missing_and_all_else_is_text(tmp_path: Path) -> None:
    cells = {
        "5": "number 5", "-0": "number -0", "1.50": "number 1.50", "1e3": "number 1e3", "9" * 30: "number " + "9" * 30,
        "007": "007", "+1": "+1", ".5": ".5", "1.": "1.", " 5": " 5", "NaN": "NaN", "true": "true", "null": "null",
        "٣": "٣", "{}": "{}", "1_000": "1_000", "0x1F": "0x1F",
    }  # fmt: skip
    found = converted(tmp_path, "v,w\n" + "".join(f"{cell},\n" for cell in cells))
    assert found == [None, *({"v": value} for value in cells.values())]


def test_customer_and_id_are_text_and_a_declared_type_decides(tmp_path: Path) -> None:
    found = converted(
        tmp_path,
        "customer,id,s,b,i,ip\n5,1.0,7,true,8,10\n",
        types={"s": "string", "b": "boolean", "i": "integer", "ip": "ip"},
    )
    assert found[1] == {"customer": "5", "id": "1.0", "s": "7", "b": True, "i": "number 8", "ip": "10"}


def test_dotted_headers_become_nested_fields(tmp_path: Path) -> None:
    assert converted(tmp_path, "a.b.c,a.b.d,e\n1,x,2\n,y,\n")[1:] == [
        {"a": {"b": {"c": "number 1", "d": "x"}}, "e": "number 2"},
        {"a": {"b": {"d": "y"}}},
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
def test_delimiters_line_ends_marks_and_compression_are_recognised(
    tmp_path: Path, delimiter: str, end: str, compress: Any
) -> None:
    text = "\ufeff" + delimiter.join(["a", '"b ""c"""', "d"]) + end + delimiter.join(["1", '"x,;\ty"', "é"]) + end
    for name in ("log.csv", "LOG.TSV", "log.csv.gz", "log.csv.zst"):
        assert converted(tmp_path, compress(text.encode()), name) == [
            None,
            {"a": "number 1", 'b "c"': "x,;\ty", "d": "é"},
        ]


def test_a_row_over_several_lines_leaves_the_numbers_of_the_lines_after_it_right(tmp_path: Path) -> None:
    found = converted(tmp_path, 'a,b\n1,"x\ny\r\nz"\n\n2,w\n')
    assert found == [None, {"a": "number 1", "b": "x\ny\r\nz"}, None, None, None, {"a": "number 2", "b": "w"}]


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@hypothesis_settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5), delimiter=st.sampled_from([",", ";", "\t"]))
def test_what_a_spreadsheet_writes_is_read_back(
    tmp_path: Path, table: list[tuple[str, str, str]], delimiter: str
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b", "c"), *table])
    found = converted(tmp_path, out.getvalue(), types={"a": "string", "b": "string", "c": "string"})
    wanted = [{name: cell for name, cell in zip("abc", row, strict=True) if cell} for row in table]
    assert [row for row in found if row is not None] == wanted


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a,b\n1,2\n3\n", ":3: 1 cell, but the header has 2"),
        ('a,b\n1,"x\ny"\n1,2,3\n', ":4: 3 cells, but the header has 2"),
        ("a,a\n", ":1: two columns are named 'a'"),
        ("a,\n", ":1: column 2 has no name"),
        ("a,a.b\n", ":1: 'a' cannot be a column beside columns inside it (a.…)"),
        ("", ":1: the file has no header row with the names of its columns"),
        ('a,b\n1,"x\n', ":2: not CSV: unexpected end of data"),
        ('a,b\n1,"x"y\n', ":2: not CSV: ',' expected after '\"'"),
        (b"a,b\n1,2\n3,x\xff\n", ":3:4: not UTF-8 text"),
        (b"a,b\n1," + b"x" * (17 * 1024 * 1024) + b"\n", ":2: the line is longer than 16 MiB"),
        ("a,b\r1,2\r", ":1: not CSV: new-line character seen in unquoted field"),
    ],
)
def test_a_file_that_is_not_whole_csv_is_refused_with_its_line(tmp_path: Path, content: str, sentence: str) -> None:
    assert refusal(tmp_path, content).startswith(sentence)


def test_a_bad_row_is_told_by_its_line_in_the_file(ledger: Database, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('time,customer,id\n2026-10-01T00:00:00Z,"a\nb",1\n\nyesterday,a,2\n')
    taking = Ingest("web", settings(tmp_path / "web"), (), ledger)
    with pytest.raises(IngestError) as refused:
        taking.take(path, AT)
    assert str(refused.value).startswith(f"{path}:5: time 'yesterday' is no RFC 3339 time")
    assert taking.take(path, AT, tmp_path / "refused").skipped == 1
    assert (tmp_path / "refused").read_text() == '{"time":"yesterday","customer":"a","id":"2"}\n'


def test_a_file_without_ids_is_continued_after_the_rows_that_were_read(ledger: Database, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    chosen = settings(tmp_path / "web", fields={"time": "time", "customer": "customer"})
    taking = Ingest("web", chosen, (), ledger)
    rows = 'time,customer\n2026-10-01T00:00:00Z,"a\nb"\n2026-10-01T00:00:00Z,a\n'
    path.write_text(rows)
    assert (taking.take(path, AT).new, taking.take(path, AT).new) == (2, 0)
    path.write_text(rows + "2026-10-01T00:00:00Z,a\n")
    report = taking.take(path, AT)
    assert (report.new, report.resumed) == (1, 4)
    packed = tmp_path / "log.csv.1.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert taking.take(packed, AT).new == 0
    packed.write_bytes(gzip.compress((rows + "2026-10-01T00:00:00Z,a\nbad,a\n").encode()))
    with pytest.raises(IngestError, match=r"\.gz:6: time 'bad' is no RFC 3339"):
        taking.take(packed, AT)


# Rows that are not whole, or do not fit.

HEADER = "time,customer,id\n"
ROW = "2026-10-01T00:00:00Z,%s,%s\n"


def with_ids(ledger: Database, tmp_path: Path) -> Ingest:
    return Ingest("web", settings(tmp_path / "web"), (), ledger)


def without_ids(ledger: Database, tmp_path: Path) -> Ingest:
    return Ingest("web", settings(tmp_path / "web", fields={"time": "time", "customer": "customer"}), (), ledger)


def customers(taking: Ingest) -> list[str]:
    """The customer of each message in the store, sorted."""
    with taking.database.connect() as reading:
        paths = [str(taking.store.folder / part.path) for part in parts.of_store(reading, taking.name)]
    with duckdb.connect() as connection:
        return sorted(
            row[0]
            for path in paths
            for row in connection.execute(f"SELECT customer FROM read_parquet('{path}')").fetchall()
        )


@pytest.mark.parametrize("taker", [with_ids, without_ids])
def test_a_file_caught_anywhere_in_its_last_row_gives_each_row_once_and_whole(
    ledger: Database, tmp_path: Path, taker: Callable[[Database, Path], Ingest]
) -> None:
    whole = HEADER + ROW % ("alice", "x1") + ROW % ("bob", "x2") + ROW % ("carol", "x3")
    rows_end = len(HEADER + ROW % ("alice", "x1") + ROW % ("bob", "x2"))
    for cut in (*range(rows_end, len(whole) - 1, 5), len(whole) - 1):
        (tmp_path / str(cut)).mkdir()
        taking = replace(taker(ledger, tmp_path / str(cut)), name=f"web{cut}")
        path = tmp_path / str(cut) / "log.csv"
        path.write_text(whole[:cut])
        report = taking.take(path, AT)
        assert (report.new, report.unfinished) == (2, None if cut == rows_end else 4)
        path.write_text(whole)
        report = taking.take(path, AT)
        assert (report.new, report.conflicts, report.unfinished) == (1, 0, None)
        assert customers(taking) == ["alice", "bob", "carol"]


def test_a_file_that_ends_within_quotes_is_refused_until_they_end(ledger: Database, tmp_path: Path) -> None:
    taking, path = without_ids(ledger, tmp_path), tmp_path / "log.csv"
    whole = HEADER + ROW % ("a", 1) + ROW % ('"b\nc"', 2)
    path.write_text(whole[: whole.index("c", len(HEADER))])
    with pytest.raises(IngestError, match=r"log\.csv:3: not CSV: unexpected end of data"):
        taking.take(path, AT)
    path.write_text(whole)
    assert taking.take(path, AT).new == 2
    assert customers(taking) == ["a", "b\nc"]


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress, None])
def test_a_last_row_without_a_line_end_counts_where_nothing_can_follow(
    ledger: Database, tmp_path: Path, compress: Callable[[bytes], bytes] | None
) -> None:
    taking, path = without_ids(ledger, tmp_path), tmp_path / "log.csv.packed"
    content = (HEADER + ROW % ("a", 1) + (ROW % ("b", 2)).rstrip()).encode()
    path.write_bytes(compress(content) if compress else content)
    report = taking.take(path, AT, name=None if compress else "-", format_="csv")
    assert (report.new, report.unfinished) == (2, None)
    if compress:
        assert taking.take(path, AT, format_="csv").new == 0


def test_rows_that_do_not_fit_the_header_are_set_apart_as_they_are(ledger: Database, tmp_path: Path) -> None:
    taking, path, refused = without_ids(ledger, tmp_path), tmp_path / "log.csv", tmp_path / "refused"
    bad = ["short,1\r\n", '2026-10-01T00:00:00Z,"a\nb",1,more\n', '{"x":1}\n']
    path.write_bytes((HEADER + ROW % ("a", 1) + bad[0] + bad[1] + ROW % ("b", 2) + bad[2]).encode())
    with pytest.raises(IngestError, match=r"log\.csv:3: 2 cells, but the header has 3"):
        taking.take(path, AT)
    report = taking.take(path, AT, refused)
    assert (report.new, report.skipped) == (2, 3)
    assert refused.read_bytes() == "".join(bad).encode()
    with path.open("a") as stream:
        stream.write(ROW % ("c", 3) + "too,few\n" + "never,a,4\n")
    report = taking.take(path, AT, refused)
    assert (report.new, report.skipped, report.resumed) == (1, 2, 7)
    assert refused.read_text() == 'too,few\n{"time":"never","customer":"a","id":4}\n'
    assert customers(taking) == ["a", "b", "c"]


def test_a_format_that_is_said_serves_where_the_name_does_not_tell(ledger: Database, tmp_path: Path) -> None:
    taking, path = with_ids(ledger, tmp_path), tmp_path / "export.txt"
    path.write_text(HEADER + ROW % ("a", 1))
    with pytest.raises(IngestError, match=r"export\.txt:1:1: not JSON; .* say --as csv"):
        taking.take(path, AT)
    assert taking.take(path, AT, format_="csv").new == 1
    lines = tmp_path / "lines.csv"
    lines.write_text('{"time":"2026-10-01T00:00:00Z","customer":"a","id":"2"}\n')
    assert taking.take(lines, AT, format_="jsonl").new == 1
