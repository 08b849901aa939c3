"""Kills the service at random moments while it evaluates and closes, starts it again, and looks at what is left.

The service runs with a clock that is some thousand times as fast as the real one: a month with its closing passes while
it is killed and started again. At the end every decision was made once, every notice left once, the statement is there
once, and the files have the bytes that plain Python works out.

    python tests/campaigns/kill_service.py --moments 100 --seed 1
"""

from __future__ import annotations

import csv
import io
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from campaign import environment, start

from config.load import load
from ledger.clock import cut
from ledger.database import open_database
from ledger.lease import lease
from logviews.fields import used_fields
from logviews.intake.ingest import Ingest
from tallywatch.service.service import Service

START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
CLOSED_BY = END + timedelta(days=3)
INCLUDED = 40
CONFIGURATION = """
settings: {database: "sqlite:///t.db", email: {transport: files, folder: mail}}
stores:
  web: {type: embedded, folder: events, fields: {time: t, customer: c, id: id}, stale_after: 2d}
tiers:
  basic: {prices: {calls: {included: 40, overage: 0.01}}}
customers: {file: customers.csv}
recipients: {ops: {email: ops@example.com}}
views:
  calls: {store: web, meter: calls}
monitors:
  monthly:
    view: calls
    window: month
    schedule: {every: 1h}
    thresholds: {near: {severity: warning, max: 90%}, over: {severity: error, max: 100%}}
    notify: {tell: {when: [near, over], to: customer}, page: {when: over, to: ops}}
  daily:
    view: calls
    window: day
    schedule: {every: 1h}
    thresholds: {silent: {severity: warning, min: 1, grace: 2h}}
    notify: {page: {when: silent, to: ops}}
exports:
  billing: {views: calls, layout: charges, settle: 24h, approve: auto}
"""


