"""Bad input through the real command line: one sentence, the right exit status, nothing left behind."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import zstandard

CONFIGURATION = """
settings: {database: "sqlite:///ledger/t.db", zone: UTC}
stores:
  web: {type: embedded, folder: web, fields: {time: time, customer: customer, id: id}, types: {declared: integer}}
views:
  all: {store: web, where: {}}
  used: {store: web, where: {}, count: {sum: used}}
"""
SPAN = ("--from", "2026-10-01T00:00:00Z", "--to", "2026-11-01T00:00:00Z")
GOOD = '{"time":"2026-10-05T00:00:00Z","customer":"a","id":"%s"}\n'
CUSTOMERS = [
    "a,b;c", 'quo"te', "'; DROP TABLE part; --", "two\nlines", "\r\n", "😀 é", "tab\t", "007", "5", "null", "NULL",
    "-", " ",
    "=1+1", "\\", "%s", "{}", "a\u0000b", "\u202e", "x" * 5000,
]  # fmt: skip


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "tallywatch.yaml").write_text(CONFIGURATION.replace("where: {}, ", "").replace(", where: {}", ""))
    (tmp_path / "ledger").mkdir()
    return tmp_path


def run(base: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """The real command line."""
    return subprocess.run(
        [sys.executable, "-m", "tallywatch", "--config", str(base / "tallywatch.yaml"), *arguments],
        check=False, capture_output=True, cwd=Path(__file__).parents[1], timeout=120, **options,
    )  # fmt: skip


def left_behind(base: Path) -> tuple[dict[str, int], list[str]]:
    """Rows in the ledger and files in the store's folder, but for the lock."""
    rows = {}
    if (base / "ledger" / "t.db").is_file():
        with sqlite3.connect(base / "ledger" / "t.db") as connection:
            for table in ("part", "part_field", "source"):
                rows[table] = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        connection.close()
    files = sorted(str(path.relative_to(base)) for path in (base / "web").rglob("*") if path.is_file())
    return rows, [path for path in files if path != "web/lock"]


def refused(base: Path, status: int, sentence: str, *arguments: str, **options: Any) -> None:
    """The command ends with that status and one sentence, and leaves nothing behind."""
    before = left_behind(base)
    done = run(base, *arguments, **options)
    said = done.stderr.decode()
    assert done.returncode == status, (done.returncode, said)
    assert sentence in said, said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1, said
    assert done.stdout == b""
    assert left_behind(base) == before


def test_a_bad_file_is_refused_with_one_sentence_and_leaves_nothing_behind(base: Path) -> None:
    path = base / "log.jsonl"
    path.write_text(GOOD % 0)
    assert run(base, "ingest", "web", str(path)).returncode == 0
    start = (GOOD % 9).rstrip("}\n")
    several = "".join(GOOD % number for number in range(1000)).encode()
    cases: dict[str, bytes] = {
        "log.jsonl: the compressed file ends too early; it was cut off": gzip.compress(several)[:-20],
        "log.jsonl: the compressed file ends too early": zstandard.compress(several)[:-5],
        "log.jsonl:2:56: declared is 9223372036854775808": (
            GOOD % 1 + start + ',"declared":9223372036854775808}'
        ).encode(),
        "log.jsonl:2:": (GOOD % 1 + start + ',"x":NaN}').encode(),
        "log.jsonl:1:": (start + ",}").encode(),
        "log.jsonl:2:1: the line is longer than 16 MiB": (
            GOOD % 1 + start + ',"x":"' + "x" * 50_000_000 + '"}'
        ).encode(),
        "log.jsonl:2:61: not UTF-8 text": (GOOD % 1 + start + ',"x":').encode() + b'"\xff"}\n',
        "log.jsonl:1:1: the message has no time": b'{"customer":"a","id":"1"}',
        "log.jsonl:1:1: the message has no id": b'{"time":"2026-10-05T00:00:00Z"}',
    }
    for sentence, content in cases.items():
        path.write_bytes(content)
        refused(base, 1, sentence, "ingest", "web", str(path))
    refused(base, 2, "is a folder; name the files in it", "ingest", "web", str(base))
    refused(base, 2, "there is no such file", "ingest", "web", str(base / "nothing"))
    refused(base, 2, "there is no store 'wev'", "ingest", "wev", str(path))
    refused(base, 1, "-:1:1: not JSON", "ingest", "web", "-", input=b"nonsense\n")


def test_files_without_messages_are_told_so(base: Path) -> None:
    for content in (b"", b"\n\n \n"):
        (base / "log").write_bytes(content)
        done = run(base, "ingest", "web", str(base / "log"))
        assert done.returncode == 0
        assert done.stderr.decode().strip() == f"{base / 'log'}: no messages: the file is empty"
    assert left_behind(base)[1] == []


def test_bad_lines_are_skipped_when_asked_and_their_number_is_told(base: Path) -> None:
    bad = b'{"time":"\xff"}\r\nnot json\n'
    (base / "log").write_bytes((GOOD % 1).encode() + bad + (GOOD % 2).encode())
    done = run(base, "ingest", "web", str(base / "log"), "--skip-bad", str(base / "bad"), "--format", "json")
    assert done.returncode == 0
    assert f"{base / 'log'}: 2 bad lines written to {base / 'bad'}" in done.stderr.decode()
    assert (base / "bad").read_bytes() == bad
    assert json.loads(done.stdout)["new"] == 2
    refused(base, 2, "--skip-bad goes with one file", "ingest", "web", "a", "b", "--skip-bad", "c")
    (base / "log").write_bytes(b"x\n")
    refused(
        base,
        3,
        "the refused lines cannot be written there",
        "ingest",
        "web",
        str(base / "log"),
        "--skip-bad",
        str(base / "no" / "bad"),
    )


