"""Clusters of a test's own: several nodes, clusters that search each other, and one behind a login and TLS."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from elasticsearch_distribution import Distribution, unpacked
from elasticsearch_node import Node, free_port, holding

_ALL_TASKS: Final = ["master", "data", "ingest", "remote_cluster_client"]
_DATA_ONLY: Final = ["data", "ingest", "remote_cluster_client"]


@dataclass(frozen=True)
class Cluster:
    """Servers that belong together; the first one is their master."""

    nodes: Sequence[Node]

    @property
    def urls(self) -> list[str]:
        """Where they answer."""
        return [node.url for node in self.nodes]

    def wait(self, number: int | None = None, status: str = "yellow") -> None:
        """Waits until so many nodes have found each other (all of them where none is given) and have this health."""
        number = len(self.nodes) if number is None else number
        path = f"/_cluster/health?wait_for_nodes={number}&wait_for_status={status}&timeout=1s"
        next(node for node in self.nodes if node.guard is not None).wait(path)


@contextmanager
def cluster(number: int, settings: Mapping[str, Any] | None = None, name: str = "own") -> Iterator[Cluster]:
    """A running cluster. All nodes hold data; the first alone can be master, so that any other may go.

    Raises:
        NoServer: when there is none to be had.
    """
    with (
        distribution_in_use() as (distribution, lock),
        _running(distribution, lock, number, settings or {}, name) as found,
    ):
        yield found


@contextmanager
def joined_clusters(settings: Mapping[str, Any] | None = None) -> Iterator[tuple[Cluster, Cluster]]:
    """Two clusters of one node; the first one searches the second as `far:`, and as it is told by `settings`."""
    with (
        distribution_in_use() as (distribution, lock),
        _running(distribution, lock, 1, {}, "far") as far,
        _running(
            distribution,
            lock,
            1,
            {"cluster.remote.far.seeds": [f"127.0.0.1:{far.nodes[0].transport}"], **(settings or {})},
            "near",
        ) as near,
    ):
        yield near, far


@contextmanager
def distribution_in_use() -> Iterator[tuple[Distribution, Path]]:
    """An unpacked server and the lock that keeps what runs from it alive; removed afterwards."""
    distribution = unpacked()
    lock = distribution.folder / "used"
    try:
        with holding(lock):
            yield distribution, lock
    finally:
        shutil.rmtree(distribution.folder, ignore_errors=True)


@contextmanager
def _running(
    distribution: Distribution, lock: Path, number: int, settings: Mapping[str, Any], name: str
) -> Iterator[Cluster]:
    ports = [free_port() for _ in range(number)]
    nodes = []
    for position, port in enumerate(ports):
        folder = distribution.folder / f"{name}-{position}"
        folder.mkdir()
        own = {
            "cluster.name": name,
            "node.roles": _DATA_ONLY if position else _ALL_TASKS,
            "discovery.seed_hosts": [f"127.0.0.1:{found}" for found in ports],
            "cluster.initial_master_nodes": [f"{name}-0"],
            **settings,
        }
        whole = None if position else distribution.folder  # one of them is enough to take everything away
        nodes.append(Node(distribution, folder, own, lock, whole, transport=port))
    try:
        for node in nodes:
            node.configure()
            node.start()
        found = Cluster(nodes)
        found.wait()
        yield found
    finally:
        for node in nodes:
            node.kill()


def put(url: str, path: str, body: Any = None, method: str = "PUT") -> Any:
    """Sends JSON to a server and gives its answer."""
    request = urllib.request.Request(
        url + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
