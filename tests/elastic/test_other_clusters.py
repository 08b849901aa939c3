"""Messages in two clusters: both are counted, or neither is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from elastic_stores import fill, mapping_of
from elasticsearch import Elasticsearch
from elasticsearch_cluster import Cluster, joined_clusters
from elasticsearch_wanted import or_left_out
from faults import in_order, meanwhile, searches
from faulty import Asked, asked, counted, messages

from logviews.store import StoreUnavailable

MISSED = ("cluster far was", "no such index [web", "no index matches far:web-*", "there is no index far:web",
          "some of the indices do not answer: Unable to connect to [far]")  # fmt: skip


@pytest.fixture(scope="module")
def joined() -> Iterator[tuple[Cluster, Cluster]]:
    """A cluster with half of the messages, and `far:` with the other half."""
    with or_left_out(joined_clusters()) as (near, far):
        for cluster, half in ((near, messages(120)[::2]), (far, messages(120)[1::2])):
            with Elasticsearch(cluster.urls[0]) as client:
                client.indices.create(index="api-1", mappings=mapping_of({}))
                fill(client, "api-1", [json.dumps(message) for message in half])
        yield near, far


def test_other_clusters_are_counted_or_the_count_is_refused(joined: tuple[Cluster, Cluster]) -> None:
    # one test, because it ends with a cluster that is gone; by default Elasticsearch counts without what is missing
    near, far = joined
    both = ["api-*", "far:api-*"]
    with asked(near.urls[0], both) as it:
        assert it.count() == counted(120)

    for named in ("far:web-*", "far:web"):
        for others in ([], ["api-*"], both):
            with asked(near.urls[0], [*others, named]) as it, pytest.raises(StoreUnavailable) as refusal:
                it.count()
            assert any(words in str(refusal.value) for words in MISSED), str(refusal.value)

    def kill() -> None:
        far.nodes[0].kill()

    with asked(near.urls[0], both, in_order([None] * 8 + [meanwhile(kill)], searches)) as it:
        with pytest.raises(StoreUnavailable) as refusal:
            it.count()
        assert any(words in str(refusal.value) for words in MISSED), str(refusal.value)

    for named in (both, ["far:api-*"], ["far:api-1"]):
        with asked(near.urls[0], named) as it, pytest.raises(StoreUnavailable):
            it.count()

    far.nodes[0].start()
    far.wait()
    with asked(near.urls[0], both) as it:
        assert _once_they_have_met(it) == counted(120)


def _once_they_have_met(it: Asked) -> dict[str, int]:
    """The count when the clusters have found each other again, which takes some seconds."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return it.count()
        except StoreUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.5)
