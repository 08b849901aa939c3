"""The process that `kill_pickup.py` kills: picks logs up and merges parts in small steps.

python tests/campaigns/pickup_worker.py FOLDER for-ever|to-the-end
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

from config.load import load
from ledger import clock
from ledger.database import open_database
from logviews.embedded.merge import merge_small
from logviews.fields import used_fields
from logviews.intake.follow import Pickup

PIECE_BYTES = 4000
FASTER = 10
"""How much faster its clock runs. Not more: half a row of CSV that stays for a minute of it passes for a row."""


def work(base: Path, *, to_the_end: bool) -> None:
    """Looks and merges, for ever or until nothing is new."""
    loaded = load(base / "tallywatch.yaml", {})
    database = open_database(loaded.config.settings.database, simulation=False, now=clock.now())
    began, at = clock.parse_instant((base / "began").read_text()), clock.now()
    pickups = [
        Pickup(name, store, used_fields(loaded.config, name), database, PIECE_BYTES)
        for name, store in loaded.config.stores.items()
    ]
    (base / "ready").touch()
    quiet = 0
    while not to_the_end or quiet < 5:
        later = timedelta(minutes=3 * quiet) if to_the_end else timedelta()  # nobody writes any more
        at = clock.cut(began + (clock.now() - began) * FASTER + later)
        reports = [pickup.run(at) for pickup in pickups]
        merged = [merge_small(pickup.name, pickup.store, database, at).merged for pickup in pickups]
        busy = any(merged) or any(report.more or report.taken for report in reports)
        quiet = 0 if busy else quiet + 1
        problems = [problem.sentence for report in reports for problem in report.problems]
        assert not to_the_end or quiet < 5 or not problems, problems
    for pickup in pickups:  # what was merged is removed an hour later
        merge_small(pickup.name, pickup.store, database, at + timedelta(hours=2))
    database.close()


if __name__ == "__main__":
    work(Path(sys.argv[1]), to_the_end=sys.argv[2] == "to-the-end")
