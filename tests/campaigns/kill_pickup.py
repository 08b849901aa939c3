"""Kills a process that picks logs up and merges parts, at random moments, while the logs are written and rotated.

Three logs: JSON lines with ids, JSON lines and CSV without, each appended to (at times half a line), renamed, or copied
and truncated, and compressed. At the end each message is counted exactly once, with nothing repaired by hand; the
ledger is sound, and the stores' folders hold what it knows, no more.

    python tests/campaigns/kill_pickup.py --moments 200 --seed 1
"""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from campaign import environment, start
from kill_ingest import check_ledger, counted_in
from log_writer import Log

CONFIGURATION = """
settings: {database: "sqlite:///t.db", zone: UTC}
stores:
  ids: {type: embedded, folder: ids, read: [logs/ids.jsonl*], fields: {time: t, customer: c, id: id}}
  lines: {type: embedded, folder: lines, read: [logs/lines.jsonl*], fields: {time: t, customer: c}}
  rows: {type: embedded, folder: rows, read: [logs/rows.csv*], fields: {time: t, customer: c}}
views:
  ids: {store: ids, where: {s: x}}
  lines: {store: lines, where: {s: x}}
  rows: {store: rows, where: {s: x}}
"""
LOGS = {"ids": "ids.jsonl", "lines": "lines.jsonl", "rows": "rows.csv"}


def worker(base: Path, how: str) -> subprocess.Popen[bytes]:
    """The process that is killed."""
    (base / "ready").unlink(missing_ok=True)
    script = str(Path(__file__).with_name("pickup_worker.py"))
    with (base / "stderr").open("ab") as said:
        return subprocess.Popen([sys.executable, script, str(base), how], stderr=said, env=environment())


class State(NamedTuple):
    """What the ledger has: parts ever registered, parts that were merged, stretches."""

    parts: int
    merged: int
    stretches: int


def state(base: Path) -> State:
    """What the ledger has now."""
    if not (base / "t.db").exists():
        return State(0, 0, 0)
    connection = sqlite3.connect(base / "t.db")
    try:
        names = ("part", "merged", "stretch")
        return State(*(connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names))
    except sqlite3.OperationalError:
        return State(0, 0, 0)  # killed while it made the tables
    finally:
        connection.close()


def strangers(base: Path) -> list[str]:
    """Files in the stores' folders that the ledger does not list, besides locks and columns."""
    connection = sqlite3.connect(base / "t.db")
    wanted = "SELECT part.store, part.path FROM part JOIN listed ON listed.part_id = part.id"
    known = {f"{store}/{path}" for store, path in connection.execute(wanted)}
    connection.close()
    found = {str(path.relative_to(base)) for name in LOGS for path in (base / name).rglob("*") if path.is_file()}
    return sorted(path for path in found - known if Path(path).name != "lock" and "/columns/" not in path)


def write_for(seconds: float, base: Path, logs: list[Log], dice: random.Random, *, begun: bool) -> None:
    """Lets the logs be written for so many seconds; counted, with `begun`, from when the process is at work."""
    deadline = None if begun else time.perf_counter() + seconds
    while deadline is None or time.perf_counter() < deadline:
        if deadline is None and (base / "ready").exists():
            deadline = time.perf_counter() + seconds
        dice.choice(logs).step()
        time.sleep(dice.uniform(0, 0.06))


def campaign(work: Path, moments: int, seed: int, _size: int = 0) -> None:
    """The whole campaign in an empty folder; AssertionError says what was wrong."""
    dice, base = random.Random(seed), work / "site"
    (base / "logs").mkdir(parents=True)
    (base / "tallywatch.yaml").write_text(CONFIGURATION)
    (base / "began").write_text(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    logs = {store: Log(base / "logs", name, dice) for store, name in LOGS.items()}
    amid = 0
    for moment in range(1, moments + 1):
        before, process = state(base), worker(base, "for-ever")
        early = moment % 8 == 0  # while it imports, or opens the database
        seconds = dice.uniform(0.3, 2.0) if early else dice.uniform(0.0, 1.5)
        try:
            write_for(seconds, base, list(logs.values()), dice, begun=not early)
            assert process.poll() is None, (base / "stderr").read_text()
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        after = state(base)
        check_ledger(base)
        left = len(list(base.glob("*/staging/*")))
        amid += left > 0
        new = [now - then for now, then in zip(after, before, strict=True)]
        print(
            f"{moment}/{moments} killed after {seconds:.3f} s: {new[0]} parts and {new[2]} stretches new, "
            f"{new[1]} parts merged, {left} files in staging",
            flush=True,
        )
    for log in logs.values():
        log.settle()
    assert worker(base, "to-the-end").wait() == 0, (base / "stderr").read_text()
    check_ledger(base)
    assert strangers(base) == [], strangers(base)
    for store, log in logs.items():
        found, duplicates = counted_in(base, store)
        assert found == log.written, f"{store}: {_difference(found, log.written)}"
        assert duplicates == 0, f"{store}: a line was read twice, {duplicates} times, and known by its id"
    total = sum(sum(log.written.values()) for log in logs.values())
    last = state(base)
    print(
        f"{moments} kills, {amid} of them amid the files; {total} messages in "
        f"{len(list((base / 'logs').iterdir()))} files, {last.parts} parts of which {last.merged} were merged; "
        "every message was counted once"
    )


def _difference(found: Counter[str], wanted: Counter[str]) -> str:
    return f"too many {dict(found - wanted)}, too few {dict(wanted - found)}"


if __name__ == "__main__":
    start(campaign, __doc__, "lines")
