"""Runs our service pass by pass, at instants that it is told: `own_driver.py CONFIG AT`; answers lines of JSON.

A pass is a tick of the service, or more where it wants to go on at once, and a delivery: what is due is counted,
evaluated, decided, written and sent.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

SOON: Final = timedelta(minutes=1)
"""What wants its next turn within this time belongs to the pass: a count that takes several ticks."""

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from tallywatch.__main__ import collect_seldom  # noqa: E402 (the path comes first)

collect_seldom()  # as the program does, before it imports anything

import structlog  # noqa: E402 (as above)

from config.load import load  # noqa: E402
from ledger.database import open_database  # noqa: E402
from ledger.lease import lease  # noqa: E402
from tallywatch.connections import CONNECTIONS  # noqa: E402
from tallywatch.service.service import Service  # noqa: E402


def main() -> None:
    """Answers until its input ends."""
    path, at = Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2])
    answers, sys.stdout = sys.stdout, sys.stderr
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )

    def tell(said: dict[str, Any]) -> None:
        print(json.dumps(said), file=answers, flush=True)

    loaded = load(path, {})
    database = open_database(loaded.config.settings.database, simulation=False, now=at)
    with lease(database) as held:
        service = Service(path, loaded, database, held, lambda: at)
        tell({"ready": len(loaded.config.monitors)})
        for line in sys.stdin:
            at = datetime.fromisoformat(json.loads(line)["at"])
            began, ticks, last = time.perf_counter(), 0, at + SOON
            while ticks == 0 or ((due := service.next_at()) is not None and due <= last):
                if ticks:
                    at = max(at, due)
                service.tick()
                ticks += 1
            sent = service.deliver()
            seconds = time.perf_counter() - began
            tell({"seconds": seconds, "ticks": ticks, "delivered": sent.delivered, "failed": len(sent.failures)})
        service.close()
    CONNECTIONS.close()
    database.close()


if __name__ == "__main__":
    main()
