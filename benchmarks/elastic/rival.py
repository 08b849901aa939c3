"""One of those who are measured: a process of its own that makes passes at instants that it is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from books import Books, connections, peak_mb

HERE: Final = Path(__file__).resolve().parent
ELASTALERT: Final = "elastalert2==2.19.0"


@dataclass(frozen=True)
class Pass:
    """One pass: seconds inside the process, requests by the server's books, and what else the process said."""

    seconds: float
    requests: int
    said: dict[str, Any]


class Rival:
    """A process that answers a line of JSON with another; `start` begins one life of it."""

    def __init__(self, name: str, command: Sequence[str], url: str, agent: str, log: Path) -> None:
        self.name, self.command = name, [str(part) for part in command]
        self.url, self.log = url, log
        self.books = Books(url, agent)
        self.process: subprocess.Popen[str] | None = None

    def start(self, at: datetime, *more: str) -> None:
        """Begins a life at an instant, and waits until it is ready."""
        with self.log.open("a") as errors:
            self.process = subprocess.Popen(
                [*self.command, at.isoformat(), *more],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._read()

    def one_pass(self, at: datetime, **more: Any) -> Pass:
        """Lets it do what is to be done at that instant."""
        assert self.process is not None and self.process.stdin is not None
        self.books.requests()
        self.process.stdin.write(json.dumps({"at": at.isoformat(), **more}) + "\n")
        self.process.stdin.flush()
        said = self._read()
        return Pass(said["seconds"], self.books.requests(), said)

    def come_back(self, at: datetime, *more: str) -> Pass:
        """Kills it, begins another life, and lets it make a pass; timed from the start of the process to its end."""
        self.kill()
        self.books.requests()
        began = time.perf_counter()
        self.start(at, *more)
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.write(json.dumps({"at": at.isoformat()}) + "\n")
        self.process.stdin.flush()
        said = self._read()
        return Pass(time.perf_counter() - began, self.books.requests(), said)

    @property
    def connections(self) -> int:
        """Open to the server now."""
        assert self.process is not None
        return connections(self.process.pid, self.url)

    @property
    def peak_mb(self) -> int:
        """Of this life."""
        assert self.process is not None
        return peak_mb(self.process.pid)

    def kill(self) -> None:
        """Ends it as `kill -9` does."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _read(self) -> dict[str, Any]:
        assert self.process is not None and self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended:\n{self.log.read_text()[-3000:]}")
        found: dict[str, Any] = json.loads(line)
        return found


def elastalert_python() -> Path:
    """The Python of an environment that holds ElastAlert2 and nothing of ours; made in the cache the first time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tallywatch-benchmarks"
    home = cache / ELASTALERT.replace("==", "-")
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        print(f"installing {ELASTALERT} into {home}", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", ELASTALERT, "pytz"], check=True)
        (home / "complete").touch()
    return python


def elastalert(name: str, config: Path, url: str, agent: str, log: Path) -> Rival:
    """ElastAlert2 with a configuration, its own indices made anew."""
    command = [elastalert_python(), HERE / "elastalert_driver.py", config]
    with log.open("a") as out:
        subprocess.run([*command, "create"], check=True, stdout=out, stderr=out)
    return Rival(name, [str(part) for part in command], url, agent, log)