def test_standard_input_is_taken_in_every_form(base: Path) -> None:
    for number, form in enumerate((bytes, gzip.compress, zstandard.compress)):
        done = run(base, "ingest", "web", "-", "--format", "json", input=form((GOOD % number).encode()))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["file"] == "-"
        assert json.loads(done.stdout)["new"] == 1
    assert not [path for path in left_behind(base)[1] if "stdin" in path]


def test_any_customer_id_is_counted_and_comes_out_intact(base: Path) -> None:
    messages = [
        {"time": "2026-10-05T00:00:00Z", "customer": customer, "id": f"{number}-{copy}"}
        for number, customer in enumerate(CUSTOMERS)
        for copy in range(number + 1)
    ]
    path = base / "log"
    path.write_text(
        "".join(json.dumps(message, ensure_ascii=bool(index % 2)) + "\n" for index, message in enumerate(messages))
    )
    assert run(base, "ingest", "web", str(path)).returncode == 0
    wanted = {customer: number + 1 for number, customer in enumerate(CUSTOMERS)}
    done = run(base, "count", "all", *SPAN, "--format", "json")
    *rows, integrity = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["customer"]: row["quantity"] for row in rows} == wanted
    assert integrity["total"] == sum(wanted.values())
    done = run(base, "count", "all", *SPAN, "--format", "csv")
    table = csv.DictReader(io.StringIO(done.stdout.decode(), newline=""))
    assert {row["customer"]: int(row["quantity"]) for row in table} == wanted
    done = run(base, "count", "all", *SPAN)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_a_number_that_not_every_store_keeps_makes_a_count_of_it_unavailable(base: Path) -> None:
    (base / "log").write_text((GOOD % 1).replace("}", ',"used":9223372036854775808}'))
    assert run(base, "ingest", "web", str(base / "log")).returncode == 0
    assert run(base, "count", "all", *SPAN).returncode == 0
    refused(base, 3, "used holds a number of more than 17 significant digits or beyond 2^63", "count", "used", *SPAN)


# What lies outside: disks, permissions, databases.


def big(number: int) -> bytes:
    """Some megabytes that no compression makes smaller."""
    return "".join(
        (GOOD % f"{number}-{index}").replace("}", f',"x":"{os.urandom(200).hex()}"}}') for index in range(20_000)
    ).encode()


def test_a_file_size_limit_is_told_as_a_full_disk(base: Path) -> None:
    (base / "log").write_bytes(big(1))
    (base / "log.gz").write_bytes(gzip.compress(big(2), 1))
    assert run(base, "count", "all").returncode == 0  # the ledger is there

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    for name in ("log", "log.gz"):
        refused(
            base, 3, "the disk is full; nothing was taken in", "ingest", "web", str(base / name), preexec_fn=limited
        )
    refused(base, 3, "File too large", "ingest", "web", "-", input=big(3), preexec_fn=limited)


@contextmanager
def mounted(path: Path, *options: str) -> Iterator[Callable[..., None]]:
    """A file system of its own at that path; skips where that is not allowed."""
    path.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, str(path)], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("mounting is not allowed here")

    def again(*changes: str) -> None:
        subprocess.run(["mount", "-o", ",".join(("remount", *changes)), str(path)], check=True)

    try:
        yield again
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_full_disk_is_told_and_nothing_is_left_on_it(base: Path) -> None:
    (base / "log").write_bytes(big(1))
    (base / "log.gz").write_bytes(gzip.compress(big(2), 1))
    (base / "small").write_text(GOOD % 1)
    with mounted(base / "web", "-t", "tmpfs", "-o", "size=3m", "tmpfs"):
        assert run(base, "ingest", "web", str(base / "small")).returncode == 0
        for name in ("log", "log.gz"):
            refused(base, 3, "the disk is full; nothing was taken in", "ingest", "web", str(base / name))
        assert run(base, "count", "all", *SPAN).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_ledger_on_a_full_or_read_only_disk_refuses_and_no_part_stays(base: Path) -> None:
    path = base / "log"
    path.write_text(GOOD % 1)
    with mounted(base / "ledger", "-t", "tmpfs", "-o", "size=2m", "tmpfs") as remount:
        assert run(base, "ingest", "web", str(path)).returncode == 0
        path.write_text(GOOD % 2)
        filler = base / "ledger" / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as stream:
            while stream.write(b"x" * 1024):
                pass
        refused_by_the_ledger(base, "ingest", "web", str(path))
        filler.unlink()
        for leftover in ("t.db-wal", "t.db-shm"):
            (base / "ledger" / leftover).unlink(missing_ok=True)
        remount("ro")
        refused_by_the_ledger(base, "ingest", "web", str(path))
        remount("rw")
        assert run(base, "ingest", "web", str(path)).returncode == 0


def refused_by_the_ledger(base: Path, *arguments: str) -> None:
    """As `refused`, where the ledger cannot be read either."""
    files = left_behind_files(base)
    done = run(base, *arguments)
    assert done.returncode == 3, done
    assert "ledger/t.db cannot " in done.stderr.decode()
    assert len(done.stderr.strip().splitlines()) == 1
    assert left_behind_files(base) == files


def left_behind_files(base: Path) -> list[str]:
    return sorted(str(path) for path in (base / "web").rglob("*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_read_only_store_folder_is_told(base: Path) -> None:
    (base / "log").write_text(GOOD % 1)
    assert run(base, "count", "all").returncode == 0  # the ledger is there
    with mounted(base / "web", "-t", "tmpfs", "-o", "size=3m", "tmpfs") as remount:
        remount("ro")
        refused(base, 3, "the store's folder cannot be written", "ingest", "web", str(base / "log"))
        refused(base, 3, "the store's folder cannot be written", "ingest", "web", "-", input=b"")
