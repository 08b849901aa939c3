"""What the campaigns share: our own program as a process that can be killed, and the options of their command lines."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def command(base: Path, *arguments: str) -> list[str]:
    """The real command line, on the configuration in `base`."""
    return [sys.executable, "-m", "tallywatch", "--config", str(base / "tallywatch.yaml"), *arguments]


def environment() -> dict[str, str]:
    """Our own program, wherever the campaign is started."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def run_to_end(base: Path, *arguments: str) -> float:
    """A command that nobody disturbs and that must end well; how many seconds it took."""
    started = time.perf_counter()
    done = subprocess.run(command(base, *arguments), check=False, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - started


def kill_after(seconds: float, base: Path, *arguments: str) -> bool:
    """Starts a command and kills it after so many seconds; whether it still ran."""
    with subprocess.Popen(
        command(base, *arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
    ) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            return True
        return False


def start(campaign: Callable[[Path, int, int, int], None], description: str | None, size: str) -> None:
    """Runs a campaign in a folder of its own with `--moments`, `--seed` and its size: how many customers, or lines."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(f"--{size}", type=int, default=20_000, dest="size")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill-") as work:
        campaign(Path(work), options.moments, options.seed, options.size)