def main() -> None:
    """Either the campaign, or (with `serve`) the process that it kills."""
    if sys.argv[1:2] == ["serve"]:
        serve(Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
    else:
        start(campaign, __doc__, "customers")


def serve(base: Path, began: float, factor: float) -> None:
    """The service, ticking and delivering in turn, until its clock has passed the closing."""

    def clock() -> datetime:
        return cut(START + timedelta(seconds=(time.time() - began) * factor))

    loaded = load(base / "tallywatch.yaml", {})
    database = open_database(loaded.config.settings.database, simulation=False, now=clock())
    with lease(database) as held:
        service = Service(base / "tallywatch.yaml", loaded, database, held, clock)
        while clock() < CLOSED_BY:
            service.tick()
            service.deliver()
        service.close()
    database.close()


def prepare(base: Path, customers: int, random_: random.Random) -> dict[str, list[datetime]]:
    """Customers, and a month of messages that is in the store from the beginning; an evaluation sees what is past."""
    base.mkdir()
    (base / "tallywatch.yaml").write_text(CONFIGURATION)
    names = [f"c{number:04}" for number in range(customers)]
    rows = "".join(f"{name},basic,{name}@example.com\n" for name in names)
    (base / "customers.csv").write_text("id,tier,emails\n" + rows)
    times: dict[str, list[datetime]] = {name: [] for name in names}
    for name in names:
        # few enough a day cross a limit that their notices are not held
        for _ in range(random_.choice([0, 20, 37, 45])):
            times[name].append(START + timedelta(seconds=random_.randrange(31 * 86_400)))
    for hour in range(0, 31 * 24, 12):  # so that the feed is never silent
        times[names[0]].append(START + timedelta(hours=hour))
    with (base / "messages.jsonl").open("w") as out:
        number = 0
        for name, moments in times.items():
            for moment in moments:
                number += 1
                out.write(json.dumps({"id": str(number), "c": name, "t": moment.isoformat()}) + "\n")
    loaded = load(base / "tallywatch.yaml", {})
    database = open_database(loaded.config.settings.database, simulation=False, now=START)
    Ingest("web", loaded.config.stores["web"], used_fields(loaded.config, "web"), database).take(
        base / "messages.jsonl", START
    )
    database.close()
    return times


def campaign(work: Path, moments: int, seed: int, customers: int) -> None:
    """Kills and starts until the month is closed, and compares what is there with what should be."""
    random_ = random.Random(seed)
    base = work / "installation"
    times = prepare(base, min(customers, 200), random_)
    seconds = max(10.0, moments * 1.2)  # of the real clock, for the whole time that the service lives through
    factor = (CLOSED_BY - START).total_seconds() / seconds
    began, kills, log = time.time(), 0, work / "service.log"
    while True:
        with log.open("a") as out:
            process = subprocess.Popen(
                [sys.executable, __file__, "serve", str(base), str(began), str(factor)],
                stdout=out, stderr=out, env=environment(),
            )  # fmt: skip
        patience = random_.uniform(0.2, 2 * seconds / moments) if kills < moments else 600
        try:
            assert process.wait(patience) == 0, log.read_text()[-2_000:]
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    # a last round with the clock moved on, for deliveries that were claimed by a process that died
    moved_on = time.time() - (CLOSED_BY - START).total_seconds() / factor + 3
    last = [sys.executable, __file__, "serve", str(base), str(moved_on), str(factor)]
    subprocess.run(last, check=True, capture_output=True, env=environment())
    check(base, times)
    print(f"{kills} kills over a month of {len(times)} customers: each decision once, each notice once, one statement")


def check(base: Path, times: dict[str, list[datetime]]) -> None:
    """Everything that must hold at the end, from the ledger and the files, against plain Python."""
    connection = sqlite3.connect(base / "t.db")
    keys = [key for (key,) in connection.execute("SELECT key FROM notice_key")]
    told = {tuple(key.split("|")[3::2]) for key in keys if key.startswith("customer|")}
    wanted = set()
    for name, moments in times.items():
        within = sum(START <= moment < END for moment in moments)
        wanted |= {(limit, name) for limit, at in (("near", INCLUDED * 9 // 10), ("over", INCLUDED)) if within > at}
    assert told == wanted, (told - wanted, wanted - told)
    silent = {
        (key.split("|")[4][:10], key.rsplit(":", 1)[1]) for key in keys if key.startswith("ops|daily|page|silent|")
    }
    heard = defaultdict(set)
    for name, moments in times.items():
        for moment in moments:
            heard[moment.date().isoformat()].add(name)
    days = [(START + timedelta(days=day)).date().isoformat() for day in range(-1, 33)]
    never = {(day, name) for day in days for name in times if name not in heard[day]}
    judged = {day for day, _ in silent}
    assert silent == {(day, name) for day, name in never if day in judged}, "a day was judged by halves"
    first = connection.execute("SELECT min(at) FROM evaluation WHERE monitor = 'daily'").fetchone()[0] / 1000
    whole = {day for day in days[1:32] if datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() + 86_400 > first}
    assert judged >= whole, sorted(whole - judged)
    rows = connection.execute("SELECT notice_id, address, status FROM delivery").fetchall()
    assert {status for _, _, status in rows} == {"delivered"}, Counter(status for _, _, status in rows)
    assert max(Counter((notice, address) for notice, address, _ in rows).values()) == 1
    assert len(list((base / "mail").glob("*.eml"))) == len(rows)
    assert connection.execute("SELECT count(*) FROM statement").fetchone() == (1,)
    assert (base / "exports/2026-10/billing.csv").read_bytes() == charges(times)
    connection.close()


def charges(times: dict[str, list[datetime]]) -> bytes:
    """The file that finance should get."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["Customer ID", "Tier", "Total Calls", "Included Calls", "Overage Calls", "Overage Amount"])
    for name, moments in sorted(times.items()):
        total = sum(START <= moment < END for moment in moments)
        over = max(0, total - INCLUDED)
        writer.writerow([name, "basic", total, INCLUDED, over, f"{over // 100}.{over % 100:02}"])
    return out.getvalue().encode()


if __name__ == "__main__":
    main()
