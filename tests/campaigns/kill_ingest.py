"""Kills `tallywatch ingest` at random moments, runs it again until it is done, and counts.

Files with and without ids, plain and compressed, in several formats, with duplicates inside and across files. At the
end each message is counted exactly once, the ledger is sound, and the stores' folders hold what it knows, no more.

    python tests/campaigns/kill_ingest.py --moments 50 --seed 1
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import shutil
import sqlite3
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import zstandard
from campaign import command, environment, kill_after, run_to_end, start

CONFIGURATION = """
settings: {database: "sqlite:///t.db", zone: UTC}
stores:
  ids: {type: embedded, folder: ids, fields: {time: t, customer: c, id: id}}
  lines: {type: embedded, folder: lines, fields: {time: t, customer: c}}
views:
  ids: {store: ids, where: {s: x}}
  lines: {store: lines, where: {s: x}}
"""
SPAN = ("--from", "2025-10-01T00:00:00Z", "--to", "2025-11-01T00:00:00Z")
Figures = dict[str, tuple[Counter[str], int]]
"""Store -> messages by customer, and duplicates refused."""


@dataclass(frozen=True)
class Case:
    """A prepared folder, the command lines that take its files in, and what must be counted in the end."""

    base: Path
    ingests: dict[str, list[str]]
    expected: Figures
    lines: int  # in each file


def prepare(base: Path, dice: random.Random, lines: int) -> Case:
    """A configuration and a few files; what a plain loop counts in them."""
    base.mkdir()
    (base / "tallywatch.yaml").write_text(CONFIGURATION)
    seen: set[str] = set()
    expected: Figures = {"ids": (Counter(), 0), "lines": (Counter(), 0)}
    ingests: dict[str, list[str]] = {"ids": [], "lines": []}
    for store, names in (("ids", ("a.jsonl", "b.jsonl.gz", "c.csv")), ("lines", ("d.jsonl", "e.jsonl.zst", "f.csv"))):
        customers, duplicates = expected[store]
        for name in names:
            rows = []
            for _ in range(lines):
                id_ = f"id-{dice.randrange(lines * 10)}"
                # what an id says is always the same, so that no order matters
                customer = f"c{hash_of(id_) % 50}"
                rows.append({"t": f"2025-10-{1 + hash_of(id_) % 31:02}T10:00:00Z", "c": customer, "s": "x", "id": id_})
                if store == "ids" and id_ in seen:
                    duplicates += 1
                else:
                    customers[customer] += 1
                seen.add(id_)
            write(base / name, rows)
            ingests[store].append(str(base / name))
        expected[store] = (customers, duplicates)
    return Case(base, ingests, expected, lines)


def hash_of(text: str) -> int:
    """A number that is the same in every process."""
    return sum(ord(letter) * 31**index for index, letter in enumerate(text)) % 1_000_003


def write(path: Path, rows: list[dict[str, str]]) -> None:
    """The rows in the format that the name says."""
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    compress = {".gz": gzip.compress, ".zst": zstandard.compress}.get(path.suffix, bytes)
    path.write_bytes(compress(content))


def counted(base: Path) -> Figures:
    """What `count` says of both stores."""
    return {view: counted_in(base, view) for view in ("ids", "lines")}


def counted_in(base: Path, view: str) -> tuple[Counter[str], int]:
    """What `count` says of a view: messages by customer, and duplicates refused."""
    done = subprocess.run(
        command(base, "count", view, *SPAN, "--format", "json"),
        check=True,
        capture_output=True,
        text=True,
        env=environment(),
    )
    *rows, integrity = [json.loads(line) for line in done.stdout.splitlines()]
    assert integrity["total"] == sum(row["quantity"] for row in rows)
    return Counter({row["customer"]: row["quantity"] for row in rows}), integrity["duplicates"]


def check_ledger(base: Path) -> int:
    """The database is sound and every registered part is there; how many parts there are."""
    with sqlite3.connect(base / "t.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        wanted = "SELECT part.store, part.path FROM part JOIN listed ON listed.part_id = part.id"
        parts = connection.execute(wanted).fetchall() if has_tables(connection) else []
    connection.close()
    missing = [f"{store}/{path}" for store, path in parts if not (base / store / path).is_file()]
    assert not missing, f"registered, but not there: {missing}"
    return len(parts)


def sources(base: Path, store: str) -> int:
    """How many files have been taken into a store."""
    with sqlite3.connect(base / "t.db") as connection:
        found = connection.execute("SELECT count(DISTINCT source) FROM part WHERE store = ?", (store,)).fetchone()[0]
    connection.close()
    return int(found)


def has_tables(connection: sqlite3.Connection) -> bool:
    """Whether the ledger had been created when the process was killed."""
    return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'part'").fetchall())


def strangers(base: Path) -> list[str]:
    """Files in the stores' folders that the ledger does not know, besides the lock."""
    with sqlite3.connect(base / "t.db") as connection:
        known = {f"{store}/{path}" for store, path in connection.execute("SELECT store, path FROM part")}
    connection.close()
    found = {
        str(path.relative_to(base)) for name in ("ids", "lines") for path in (base / name).rglob("*") if path.is_file()
    }
    return sorted(path for path in found - known if Path(path).name != "lock" and "/columns/" not in path)


