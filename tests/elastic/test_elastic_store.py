"""What the store in Elasticsearch does besides counting, and how it counts what an answer has no room for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from elastic_stores import fill, index, load, mapping_of, opened, settings
from elasticsearch import Elasticsearch

from config import filters
from ledger.records import Freshness
from logviews.elastic.store import OVERLAP, Elastic
from logviews.store import CountQuery, Member, StoreUnavailable

START = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url) as found:
        yield found


def message(name: object, at: datetime, **more: Any) -> dict[str, Any]:
    return {"time": at.isoformat(), "id": f"m{name}", "customer": "A"} | more


def asked(aggregation: Any = "messages", field: str | None = None, hours: int = 24, **more: Any) -> CountQuery:
    edges = tuple(START + HOUR * number for number in range(hours + 1))
    return CountQuery("calls", filters.EVERYTHING, aggregation, field, 0, edges, **more)


def test_more_customers_than_an_answer_holds_are_counted_in_pages(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    messages = [message(number, START, customer=f"c{number % 250}") for number in range(600)]
    messages += [message(f"x{number}", START, customer=["c1", "c2"]) for number in range(5)]
    with load(client, elasticsearch_url, messages, {}, page=40, shards=3) as loaded:
        found = {str(tally.subject): tally.messages for tally in loaded.store.count(asked(hours=1))}
    assert found == {f"c{number}": 3 if number < 100 else 2 for number in range(250)} | {"unattributed": 5}


def test_the_latest_of_messages_of_one_time_is_that_of_the_greatest_id(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    messages = [message(f"{number:03}", START, size=number * 7 % 100) for number in range(100)]
    messages.append(message("999", START - HOUR, size=5_000))
    messages.append(message("zzz", START))
    with load(client, elasticsearch_url, messages, {"size": "integer"}, page=1) as loaded:
        (found,) = loaded.store.count(asked("latest", "size", hours=1))
    assert (found.quantity, found.newest, found.newest_id) == (99 * 7 % 100, START, "m099")


def test_ties_of_many_customers_are_asked_for_together(client: Elasticsearch, elasticsearch_url: str) -> None:
    messages = [
        message(f"{number:04}", START + HOUR * (number % 7), customer=f"c{number % 250}", size=number)
        for number in range(1_750)
    ]
    messages += [message(f"x{number}", START + HOUR * 6, customer=f"c{number}", size=number) for number in range(250)]
    with load(client, elasticsearch_url, messages, {"size": "integer"}) as loaded:
        before = loaded.store.session.requests
        found = {str(tally.subject): tally.quantity for tally in loaded.store.count(asked("latest", "size", hours=24))
                 if tally.start == START + HOUR * 6}  # fmt: skip
        requests = loaded.store.session.requests - before
    assert found == {f"c{number}": number for number in range(250)}
    assert requests < 20


def test_distinct_values_of_a_customer_with_several_names_count_once(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    messages = [message(number, START, customer="AB"[number % 2], word=f"w{number % 3}") for number in range(12)]
    members = [Member("A", "one", START, START + HOUR), Member("B", "one", START, START + HOUR)]
    with load(client, elasticsearch_url, messages, {"word": "string"}, page=2) as loaded:
        (found,) = loaded.store.count(asked("distinct", "word", hours=1, members=members))
    assert (found.quantity, found.messages) == (3, 12)


def test_freshness_is_that_of_the_newest_message_before_the_instant(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    messages = [
        message(number, START + HOUR * number, arrived=(START + HOUR * (number + 1)).isoformat()) for number in range(5)
    ]
    fields = {"time": "time", "customer": "customer", "ingested": "arrived"}
    with load(client, elasticsearch_url, messages, {"arrived": "time"}, fields=fields, stale_after="2h") as loaded:
        at = START + HOUR * 3
        assert loaded.store.freshness(at) == Freshness(START + HOUR * 2, at, stale=False)
        assert loaded.store.freshness(START + HOUR * 7) == Freshness(START + HOUR * 4, START + HOUR * 5, stale=True)
        assert loaded.store.freshness(START) == Freshness(None, None, stale=True)


def test_within_one_look_all_questions_are_of_one_instant(client: Elasticsearch, elasticsearch_url: str) -> None:
    def number(store: Elastic) -> int:
        return sum(tally.messages for tally in store.count(asked()))

    with load(client, elasticsearch_url, [message(1, START)], {}) as loaded:
        store, name = loaded.store, loaded.store.session.index
        with store.at_once():
            assert number(store) == 1
            fill(client, name, [json.dumps(message(2, START + HOUR))])
            with ThreadPoolExecutor() as others:
                assert others.submit(number, store).result() == 2, "another thread looks for itself"
            with store.at_once():
                assert number(store) == 1
            assert store.freshness(START + HOUR * 2).newest == START
        assert number(store) == 2


def test_a_look_that_is_lost_begins_again_and_is_held_again(client: Elasticsearch, elasticsearch_url: str) -> None:
    with load(client, elasticsearch_url, [message(1, START)], {}) as loaded:
        store = loaded.store
        store.session.pause = lambda _: None
        with store.at_once():
            assert [tally.messages for tally in store.count(asked())] == [1]
            client.close_point_in_time(id=store.session.at_one_instant(lambda snapshot: snapshot.id))
            assert [tally.messages for tally in store.count(asked())] == [1]
            held = store.session.at_one_instant(lambda snapshot: snapshot.id)
            assert store.session.at_one_instant(lambda snapshot: snapshot.id) == held


def test_an_evaluations_questions_cost_less_together(client: Elasticsearch, elasticsearch_url: str) -> None:
    def cost(store: Elastic) -> int:
        before = store.session.requests
        store.changes(asked(), START.isoformat(), START + HOUR)
        list(store.count(asked()))
        store.freshness(START + HOUR)
        return store.session.requests - before

    fields = {"time": "time", "customer": "customer", "ingested": "arrived"}
    arrived = message(1, START, arrived=START.isoformat())
    with load(client, elasticsearch_url, [arrived], {"arrived": "time"}, fields=fields) as loaded:
        apart = cost(loaded.store)
        with loaded.store.at_once():
            together = cost(loaded.store)
    assert apart - together - 1 == 6, "the one that closes comes after the look"


def test_changes_are_the_hours_that_messages_arrived_in_since_the_mark(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    def arriving(number: int, hour: int, after: int) -> dict[str, Any]:
        return message(number, START + HOUR * hour, arrived=(START + HOUR * after).isoformat())

    fields = {"time": "time", "customer": "customer", "ingested": "arrived"}
    types = {"arrived": {"type": "date"}}
    with (
        index(client, {"properties": mapping_of({})["properties"] | types}) as name,
        opened(settings(elasticsearch_url, name, fields=fields)) as store,
    ):
        assert store.changes(asked(), None, START + HOUR * 5).stretches == ((START, START + HOUR * 24),)
        fill(client, name, map(json.dumps, [arriving(1, 1, 2), arriving(2, 2, 2)]))
        mark = store.changes(asked(), (START + HOUR).isoformat(), START + HOUR * 5)
        assert mark.stretches == ((START + HOUR, START + HOUR * 3),)
        assert mark.mark == (START + HOUR * 2).isoformat()
        fill(client, name, map(json.dumps, [arriving(3, 1, 6), arriving(4, 5, 6)]))
        late = store.changes(asked(), (START + HOUR * 3).isoformat(), START + HOUR * 7)
        assert late.stretches == ((START + HOUR, START + HOUR * 2), (START + HOUR * 5, START + HOUR * 6))
        again = store.changes(asked(), late.mark, START + HOUR * 7)
        assert again == late, "what arrived within the overlap is looked at again"
        future = store.changes(asked(), (START + HOUR * 3).isoformat(), START + HOUR * 4)
        assert future.mark == (START + HOUR * 4).isoformat(), "a clock that is ahead does not hide what comes later"


def test_a_message_that_became_visible_late_is_found_by_the_overlap(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    fields = {"time": "time", "customer": "customer", "ingested": "arrived"}
    mark = START + HOUR * 3
    stamped = (mark - OVERLAP + timedelta(seconds=1)).isoformat()
    with load(
        client, elasticsearch_url, [message(1, START, arrived=stamped)], {"arrived": "time"}, fields=fields
    ) as loaded:
        assert loaded.store.changes(asked(), mark.isoformat(), mark).stretches == ((START, START + HOUR),)


def test_without_a_time_of_arrival_the_lateness_is_looked_at_again(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    with load(client, elasticsearch_url, [message(1, START)], {}, lateness="3h") as loaded:
        at = START + HOUR * 5
        assert loaded.store.changes(asked(), at.isoformat(), at).stretches == (
            (START + HOUR * 2 - OVERLAP, START + HOUR * 24),
        )


def test_a_message_that_does_not_say_when_it_arrived_makes_changes_unknown(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    fields = {"time": "time", "customer": "customer", "ingested": "arrived"}
    with (
        load(client, elasticsearch_url, [message(1, START)], {"arrived": "time"}, fields=fields) as loaded,
        pytest.raises(
            StoreUnavailable, match="there are messages without arrived, so it is not known when they arrived"
        ),
    ):
        loaded.store.changes(asked(), START.isoformat(), START + HOUR)


def test_a_field_that_differs_between_buckets_is_refused_for_the_period(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    first, second = mapping_of({"status": "integer"}), mapping_of({"status": "string"})
    with index(client, first) as one, index(client, second) as other:
        fill(client, one, [json.dumps(message(1, START, status=200))])
        fill(client, other, [json.dumps(message(2, START + HOUR * 30, status="200"))])
        day = CountQuery("calls", filters.parse({"status": 200}), "messages", None, 0, (START, START + HOUR * 24))
        with opened(settings(elasticsearch_url, [one, other])) as store:
            store.check(day)
            with pytest.raises(StoreUnavailable, match="status is mapped as keyword and as long"):
                store.check(replace(day, edges=(START, START + HOUR * 48)))
