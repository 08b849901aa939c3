"""Logs that lie in several clusters and are searched through one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from elastic_stores import fill, index, mapping_of, opened, settings
from elasticsearch import Elasticsearch
from elasticsearch_cluster import Cluster, joined_clusters
from elasticsearch_wanted import or_left_out

from config import filters
from logviews.store import CountQuery, StoreUnavailable

START = datetime(2026, 10, 1, tzinfo=UTC)
EDGES = (START, START + timedelta(hours=1), START + timedelta(days=1))


@pytest.fixture(scope="module")
def clusters() -> Iterator[tuple[Cluster, Cluster]]:
    with or_left_out(joined_clusters({"cluster.remote.far.skip_unavailable": True})) as found:
        yield found


def message(name: object, **more: Any) -> str:
    return json.dumps({"time": START.isoformat(), "id": f"m{name}", "customer": "A", "status": 200} | more)


def asked(where: Any, aggregation: Any = "messages", field: str | None = None) -> CountQuery:
    return CountQuery("calls", filters.parse(where), aggregation, field, 0, EDGES)


def test_messages_in_both_clusters_are_counted_together(clusters: tuple[Cluster, Cluster]) -> None:
    near, far = clusters
    mapping = mapping_of({"status": "integer"})
    with (
        Elasticsearch(near.urls[0]) as here,
        Elasticsearch(far.urls[0]) as there,
        index(here, mapping) as own,
        index(there, mapping) as others,
        opened(settings(near.urls[0], [own, f"far:{others}"])) as store,
    ):
        fill(here, own, [message(1), message(2, customer="B", status=404)])
        fill(there, others, [message(3), message(4, customer="C", status=500), message(5, customer=["A", "B"])])
        found = {str(tally.subject): tally.messages for tally in store.count(asked({"status": {"lt": 500}}))}
        assert found == {"A": 2, "B": 1, "unattributed": 1}
        assert sum(tally.quantity or 0 for tally in store.count(asked({}, "sum", "status"))) == 200 + 404 + 200 + 500


def test_a_field_that_the_other_cluster_would_count_wrongly_is_refused(clusters: tuple[Cluster, Cluster]) -> None:
    near, far = clusters
    mapping = mapping_of({})
    mapping["properties"] |= {
        "word": {"type": "text"},
        "good": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
        "items": {"type": "nested", "properties": {"kind": {"type": "keyword"}}},
    }
    with (
        Elasticsearch(far.urls[0]) as there,
        index(there, mapping) as others,
        opened(settings(near.urls[0], f"far:{others}")) as store,
    ):
        fill(there, others, [message(1, word="GET", good="GET", items=[{"kind": "a"}])])
        with pytest.raises(StoreUnavailable, match="word is mapped as text, which is cut into words"):
            list(store.count(asked({"word": "GET"})))
        for where in ({"good": "GET"}, {"items.kind": "a"}):
            assert [tally.messages for tally in store.count(asked(where))] == [1]


def test_a_cluster_that_is_gone_makes_the_count_unavailable_even_where_it_may_be_skipped(
    clusters: tuple[Cluster, Cluster],
) -> None:
    near, far = clusters
    mapping = mapping_of({"status": "integer"})
    with Elasticsearch(near.urls[0]) as here, index(here, mapping) as own:
        fill(here, own, [message(1)])
        with (
            Elasticsearch(far.urls[0]) as there,
            index(there, mapping) as others,
            opened(settings(near.urls[0], [own, f"far:{others}"])) as store,
        ):
            fill(there, others, [message(2)])
            assert sum(tally.messages for tally in store.count(asked({}))) == 2
            far.nodes[0].kill()
            try:
                store.session.pause = lambda _: None
                with pytest.raises(StoreUnavailable):
                    list(store.count(asked({})))
            finally:
                far.nodes[0].start()
                far.wait()