class Moment(NamedTuple):
    """What one kill left behind."""

    killed: bool
    parts: int
    strangers: int


def one_moment(prepared: Case, folder: Path, store: str, seconds: float) -> Moment:
    """Kills an ingest once, runs it again, and checks everything."""
    # the same paths: a file without ids is known by its path too
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(prepared.base, folder)
    ingests = {name: [str(folder / Path(file).name) for file in files] for name, files in prepared.ingests.items()}
    case = Case(folder, ingests, {}, prepared.lines)
    killed = kill_after(seconds, folder, "ingest", store, *case.ingests[store])
    parts = check_ledger(folder) if (folder / "t.db").exists() else 0
    left = len(strangers(folder)) if parts else 0
    taken = sources(folder, "ids") if parts else 0
    for name in ("ids", "lines"):
        run_to_end(folder, "ingest", name, *case.ingests[name])
    found, (customers, duplicates) = counted(folder), prepared.expected["ids"]
    assert found["lines"] == prepared.expected["lines"], "a line was lost or counted twice"
    assert found["ids"][0] == customers, "an id was lost or counted twice"
    # files that had been taken in before the kill come again, each of their messages a duplicate
    assert found["ids"][1] == duplicates + taken * prepared.lines, "a duplicate was lost or counted twice"
    check_ledger(folder)
    assert strangers(folder) == [], strangers(folder)
    return Moment(killed, parts, left)


def two_at_once(prepared: Case, folder: Path) -> None:
    """Two ingests of the same files into the same stores: both end well, and nothing is doubled."""
    shutil.copytree(prepared.base, folder)
    for store, files in prepared.ingests.items():
        here = [str(folder / Path(file).name) for file in files]
        both = [
            subprocess.Popen(
                command(folder, "ingest", store, *order),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment(),
            )
            for order in (here, here[::-1])
        ]
        for process in both:
            _, said = process.communicate(timeout=120)
            assert process.returncode == 0, said.decode()
    found = counted(folder)
    assert found["lines"] == prepared.expected["lines"]
    assert found["ids"][0] == prepared.expected["ids"][0]
    # each id of the second run was there before
    assert sum(found["ids"][0].values()) + found["ids"][1] == 2 * sum(
        (sum(prepared.expected["ids"][0].values()), prepared.expected["ids"][1])
    )
    check_ledger(folder)
    assert strangers(folder) == []


def campaign(work: Path, moments: int, seed: int, lines: int) -> None:
    """The whole campaign in an empty folder; AssertionError says what was wrong."""
    dice = random.Random(seed)
    prepared = prepare(work / "prepared", dice, lines)
    two_at_once(prepared, work / "both")
    print("two ingests at once: both ended well, nothing doubled", flush=True)
    lasted = {}
    shutil.copytree(prepared.base, work / "measured")
    for store in prepared.ingests:
        lasted[store] = run_to_end(work / "measured", "ingest", store, *prepared.ingests[store])
    kills, interrupted = 0, 0
    for _ in range(moments * 5):
        store = dice.choice(["ids", "lines"])
        # the beginning is imports; most moments are where files are written
        seconds = lasted[store] * (dice.uniform(0, 1) if kills % 4 == 0 else dice.uniform(0.3, 1))
        found = one_moment(prepared, work / "moment", store, seconds)
        if not found.killed:
            lasted[store] *= 0.95  # the machine is faster than when it was measured
            continue
        kills += 1
        interrupted += found.parts + found.strangers > 0
        print(
            f"{kills}/{moments} {store} killed after {seconds:.3f} s: {found.parts} parts registered, "
            f"{found.strangers} unregistered files",
            flush=True,
        )
        if kills == moments:
            print(f"{kills} kills, {interrupted} of them amid the files; every message was counted once each time")
            return
    raise AssertionError(f"only {kills} of {moments} ingests could be killed before they were done")


if __name__ == "__main__":
    start(campaign, __doc__, "lines")
