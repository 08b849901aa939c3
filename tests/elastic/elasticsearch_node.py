"""One process of Elasticsearch: its configuration, its start, its end, and its health."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

import elasticsearch_guard
from elasticsearch_distribution import Distribution, NoServer

HEAP: Final = "512m"
HEALTHY: Final = "/_cluster/health?wait_for_status=yellow&timeout=1s"
_PORTS: Final = itertools.count()
_READY_SECONDS: Final = 180  # 13 s on two quiet cores
_ALWAYS: Final = {
    "xpack.security.enabled": False,
    "cluster.routing.allocation.disk.threshold_enabled": False,
    "cluster.max_shards_per_node": 20_000,
}


def answers(url: str, authority: Path | None = None, login: tuple[str, str] | None = None) -> bool:
    """Whether a server answers this address with 200."""
    request = urllib.request.Request(url)
    if login is not None:
        request.add_header("Authorization", "Basic " + b64encode(":".join(login).encode()).decode())
    context = None if authority is None else ssl.create_default_context(cafile=authority)
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def free_port() -> int:
    """A port that nobody has now, below those that the system hands out by itself.

    A server takes it seconds later, so each process of a test run looks in another place.
    """
    while True:
        port = 20_000 + (os.getpid() * 16 + next(_PORTS)) % 12_000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@dataclass
class Node:
    """One server. `lock` is the file whose holders keep it alive; `folder` has its configuration, data and log."""

    distribution: Distribution
    folder: Path
    settings: dict[str, Any]
    lock: Path
    whole: Path | None = None  # what goes away with the server
    guard: int | None = None  # the process that runs it
    http: int = field(default_factory=free_port)
    transport: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        """Where it answers."""
        scheme = "https" if self.settings.get("xpack.security.http.ssl.enabled") else "http"
        return f"{scheme}://127.0.0.1:{self.http}"

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.folder / "log.txt"

    @property
    def _ended(self) -> Path:
        return self.folder / "log.txt.ended"

    def configure(self) -> None:
        """Writes its configuration: nothing but what is asked for, on top of what the server brings."""
        shutil.copytree(self.distribution.home / "config", self.folder / "config", dirs_exist_ok=True)
        settings = {
            **_ALWAYS,
            "node.name": self.folder.name,
            "http.port": self.http,
            "transport.port": self.transport,
            "path.data": str(self.folder / "data"),
            "path.logs": str(self.folder / "logs"),
            **self.settings,
        }
        lines = "".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items())
        (self.folder / "config" / "elasticsearch.yml").write_text(lines)
        options = self.folder / "config" / "jvm.options.d"
        options.mkdir(exist_ok=True)
        # a heap that is not touched before it is used, and the quick compiler: tests are short
        (options / "tests.options").write_text(
            f"-Xms{HEAP}\n-Xmx{HEAP}\n-XX:-AlwaysPreTouch\n-XX:TieredStopAtLevel=1\n"
        )
        self.distribution.give(self.folder)

    def environment(self) -> dict[str, str]:
        """The environment of the server and of its tools."""
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "ES_JAVA_HOME": str(self.distribution.java),
            "ES_PATH_CONF": str(self.folder / "config"),
            "HOME": str(self.folder),
        }

    def start(self) -> None:
        """Starts it; `wait` says when it answers."""
        user = self.distribution.user
        self._ended.unlink(missing_ok=True)
        command = [
            sys.executable,
            elasticsearch_guard.__file__,
            str(self.lock),
            "-" if self.whole is None else str(self.whole),
            *(("-", "-") if user is None else (str(user.pw_uid), str(user.pw_gid))),
            str(self.log),
            str(self.distribution.home / "bin" / "elasticsearch"),
        ]
        started = subprocess.run(
            command, check=True, env=self.environment(), cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        self.guard = int(started.stdout)

    def kill(self) -> None:
        """Ends it as `kill -9` does."""
        if self.guard is not None:
            os.kill(self.guard, signal.SIGTERM)  # the guard kills
            while not self._ended.exists():
                time.sleep(0.02)
            self.guard = None

    def tool(self, name: str, *arguments: str) -> None:
        """Runs one of the server's own tools on its configuration, as its user."""
        user = self.distribution.user
        subprocess.run(
            [self.distribution.home / "bin" / name, *arguments],
            env=self.environment(),
            check=True,
            capture_output=True,
            timeout=120,
            **({} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}),
        )

    def wait(self, path: str = HEALTHY, authority: Path | None = None, login: tuple[str, str] | None = None) -> None:
        """Waits until it answers 200 to this path, over TLS and as this user where they are given.

        Raises:
            NoServer: when it ended, or does not get ready in time.
        """
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if self._ended.exists():
                raise NoServer(f"the server ended while it started:\n{self._last_words()}")
            if answers(self.url + path, authority, login):
                return
            time.sleep(0.2)
        raise NoServer(f"the server was not ready after {_READY_SECONDS} s:\n{self._last_words()}")

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:]) if self.log.exists() else ""


def holding(lock: Path) -> TextIO:
    """Holds the lock that keeps servers alive, for as long as the file that is given back is open."""
    file = lock.open("a")
    fcntl.flock(file, fcntl.LOCK_SH)
    return file
