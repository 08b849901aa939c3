"""What the server itself books: how many requests each kind of client sent, and whose connections are open.

Read from the server's own figures, so that nothing stands between it and those who are measured.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from elasticsearch import Elasticsearch

ELASTALERT: Final = "elasticsearch-py/7."
OURS: Final = "elasticsearch-py/9."
_ESTABLISHED: Final = "01"


class Books:
    """The requests of one kind of client, by the first letters of its User-Agent, since the last look."""

    def __init__(self, url: str, agent: str) -> None:
        # connections of its own, under another name, so that looking is not counted
        self._client = Elasticsearch(url, headers={"user-agent": "benchmark"})
        self._agent = agent
        self._seen = self._now()

    def requests(self) -> int:
        """How many requests were sent since the last look (or since this was made)."""
        before, self._seen = self._seen, self._now()
        return sum((self._seen - before).values())

    def _now(self) -> Counter[tuple[str, int]]:
        found: Counter[tuple[str, int]] = Counter()
        answer = self._client.nodes.stats(metric="http", filter_path="nodes.*.http.clients")
        for node, stats in answer.get("nodes", {}).items():
            for one in stats["http"].get("clients", ()):
                if one.get("agent", "").startswith(self._agent):
                    found[node, one["id"]] += one["request_count"]
        return found


def connections(pid: int, url: str) -> int:
    """How many connections to the server a process has open."""
    port = f"{urlsplit(url).port or 80:04X}"
    sockets = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _ESTABLISHED and fields[2].endswith(f":{port}"):
                sockets.add(f"socket:[{fields[9]}]")
    return sum(_link(path) in sockets for path in Path(f"/proc/{pid}/fd").iterdir())


def _link(path: Path) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 (a socket's link is a text and no path)
    except OSError:  # closed meanwhile
        return ""


def peak_mb(pid: int) -> int:
    """The most memory that a process has held, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    raise OSError("no VmHWM in /proc/PID/status")
