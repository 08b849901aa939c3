"""Kills a process at random moments while it brings tallies up, and looks at what is left each time.

The process takes a file of messages in and brings the tallies of three views up, over and over, in small pieces: hours
that are new, late ones, ones that a changed roster cuts otherwise, a backfill from time to time. After each kill every
period sum must be what its tallies come to; after the next refresh, which needs no help, all of it what the logs are.

    python tests/campaigns/kill_tallies.py --moments 300 --seed 1
"""

from __future__ import annotations

import argparse
import json
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = (ROOT, ROOT / "tests" / "tallies", Path(__file__).parent)
sys.path[:0] = [str(folder) for folder in _FOLDERS]

from campaign import environment  # noqa: E402  # the folders above, for whoever starts this as a program
from plain_store import PlainStore  # noqa: E402
from random_steps import messages  # noqa: E402
from tallies_world import World, document, needed, random_roster  # noqa: E402

from config.models import Config  # noqa: E402
from ledger.database import Database, open_database  # noqa: E402
from logviews.embedded.merge import merge_small  # noqa: E402
from logviews.embedded.store import Embedded  # noqa: E402
from logviews.fields import used_fields  # noqa: E402
from logviews.intake.ingest import Ingest  # noqa: E402
from logviews.tallies import keeper as keepers  # noqa: E402

START = datetime(2026, 10, 23, 7, tzinfo=UTC)
STEP = timedelta(minutes=25)
VIEWS = ("messages", "max", "latest")
ROSTER_EVERY, BACKFILL_EVERY, MERGE_EVERY = 7, 40, 25
LITTLE = 12  # tallies in one transaction, so that a refresh often has several


def instant(number: int) -> datetime:
    """When the refresh of that number is."""
    return START + number * STEP


def batch(seed: int, number: int) -> list[tuple[str, datetime, str | None, str]]:
    """The messages that come in before a refresh: id, time, customer and fields. Some were there before."""
    dice, found = Random(f"{seed} {number}"), []

    def add(at: datetime, customer: str | None, line: str) -> None:
        found.append((f"m{number}-{len(found)}", at, customer, line))

    messages(dice, instant(number), 12, add)
    return found + (batch(seed, number - 1)[:2] if number and dice.random() < 0.3 else [])


def world_of(base: Path, database: Database, number: int, plain: PlainStore, seed: int) -> World:
    """The installation as it is at the refresh of that number: its roster changes from time to time."""
    config = Config.model_validate(document(folder=base / "events"))
    store = Embedded("logs", config.embedded_stores["logs"], used_fields(config, "logs"), database)
    turn = number // ROSTER_EVERY
    # another width of the buckets is another filter, which is counted from the beginning
    zones = ("Europe/Stockholm", "Asia/Kathmandu") if number % BACKFILL_EVERY == BACKFILL_EVERY - 1 else ("UTC",)
    return World(database, store, plain, config, random_roster(Random(f"{seed} {turn}"), START, zones))


def work(base: Path, seed: int) -> None:
    """The process that is killed: one refresh after the other, from the first that was not finished."""
    keepers.AT_ONCE = LITTLE  # type: ignore[misc]  # a constant, made small here
    database = open_database(f"sqlite:///{base / 'ledger.db'}", simulation=False, now=START)
    done = base / "done"
    while True:
        number = int(done.read_text()) if done.exists() else 0
        world = world_of(base, database, number, PlainStore(), seed)
        assert isinstance(world.store, Embedded)
        path = base / f"batch-{number}.jsonl"
        lines = [
            {"t": at.isoformat(timespec="milliseconds"), "id": id_, **json.loads(line), **({"c": who} if who else {})}
            for id_, at, who, line in batch(seed, number)
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        if lines:
            Ingest("logs", world.store.store, world.store.fields, database).take(path, instant(number))
        print(number, flush=True)
        for name in VIEWS:
            assert world.keeper(name).bring_up(instant(number), needed(world, instant(number)), lambda: True) is None
        if number % MERGE_EVERY == 0:
            merge_small("logs", world.store.store, database, instant(number))
        path.unlink()
        beside = base / "done.new"
        beside.write_text(str(number + 1))
        beside.replace(done)


def campaign(base: Path, moments: int, seed: int) -> None:
    """Kills until so many refreshes were interrupted, and compares after each."""
    dice, plain = Random(seed), PlainStore()
    base.mkdir()
    known, refreshes, kills, interrupted, patience = -1, 0, 0, 0, 0.3
    while interrupted < moments:
        kills += 1
        number = killed(base, seed, dice.randint(1, 3), dice.random() * patience)
        finished = int((base / "done").read_text()) if (base / "done").exists() else 0
        refreshes, interrupted = max(refreshes, number + 1), interrupted + (finished <= number)
        patience = max(0.1, min(3.0, patience * (1.1 if finished <= number else 0.9)))
        number = max(number, taken_in(base))
        for id_, at, who, fields in (one for batch_ in range(known + 1, number + 1) for one in batch(seed, batch_)):
            if not any(event.id == id_ for event in plain.events):
                plain.add(at, who, fields, id_)
        known = number
        look(base, plain, number, seed, whole=kills % 10 == 1 or interrupted == moments)
    print(f"{kills} kills, {interrupted} of them during one of {refreshes:,} refreshes: every sum as counted")


def killed(base: Path, seed: int, wait: int, seconds: float) -> int:
    """Lets the process begin so many refreshes, and kills it some time later; the number of the last one."""
    command = [sys.executable, __file__, "work", str(base), str(seed)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    assert process.stdout is not None and process.stderr is not None
    number = -1
    for _ in range(wait):
        line = process.stdout.readline()
        assert line, process.stderr.read()
        number = int(line)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return number


def taken_in(base: Path) -> int:
    """The number of the last file that the store has."""
    connection = sqlite3.connect(base / "ledger.db")
    names = [Path(source).stem for (source,) in connection.execute("SELECT source FROM part")]
    connection.close()
    return max((int(name.removeprefix("batch-")) for name in names if name.startswith("batch-")), default=-1)


def look(base: Path, plain: PlainStore, number: int, seed: int, *, whole: bool) -> None:
    """What is left after a kill is sound; and after the next refresh (`whole`) it is what the logs are."""
    database = open_database(f"sqlite:///{base / 'ledger.db'}", simulation=False, now=START)
    world = world_of(base, database, number, plain, seed)
    for name in VIEWS:
        world.sound(world.keeper(name), logs=False)
    if whole:
        at = instant(number)
        for name in VIEWS:
            assert world.keeper(name).bring_up(at, needed(world, at), lambda: True) is None
            world.sound(world.keeper(name))
            world.compare(name, at)
    database.close()


def main() -> None:
    """Either the campaign, or (with `work`) the process that it kills."""
    if sys.argv[1:2] == ["work"]:
        work(Path(sys.argv[2]), int(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        campaign(Path(folder) / "installation", options.moments, options.seed)


if __name__ == "__main__":
    main()
