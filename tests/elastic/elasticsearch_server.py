"""Elasticsearch servers that a whole test run shares: each is started once, by the first test that wants it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from elasticsearch_distribution import Distribution, NoServer, unpacked
from elasticsearch_node import Node, answers, holding

Details = dict[str, str]
"""What whoever uses a server must know of it; `url` says where it answers."""


@contextmanager
def shared_server(run: Path) -> Iterator[str]:
    """The URL of the plain server of a test run. ELASTICSEARCH_URL names one that is used instead.

    Raises:
        NoServer: when none is to be had, with the reason.
    """
    if given := os.environ.get("ELASTICSEARCH_URL", "").rstrip("/"):
        if not answers(f"{given}/_cluster/health"):
            raise NoServer(f"ELASTICSEARCH_URL is {given}, where no Elasticsearch answers")
        yield given
        return
    with shared(run, "plain", _start_plain) as found:
        yield found["url"]


def _start_plain(distribution: Distribution, lock: Path) -> Details:
    folder = distribution.folder / "one"
    folder.mkdir()
    node = Node(distribution, folder, {"discovery.type": "single-node"}, lock, whole=distribution.folder)
    node.configure()
    node.start()
    node.wait()
    return {"url": node.url}


@contextmanager
def shared(run: Path, name: str, start: Callable[[Distribution, Path], Details]) -> Iterator[Details]:
    """A server that the processes of a test run share, which all know the folder `run`; the first one starts it.

    It ends when the last of them has left, or is gone.

    Raises:
        NoServer: when none is to be had, with the reason; the others are told the same, and do not try again.
    """
    with (run / f"elasticsearch-{name}.starting").open("a") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        known, refusal = run / f"elasticsearch-{name}.json", run / f"elasticsearch-{name}.refusal"
        if refusal.exists():
            raise NoServer(refusal.read_text())
        found = _join(known) if known.exists() else None
        if found is None:
            try:
                found = _start(known, start)
            except NoServer as error:
                refusal.write_text(str(error))
                raise
        fcntl.flock(starting, fcntl.LOCK_UN)
    details, held = found
    with held:
        yield details


def _join(known: Path) -> tuple[Details, TextIO] | None:
    found = json.loads(known.read_text())
    try:
        held = Path(found["lock"]).open("a")  # noqa: SIM115 (whoever asked closes it, after the tests)
    except FileNotFoundError:  # went with its server
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:  # its last user left, and it is ending
        held.close()
        return None
    return found, held


def _start(known: Path, start: Callable[[Distribution, Path], Details]) -> tuple[Details, TextIO]:
    distribution = unpacked()
    lock = distribution.folder / "used"
    held = holding(lock)
    try:
        details = start(distribution, lock) | {"lock": str(lock)}
    except BaseException:
        held.close()
        shutil.rmtree(distribution.folder, ignore_errors=True)
        raise
    known.write_text(json.dumps(details))
    return details, held
