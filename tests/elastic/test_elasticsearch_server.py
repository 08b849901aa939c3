"""The server that tests share: it is the real one, and is there for as long as somebody uses it, and no longer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import elasticsearch_guard
from elasticsearch_node import holding

USER = """
import sys, time
from pathlib import Path
from elasticsearch_node import holding
held = holding(Path(sys.argv[1]))
print(flush=True)
time.sleep(600)
"""
SERVER = "import os, sys, time; print(os.getpid(), file=open(sys.argv[1], 'w')); time.sleep(600)"


def test_the_shared_server_answers_as_elasticsearch_does(elasticsearch_url: str) -> None:
    with urllib.request.urlopen(f"{elasticsearch_url}/_cluster/health", timeout=10) as answer:
        assert answer.headers["X-Elastic-Product"] == "Elasticsearch"
        assert json.load(answer)["status"] in ("green", "yellow")


def test_a_server_ends_with_its_last_user_however_that_one_ends(tmp_path: Path) -> None:
    lock, folder, number = tmp_path / "used", tmp_path / "server", tmp_path / "number"
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(elasticsearch_guard.__file__).parent)}
    with subprocess.Popen([sys.executable, "-c", USER, lock], stdout=subprocess.PIPE, env=environment) as user:
        assert user.stdout is not None
        user.stdout.readline()
        with holding(lock):
            command = [sys.executable, "-c", SERVER, str(number)]
            guard = [sys.executable, elasticsearch_guard.__file__, lock, folder, "-", "-", tmp_path / "log", *command]
            subprocess.run(guard, check=True, stdout=subprocess.PIPE)
            server = int(_soon(lambda: number.exists() and number.read_text().strip()))
        time.sleep(0.5)
        assert _runs(server)  # one of two users has left
        user.kill()
    _soon(lambda: not _runs(server) and not folder.exists())


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _soon(what: Callable[[], object]) -> str:
    """What is given by a function as soon as it gives something."""
    deadline = time.monotonic() + 30
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return str(found)
