"""Kills `tallywatch close` at random moments, runs it again, and looks at what is left.

After a kill a statement is whole in the ledger or not there, and a file is as it will be or not there. After the next
run each statement is there once, every file has the bytes of a close that nobody disturbed, the manifest fits, and no
provisional file is left.

    python tests/campaigns/kill_close.py --moments 50 --seed 1
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sqlite3
import time
from pathlib import Path
from typing import NamedTuple

from campaign import kill_after, run_to_end, start

MONTH = "2025-10"
CONFIGURATION = """
settings: {database: "sqlite:///t.db", zone: Europe/Stockholm}
stores:
  api: {type: embedded, folder: events, fields: {time: t, customer: c, id: id}}
tiers:
  basic: {fee: 500, prices: {api_calls: {included: 1, overage: 0.01}}}
customers: {file: customers.csv}
views:
  all: {store: api, meter: api_calls, where: {s: x}}
exports:
  statistics: {views: [all], layout: statistics, approve: auto}
  billing: {views: [all], layout: charges, approve: auto}
"""


class Statement(NamedTuple):
    """What the ledger has of one statement."""

    export: str
    billing_day: int
    lines: int
    lines_hash: str
    files: int
    audits: int


def prepare(base: Path, customers: int) -> None:
    """So many customers of two billing days, their messages in the store, and provisional files."""
    base.mkdir()
    (base / "tallywatch.yaml").write_text(CONFIGURATION)
    rows = [f"c{number:06},basic,{1 if number % 3 else 15}" for number in range(customers)]
    (base / "customers.csv").write_text("\n".join(["id,tier,billing_day", *rows]) + "\n")
    with (base / "messages.jsonl").open("w") as file:
        for number in range(customers):
            for copy in range(number % 4):
                message = {"id": f"{number}-{copy}", "c": f"c{number:06}", "s": "x", "t": f"2025-10-2{copy}T10:00:00Z"}
                file.write(json.dumps(message) + "\n")
    run_to_end(base, "ingest", "api", str(base / "messages.jsonl"))
    run_to_end(base, "export", MONTH, "--provisional")


def in_ledger(base: Path) -> list[Statement]:
    """Every statement, with a hash over its lines."""
    connection = sqlite3.connect(base / "t.db")
    try:
        found = []
        heads = connection.execute("SELECT id, export, billing_day FROM statement ORDER BY export, billing_day")
        for id_, export, billing_day in heads.fetchall():
            columns = "customer, tier, meter, period_start, period_end, quantity, included, overage, amount"
            wanted = f"SELECT {columns} FROM line WHERE statement_id = ? ORDER BY 1"
            lines = connection.execute(wanted, (id_,)).fetchall()
            files = connection.execute("SELECT count(*) FROM file WHERE statement_id = ?", (id_,)).fetchone()[0]
            name = f"statement {export} {MONTH}" + ("" if billing_day == 1 else f", billing day {billing_day}")
            audits = connection.execute("SELECT count(*) FROM audit WHERE object = ?", (name,)).fetchone()[0]
            digest = hashlib.sha256(repr(lines).encode()).hexdigest()
            found.append(Statement(export, billing_day, len(lines), digest, files, audits))
        orphans = connection.execute(
            "SELECT count(*) FROM line WHERE statement_id NOT IN (SELECT id FROM statement)"
        ).fetchone()[0]
        assert orphans == 0, "lines without a statement"
        return found
    finally:
        connection.close()


def in_folder(base: Path) -> dict[str, bytes]:
    """Every file in the month's folder, hidden ones too; not the provisional ones below it."""
    folder = base / "exports" / MONTH
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.is_file()}


class Moment(NamedTuple):
    """What one kill left. `killed` is False when the close was done before, which is no kill and does not count."""

    killed: bool
    seconds: float  # that the close ran
    statements: int
    files: int


def check_manifest(files: dict[str, bytes]) -> None:
    """The manifest lists every other file, with its hash."""
    entries = {entry["path"]: entry["sha256"] for entry in json.loads(files["manifest.json"])["files"]}
    found = {name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != "manifest.json"}
    assert entries == found, f"the manifest lists {sorted(entries)}, the folder has {sorted(found)}"


def one_moment(
    prepared: Path, folder: Path, seconds: float, expected: list[Statement], wanted: dict[str, bytes]
) -> Moment:
    """Kills one close after so many seconds and checks what is left, then what the next run makes of it."""
    shutil.copytree(prepared, folder)
    started = time.perf_counter()
    killed = kill_after(seconds, folder, "close", MONTH)
    ran = time.perf_counter() - started
    left = in_ledger(folder)
    assert all(statement in expected for statement in left), f"half a statement: {left}"
    visible = {name: content for name, content in in_folder(folder).items() if not name.startswith(".")}
    for name, content in visible.items():
        assert name == "manifest.json" or content == wanted[name], f"{name} is not whole"
    run_to_end(folder, "close", MONTH)
    assert in_ledger(folder) == expected, "the statements are not those of an undisturbed close"
    assert not (folder / "exports" / MONTH / "provisional").exists(), "provisional files outlived the close"
    files = in_folder(folder)
    assert {name: content for name, content in files.items() if name != "manifest.json"} == wanted
    check_manifest(files)
    run_to_end(folder, "close", MONTH)
    assert in_folder(folder) == files, "writing the files again changed them"
    shutil.rmtree(folder)
    return Moment(killed, ran, len(left), len(visible))


def campaign(work: Path, moments: int, seed: int, customers: int) -> None:
    """The whole campaign in an empty folder; AssertionError says what was wrong, and at which moment."""
    dice = random.Random(seed)
    prepared, reference = work / "prepared", work / "reference"
    prepare(prepared, customers)
    shutil.copytree(prepared, reference)
    seconds = run_to_end(reference, "close", MONTH)
    expected, wanted = in_ledger(reference), in_folder(reference)
    check_manifest(wanted)
    del wanted["manifest.json"]  # it names the instant of the close
    assert len(expected) == len(wanted) == 4
    assert all(statement.files == statement.audits == 1 for statement in expected)
    kills = 0
    for _ in range(moments * 5):
        # the first half is mostly imports and counting; where things are written, look more often
        moment = dice.uniform(0.0, seconds) if kills % 4 == 0 else dice.uniform(seconds * 0.6, seconds)
        found = one_moment(prepared, work / "moment", moment, expected, wanted)
        if not found.killed:
            seconds = min(seconds, found.seconds)  # the machine is faster than when it was measured
            continue
        kills += 1
        left = f"{found.statements} statements, {found.files} files left"
        print(f"{kills}/{moments} killed after {found.seconds:.3f} s: {left}", flush=True)
        if kills == moments:
            return
    raise AssertionError(f"only {kills} of {moments} closes could be killed before they were done")


if __name__ == "__main__":
    start(campaign, __doc__, "customers")
