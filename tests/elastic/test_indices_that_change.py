"""Indices that are missing, closed, deleted, rolled over or moved behind an alias, before a count and during one."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator

import pytest
from elastic_stores import fill, mapping_of
from elasticsearch import Elasticsearch
from fault_proxy import Fault, Plan
from faults import in_order, meanwhile, openings, searches
from faulty import Asked, asked, counted, messages

from logviews.store import StoreUnavailable

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url) as found:
        yield found


@pytest.fixture
def prefix(client: Elasticsearch) -> Iterator[str]:
    """What the names of a test's indices begin with."""
    name = f"change-{os.getpid()}-{next(_NUMBERS)}"
    yield name
    found = list(client.indices.get(index=f"{name}-*", expand_wildcards="all"))
    if found:
        client.indices.delete(index=found)


def made(client: Elasticsearch, name: str, number: int, **more: object) -> str:
    """An index with the first so many messages, or with none."""
    client.indices.create(index=name, mappings=mapping_of({}), settings={"number_of_replicas": 0}, **more)  # type: ignore[arg-type]  # aliases
    fill(client, name, [json.dumps(message) for message in messages(number)])
    return name


def refused(it: Asked) -> str:
    with pytest.raises(StoreUnavailable) as refusal:
        it.count()
    assert it.waiting.pauses == []
    return str(refusal.value)


def test_a_pattern_that_matches_nothing_is_refused_and_not_counted_as_nothing(
    client: Elasticsearch, elasticsearch_url: str, prefix: str
) -> None:
    told = f"store logs: no index matches {prefix}-x*; correct stores.logs.index"
    with asked(elasticsearch_url, f"{prefix}-x*") as it:
        assert refused(it) == told
    made(client, f"{prefix}-a", 10)
    with asked(elasticsearch_url, [f"{prefix}-a*", f"{prefix}-x*"]) as it:
        assert refused(it) == told


def test_an_index_that_is_missing_among_others_is_refused(
    client: Elasticsearch, elasticsearch_url: str, prefix: str
) -> None:
    made(client, f"{prefix}-a", 10)
    for others in ([], [f"{prefix}-a"], [f"{prefix}-*"]):
        with asked(elasticsearch_url, [*others, f"{prefix}-x"]) as it:
            assert refused(it) == f"store logs: there is no index {prefix}-x; correct stores.logs.index"


def test_a_cluster_that_nobody_knows_is_refused(elasticsearch_url: str, prefix: str) -> None:
    with asked(elasticsearch_url, f"nowhere:{prefix}-*") as it:
        assert refused(it).startswith("store logs: no such remote cluster: [nowhere]; make that cluster known")


def test_a_closed_index_is_refused_until_it_is_left_out(
    client: Elasticsearch, elasticsearch_url: str, prefix: str
) -> None:
    made(client, f"{prefix}-a", 30)
    client.indices.close(index=made(client, f"{prefix}-b", 10))
    for named in (f"{prefix}-*", f"{prefix}-b"):
        with asked(elasticsearch_url, named) as it:
            told = refused(it)
        assert told.startswith(
            "store logs: an index that belongs to it is closed, and what is in it would not be counted"
        )
        assert f"({prefix}-b: closed); open it, or leave it out in stores.logs.index" in told
    with asked(elasticsearch_url, [f"{prefix}-*", f"-{prefix}-b"]) as it:
        assert it.count() == counted(30)


def at(number: int, act: Callable[[], object]) -> Plan:
    """A plan: this happens just before the search of this number."""
    return in_order([None] * number + [meanwhile(act)], searches)


def test_an_index_that_is_deleted_during_the_count_is_not_counted_at_all(
    client: Elasticsearch, elasticsearch_url: str, prefix: str
) -> None:
    for number in (0, 3, 12):
        made(client, f"{prefix}-a", 90)
        made(client, f"{prefix}-b", 60)
        plan = at(number, lambda: client.indices.delete(index=f"{prefix}-b"))
        with asked(elasticsearch_url, f"{prefix}-*", plan) as it:
            assert it.count() == counted(90)
            assert sum(openings(found) for found in it.proxy.seen) == 2
        client.indices.delete(index=f"{prefix}-a")


def test_the_only_index_deleted_during_the_count_is_missed(
    client: Elasticsearch, elasticsearch_url: str, prefix: str
) -> None:
    made(client, f"{prefix}-a", 90)
    plan = at(8, lambda: client.indices.delete(index=f"{prefix}-a"))
    with asked(elasticsearch_url, f"{prefix}-a", plan) as it, pytest.raises(StoreUnavailable) as refusal:
        it.count()
    assert str(refusal.value) == f"store logs: there is no index {prefix}-a; correct stores.logs.index"


