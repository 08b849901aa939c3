"""`tallywatch run` as a process: it logs JSON, works beside other commands, stops when asked, tolerates no other."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from service_world import World

PROGRAM = (sys.executable, "-W", "error", "-m", "tallywatch")
PATIENCE_SECONDS = 60


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, "sqlite:///ledger.db")
    made.write()
    return made


@contextmanager
def running(world: World, until: str = "evaluated") -> Iterator[subprocess.Popen[str]]:
    """The service, up and running; killed at the end if it is still there."""
    log = world.folder / "run.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*PROGRAM, "--config", str(world.config), "run"], stderr=errors, stdout=subprocess.PIPE, text=True
        )
    try:
        wait_for(lambda: f'"{until}"' in log.read_text(), log)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(found, log: Path) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not found():
        assert time.monotonic() < give_up, log.read_text()
        time.sleep(0.05)


def command(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, "--config", str(world.config), *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_asked_and_every_line_that_it_logged_is_json(world, number):
    world.log("A", datetime.now(UTC), 10)
    log = world.folder / "run.log"
    with running(world) as process:
        wait_for(lambda: list((world.folder / "mail").glob("*near_limit_a*")), log)
        process.send_signal(number)
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out) == (0, "")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [lines[0]["event"], lines[-1]["event"]] == ["started", "stopped"]
    assert all({"timestamp", "level", "logger"} <= line.keys() for line in lines)
    assert "Traceback" not in log.read_text()


def test_a_second_one_is_refused_with_a_sentence_and_other_commands_work_beside_it(world):
    world.log("A", datetime.now(UTC), 3)
    with running(world) as process:
        second = command(world, "run")
        assert second.returncode == 3
        assert f"another `tallywatch run` (process {process.pid}) works on" in second.stderr
        counted = command(world, "count", "calls", "--format", "json")
        assert (counted.returncode, json.loads(counted.stdout.splitlines()[0])["quantity"]) == (0, 3)
        assert command(world, "evaluate", "monthly").returncode == 0
        assert command(world, "evaluate", "monthly", "--commit").returncode == 0


def test_sighup_reloads_the_configuration(world):
    log = world.folder / "run.log"
    with running(world) as process:
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: '"reloaded"' in log.read_text(), log)


def test_a_killed_one_leaves_nothing_that_keeps_the_next_from_starting(world):
    with running(world) as process:
        process.kill()
    with running(world, until="started"):  # nothing need be due so soon after
        pass


def test_a_broken_configuration_does_not_start(world):
    world.config.write_text("monitors: [\n")
    found = command(world, "run")
    assert (found.returncode, "tallywatch.yaml:" in found.stderr) == (2, True)
