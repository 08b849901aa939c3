"""Ctrl-C while the engine works: the command ends at once, says so, and has its own exit status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).resolve().parents[2]

# Presses Ctrl-C as soon as the command has stood at one line of `logviews` for half a second, which only the
# engine's work can make it do.
WATCHED = """
import os, signal, sys, threading, time

def press(main, looked, stood, last):
    while stood < 10:
        time.sleep(0.05)
        frame = sys._current_frames()[main]
        place = (frame.f_code.co_filename, frame.f_lineno)
        stood = stood + 1 if "logviews" in place[0] and place == last else 0
        last = place
    sys.stderr.write("pressed\\n")
    os.kill(os.getpid(), signal.SIGINT)

from tallywatch.cli import run
threading.Thread(target=press, args=(threading.get_ident(), 0, 0, None), daemon=True).start()
run()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store and a view whose count takes the engine long: many searches in long texts. In many parts, between which
    it looks up."""
    searches = "\n".join(f"      - path: {{contains: needle-{number}}}" for number in range(100))
    (tmp_path / "tallywatch.yaml").write_text(
        "stores:\n  web: {type: embedded, folder: events, fields: {time: time, customer: customer}}\n"
        f"views:\n  calls:\n    store: web\n    where:\n      any:\n{searches}\n"
    )
    names = [f"log-{number}.jsonl" for number in range(16)]
    for name in names:
        duckdb.sql(
            f"COPY (SELECT '2026-10-01T00:00:00Z' AS time, '{name}' || n AS customer, repeat(md5(n::text), 30) AS path "
            f"FROM range(5_000) numbers(n)) TO '{tmp_path / name}' (FORMAT json)"
        )
    done = subprocess.run(
        [sys.executable, "-m", "tallywatch", "ingest", "web", *names],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_ctrl_c_while_the_engine_counts_stops_the_command_with_130_and_no_traceback(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, "count", "calls", "--period", "2026-10"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr == "pressed\nStopped.\n"
    assert "messages =" not in done.stdout