def test_an_index_that_is_closed_during_the_count_is_refused(
    client: Elasticsearch, elasticsearch_url: str, prefix: str
) -> None:
    made(client, f"{prefix}-a", 90)
    made(client, f"{prefix}-b", 60)
    plan = at(8, lambda: client.indices.close(index=f"{prefix}-b"))
    with asked(elasticsearch_url, f"{prefix}-*", plan) as it, pytest.raises(StoreUnavailable) as refusal:
        it.count()
    assert "an index that belongs to it is closed" in str(refusal.value)


def test_messages_that_come_during_the_count_are_in_the_next_one(
    client: Elasticsearch, elasticsearch_url: str, prefix: str
) -> None:
    made(client, f"{prefix}-a", 90)
    late = [json.dumps(message) for message in messages(60, "late")]
    with asked(elasticsearch_url, f"{prefix}-*", at(4, lambda: fill(client, f"{prefix}-a", late))) as it:
        assert it.count() == counted(90)
        assert it.count() == counted(150)


def test_a_roll_over_during_the_count_changes_the_next_one(
    client: Elasticsearch, elasticsearch_url: str, prefix: str
) -> None:
    alias = f"{prefix}-all"
    made(client, f"{prefix}-000001", 90, aliases={alias: {"is_write_index": True}})
    more = [json.dumps(message) for message in messages(60, "more")]

    def roll_over() -> None:
        client.indices.rollover(alias=alias, mappings=mapping_of({}), settings={"number_of_replicas": 0})
        fill(client, alias, more)

    with asked(elasticsearch_url, alias, at(5, roll_over)) as it:
        assert it.count() == counted(90)
        assert it.count() == counted(150)


def test_an_alias_that_is_switched_during_the_count_is_counted_as_it_was(
    client: Elasticsearch, elasticsearch_url: str, prefix: str
) -> None:
    alias = f"{prefix}-current"
    made(client, f"{prefix}-old", 90, aliases={alias: {}})
    made(client, f"{prefix}-new", 240)
    switch = [
        {"remove": {"index": f"{prefix}-old", "alias": alias}},
        {"add": {"index": f"{prefix}-new", "alias": alias}},
    ]
    with asked(elasticsearch_url, alias, at(5, lambda: client.indices.update_aliases(actions=switch))) as it:
        assert it.count() == counted(90)
        assert it.count() == counted(240)


def test_an_alias_that_is_switched_before_fields_are_looked_at_hides_nothing_of_the_old_index(
    client: Elasticsearch, elasticsearch_url: str, prefix: str
) -> None:
    alias, old = f"{prefix}-current", f"{prefix}-old"
    undated = {"dynamic": False, "properties": {"customer": {"type": "keyword"}}}
    client.indices.create(index=old, mappings=undated, settings={"number_of_replicas": 0}, aliases={alias: {}})
    fill(client, old, [json.dumps(message) for message in messages(90)])
    made(client, f"{prefix}-new", 240)
    switch = [{"remove": {"index": old, "alias": alias}}, {"add": {"index": f"{prefix}-new", "alias": alias}}]
    act = meanwhile(lambda: client.indices.update_aliases(actions=switch))
    with asked(elasticsearch_url, alias, in_order([act], lambda found: "/_field_caps" in found.path)) as it:
        assert it.count() == counted(240), "and not nothing, as the old index has no times"
        assert sum(openings(found) for found in it.proxy.seen) == 2


def test_an_alias_switched_and_the_old_index_deleted_is_counted_as_it_is(
    client: Elasticsearch, elasticsearch_url: str, prefix: str
) -> None:
    alias = f"{prefix}-current"
    made(client, f"{prefix}-old", 90, aliases={alias: {}})
    made(client, f"{prefix}-new", 240)
    switch = [{"remove_index": {"index": f"{prefix}-old"}}, {"add": {"index": f"{prefix}-new", "alias": alias}}]
    with asked(elasticsearch_url, alias, at(5, lambda: client.indices.update_aliases(actions=switch))) as it:
        assert it.count() == counted(240)


def test_indices_that_never_stand_still_make_the_store_unavailable(
    client: Elasticsearch, elasticsearch_url: str, prefix: str
) -> None:
    made(client, f"{prefix}-a", 90)

    def replace() -> None:
        client.indices.delete(index=f"{prefix}-b", ignore_unavailable=True)
        made(client, f"{prefix}-b", 30)

    always: Fault = meanwhile(replace)
    replace()
    with asked(elasticsearch_url, f"{prefix}-*", lambda found: always if searches(found) else None) as it:
        with pytest.raises(StoreUnavailable, match=f"the index {prefix}-b went while it was counted"):
            it.count()
        assert sum(openings(found) for found in it.proxy.seen) == 3
