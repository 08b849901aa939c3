"""`tallywatch ingest` as it is typed: what it says, its exit statuses, and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

CONFIGURATION = """
settings: {database: "sqlite:///t.db", zone: UTC}
stores:
  web: {type: embedded, folder: web, fields: {time: time, customer: customer, id: id}}
views:
  all: {store: web}
"""
LINE = '{"time":"2026-10-05T00:00:00Z","customer":"a","id":"%s","n":%d}\n'
CSV = "time,customer,id\n2026-10-05T00:00:00Z,a,%s\n"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "tallywatch.yaml").write_text(CONFIGURATION)
    return tmp_path


def command(base: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tallywatch", "--config", str(base / "tallywatch.yaml"), "ingest", "web", *arguments]


def run(base: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(base, *arguments), check=False, capture_output=True, text=True, timeout=120,
        cwd=Path(__file__).parents[2], **options,
    )  # fmt: skip


def parts(base: Path) -> int:
    """How many parts the ledger knows."""
    with sqlite3.connect(base / "t.db") as connection:
        found: int = connection.execute("SELECT count(*) FROM part").fetchone()[0]
    connection.close()
    return found


def test_csv_on_standard_input_is_taken_when_it_is_said_to_be(base: Path) -> None:
    done = run(base, "-", input=CSV % 1)
    assert done.returncode == 1
    assert done.stderr.startswith("-:1:1: not JSON; JSON lines, CSV or Parquet expected. If this is CSV, say --as csv;")
    done = run(base, "-", "--as", "csv", "--format", "json", input=(CSV % 1).rstrip())
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["new"] == 1


def test_a_name_that_is_no_file_is_wrong_usage_and_nothing_is_taken_in(base: Path) -> None:
    (base / "log").write_text(LINE % (1, 1))
    for name, sentence in (("lgo", "there is no such file"), ("", "is a folder; name the files in it")):
        done = run(base, str(base / "log"), str(base / name))
        assert done.returncode == 2
        assert sentence in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert sorted(path.name for path in base.iterdir()) == ["log", "tallywatch.yaml"]


def test_one_message_is_spoken_of_as_one(base: Path) -> None:
    (base / "log").write_text(LINE % (1, 1) + LINE % (1, 2) + "bad\n")
    done = run(base, str(base / "log"), "--skip-bad", str(base / "bad"))
    assert done.stderr.splitlines() == [
        f"{base}/log: 1 message has the id of an earlier message but other content; the first one counts: 1",
        f"{base}/log: 1 bad line written to {base}/bad",
    ]
    (base / "log").write_text(LINE % (1, 3) + LINE % (1, 4) + "bad\nworse\n")
    done = run(base, str(base / "log"), "--skip-bad", str(base / "bad"))
    assert done.stderr.splitlines() == [
        f"{base}/log: 2 messages have the id of an earlier message but other content; the first one counts: 1, 1",
        f"{base}/log: 2 bad lines written to {base}/bad",
    ]


def test_a_last_row_without_a_line_end_is_left_and_that_is_said(base: Path) -> None:
    (base / "log.csv").write_text((CSV % 1).rstrip())
    done = run(base, str(base / "log.csv"))
    assert done.returncode == 0
    assert done.stderr.startswith(f"{base}/log.csv:2: the last row has no line end, so it may still be being written")
    assert len(done.stderr.splitlines()) == 1
    assert parts(base) == 0


# a number such as -0 is read in Python, through a function that the engine calls
@pytest.mark.parametrize("line", [LINE, LINE.replace('"n":%d', '"n":[-0,%d]')], ids=["sql", "python"])
def test_ctrl_c_while_the_engine_works_stops_without_a_traceback_and_takes_nothing_in(base: Path, line: str) -> None:
    with (base / "log").open("w") as stream:
        stream.writelines(line % (number, number) for number in range(600_000))
    assert run(base, "-", input="").returncode == 0  # the ledger is there
    process = subprocess.Popen(
        command(base, str(base / "log")), stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    part = base / "web" / "staging" / "part.parquet"
    while not part.exists():
        assert process.poll() is None
        time.sleep(0.002)
    time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said.strip()) == (130, "Stopped.")
    assert parts(base) == 0
    assert sorted(path.name for path in (base / "web").rglob("*") if path.is_file()) == ["lock"]
