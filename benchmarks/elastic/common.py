"""What the benchmarks on Elasticsearch share: the server, where to find helpers, and how to name things."""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from elasticsearch import Elasticsearch

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "tests/elastic")]

import elasticsearch_node  # noqa: E402 (the path comes first)
import elasticsearch_server  # noqa: E402
import measuring  # noqa: E402
import messages  # noqa: E402

__all__ = [
    "MONTH",
    "MONTH_END",
    "arguments",
    "connected",
    "free_port",
    "instant",
    "measuring",
    "messages",
    "scratch",
    "server",
]

MONTH: Final = datetime(2026, 10, 1, tzinfo=UTC)
MONTH_END: Final = datetime(2026, 11, 1, tzinfo=UTC)
BENCHMARK_HEAP: Final = "1g"


def arguments(description: str, *, size: int, help_size: str = "messages of the month") -> argparse.ArgumentParser:
    """The options that every benchmark here has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--messages", type=int, default=size, help=f"{help_size} ({size:,})")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--url", help="the server; else ELASTICSEARCH_URL, else one that is started")
    return parser


@contextmanager
def server(url: str | None) -> Iterator[str]:
    """The URL of a real server: the one that is named, that of ELASTICSEARCH_URL, or one that is started for the block.

    The tests' server compiles less and has little memory; one that is measured runs as it is shipped, with 1 GB.
    """
    if url is not None:
        yield url.rstrip("/")
        return
    plain = elasticsearch_node.Node.configure

    def configure(node: elasticsearch_node.Node) -> None:
        plain(node)
        options = node.folder / "config" / "jvm.options.d" / "tests.options"
        options.write_text(f"-Xms{BENCHMARK_HEAP}\n-Xmx{BENCHMARK_HEAP}\n")
        node.distribution.give(node.folder)

    elasticsearch_node.Node.configure = configure  # type: ignore[method-assign]  # only its memory
    with scratch() as run, elasticsearch_server.shared_server(run) as found:
        yield found


def connected(url: str) -> Elasticsearch:
    """A plain client, for loading and for queries by hand."""
    return Elasticsearch(url, request_timeout=120)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for the block."""
    with tempfile.TemporaryDirectory(prefix="tallywatch-bench-") as name:
        yield Path(name)


def free_port() -> int:
    """A port of this machine that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def instant(day: float, month: datetime = MONTH) -> datetime:
    """The instant so many days into the month, 1 for its first midnight."""
    return month + timedelta(days=day - 1)
