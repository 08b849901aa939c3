"""Runs ElastAlert2 by its own Python, pass by pass, at instants that it is told: `elastalert_driver.py CONFIG`.

It answers each line of JSON on standard input with one on standard output. All the work is done by the program's own
classes, unchanged but for their clock. A pass is what its scheduler does in one interval: every rule once, in as many
threads as it uses, and its alerts that wait. Left out in its favour: the scheduler's own work, and looking for changed
rule files (`--pin_rules`).
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import elastalert.create_index
import elastalert.elastalert as program
import elastalert.ruletypes
import elastalert.util
from dateutil.tz import tzutc

VERSION = "9.2.8"
"""Of the server. It is asked when ElastAlert2's own indices are made, and the tests' server does not tell."""


class Clock:
    """What the program takes for the present."""

    def __init__(self) -> None:
        self.at = dt.datetime.now(tz=dt.UTC)

    def now(self) -> dt.datetime:
        """The instant that was told last, in the zone object that the program uses."""
        return self.at.replace(tzinfo=tzutc())


CLOCK = Clock()


def use_clock() -> None:
    """Puts the clock wherever the program asks for the time."""
    for module in (program, elastalert.ruletypes, elastalert.util):
        module.ts_now = CLOCK.now  # type: ignore[attr-defined]  # the program's own function of that name


def use_clock_in_filters() -> None:
    """Puts the clock where a rule's filter leaves it to the server to know which month it is."""
    plain = program.ElastAlerter.get_query

    def get_query(*args: Any, **kwargs: Any) -> Any:
        text = json.dumps(plain(*args, **kwargs))
        return json.loads(text.replace('"now/M"', json.dumps(f"{CLOCK.at.isoformat()}||/M")))

    program.ElastAlerter.get_query = staticmethod(get_query)


class Running:
    """One life of the program."""

    def __init__(self, config: str, *start: str) -> None:
        self.client = program.ElastAlerter(["--config", config, "--pin_rules", *start])
        if any("now/M" in json.dumps(rule["filter"]) for rule in self.client.rules):
            use_clock_in_filters()
        self.pool = ThreadPoolExecutor(self.client.conf.get("max_threads", 10))
        for rule in self.client.rules:  # what its start() does before it begins
            rule["initial_starttime"] = elastalert.util.ts_to_dt(start[1]) if start else None

    def one_pass(self) -> dict[str, Any]:
        """Every rule once; how long that took."""
        began = time.perf_counter()
        self.client.handle_pending_alerts()
        list(self.pool.map(self.client.handle_rule_execution, list(self.client.rules)))
        return {
            "seconds": time.perf_counter() - began,
            "rules": len(self.client.rules),
            "disabled": len(self.client.disabled_rules),
        }

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Does what one line asks for."""
        CLOCK.at = dt.datetime.fromisoformat(asked["at"])
        if asked.get("reload"):  # what it does every interval without --pin_rules
            self.client.load_rule_changes()
        return self.one_pass()


def create_indices(config: str) -> None:
    """What `elastalert-create-index` does."""
    elastalert.create_index.get_version_from_cluster_info = lambda _: VERSION
    sys.argv = ["elastalert-create-index", "--config", config, "--recreate", "true"]
    elastalert.create_index.main()


def main() -> None:
    """Answers until its input ends; `create` instead of a first instant makes its indices."""
    config, *rest = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr
    logging.basicConfig(level=logging.WARNING)
    use_clock()
    if rest == ["create"]:
        create_indices(config)
        return
    CLOCK.at = dt.datetime.fromisoformat(rest[0])
    running = Running(config, *rest[1:])
    print(json.dumps({"ready": len(running.client.rules)}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(running.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
