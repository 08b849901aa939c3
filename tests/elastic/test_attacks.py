"""Mappings, messages and questions that once made a number wrong, missed a change or crashed: counted, or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from elastic_stores import fill, index, load, mapping_of, opened, settings
from elasticsearch import Elasticsearch

from config import filters
from ledger.records import Quantity, Tally
from logviews.elastic import mappings
from logviews.elastic.store import OVERLAP, Elastic
from logviews.store import CountQuery, Member, StoreUnavailable

START = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
END = START + 24 * HOUR
NOON = START + 12 * HOUR
KEYWORD = {"type": "keyword"}
LONG = {"type": "long"}
DATE = {"type": "date"}
ARRIVING = {"time": "time", "customer": "customer", "ingested": "arrived"}


@pytest.fixture(scope="module")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url) as found:
        yield found


def message(name: object, **more: Any) -> dict[str, Any]:
    return {"time": NOON.isoformat(), "id": f"m{name}", "customer": "A"} | more


def messages(*more: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [message(number, **one) for number, one in enumerate(more)]


def mapped(**properties: Any) -> dict[str, Any]:
    return {"properties": mapping_of({})["properties"] | properties}


def asked(where: Any = (), aggregation: Any = "messages", field: str | None = None, **more: Any) -> CountQuery:
    return CountQuery("calls", filters.parse(dict(where)), aggregation, field, 0, (START, END), **more)


@contextmanager
def store_of(
    client: Elasticsearch,
    url: str,
    *indices: tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]],
    made: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Iterator[Elastic]:
    """A store over indices of these mappings and messages."""
    with ExitStack() as stack:
        names = []
        for mapping, its in indices:
            names.append(stack.enter_context(index(client, mapping, **(made or {}))))
            assert len(fill(client, names[-1], [json.dumps(one) for one in its])) == len(its)
        yield stack.enter_context(opened(settings(url, names, **changes)))


def by_customer(tallies: Iterator[Tally]) -> dict[str, Quantity | None]:
    return {str(tally.subject): tally.quantity for tally in tallies}


@pytest.mark.parametrize(
    ("bound", "expected"),
    [({"gte": 0}, 3), ({"lt": 0}, 1), ({"gt": -0.0}, 1), ({"lte": -0.0}, 3), (0, 2), (-0.0, 2)],
)
def test_minus_zero_is_zero(client: Elasticsearch, elasticsearch_url: str, bound: Any, expected: int) -> None:
    decimals = mapped(number={"type": "double"}), messages(*({"number": one} for one in (-0.0, 0.0, 1.5, -1.5)))
    with store_of(client, elasticsearch_url, decimals) as store:
        (found,) = store.count(asked({"number": bound}))
    assert found.quantity == expected


@pytest.mark.parametrize("type_", ["byte", "short", "integer", "long"])
def test_short_whole_numbers_are_compared_with_any_number(
    client: Elasticsearch, elasticsearch_url: str, type_: str
) -> None:
    values = (-128, -1, 5, 127)
    compare = {"gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__}
    with store_of(
        client, elasticsearch_url, (mapped(number={"type": type_}), messages(*({"number": one} for one in values)))
    ) as store:
        for operator, holds in compare.items():
            for bound in (-(2**70), -129, -128, 5, 127, 128, 2**40, 2**70):
                expected = sum(holds(value, bound) for value in values)
                found = [tally.quantity for tally in store.count(asked({"number": {operator: bound}}))]
                assert found == ([expected] if expected else []), (operator, bound)
        (found_equal,) = store.count(asked({"number": [5, 2**40, 2**70, -300]}))
        assert found_equal.quantity == 1


def test_a_number_that_only_some_indices_can_hold_is_refused(client: Elasticsearch, elasticsearch_url: str) -> None:
    short = mapped(number={"type": "short"}), [message(1, number=5)]
    long = mapped(number=LONG), [message(2, number=100_000)]
    with store_of(client, elasticsearch_url, short, long) as store:
        assert by_customer(store.count(asked({"number": {"gte": 5}}))) == {"A": 2}
        with pytest.raises(StoreUnavailable, match="number is of 16 bits in one index and of 64 in another"):
            store.count(asked({"number": {"gt": 70_000}}))


def test_distinct_values_of_customers_that_are_true_or_false(client: Elasticsearch, elasticsearch_url: str) -> None:
    flags = [{"customer": True, "word": "a"}, {"customer": True, "word": "b"}, {"customer": False, "word": "a"}]
    members = [Member("true", "both", START, END), Member("false", "both", START, END)]
    with store_of(
        client, elasticsearch_url, (mapped(customer={"type": "boolean"}, word=KEYWORD), messages(*flags))
    ) as store:
        assert by_customer(store.count(asked((), "distinct", "word"))) == {"true": 2, "false": 1}
        assert by_customer(store.count(asked((), "distinct", "word", members=members))) == {"both": 2}


@pytest.mark.parametrize("type_", ["integer", "ip", "keyword", "boolean"])
def test_customers_of_the_roster_that_no_index_could_hold_have_nothing(
    client: Elasticsearch, elasticsearch_url: str, type_: str
) -> None:
    known = {"integer": 7, "ip": "::1", "keyword": "A", "boolean": True}[type_]
    strange = ["", "²", "-", "00", "3000000000", "9" * 30, "fe80::1%eth0", "nobody"]
    members = [Member(name, "strange", START, END) for name in strange]
    members.append(Member(str(known).lower() if known is True else str(known), "known", START, END))
    its = [message(1, customer=known, word="a"), message(2, customer=None, word="b")]
    with store_of(client, elasticsearch_url, (mapped(customer={"type": type_}, word=KEYWORD), its)) as store:
        for aggregation, field in (("messages", None), ("distinct", "word")):
            assert by_customer(store.count(asked((), aggregation, field, members=members))) == {"known": 1}


def test_the_newest_is_found_where_indices_hold_times_in_different_units(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    newer = mapped(number=LONG), [message("newer", number=1, time=(NOON + HOUR).isoformat())]
    older = mapped(number=LONG, time={"type": "date_nanos"}), [message("older", number=2)]
    with store_of(client, elasticsearch_url, newer, older) as store:
        (found,) = store.count(asked((), "latest", "number"))
        assert (found.quantity, found.newest) == (1, NOON + HOUR)
        assert store.freshness(END).newest == NOON + HOUR


def test_an_index_without_a_mapping_is_as_fresh_as_one_without_messages(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    with store_of(client, elasticsearch_url, ({}, [])) as store:
        assert store.freshness(END).newest is None


NESTED = {"type": "nested", "properties": {"number": {"type": "double"}, "word": {"type": "text"}}}
LIMITED = {"index.mapping.total_fields.limit": 4, "index.mapping.total_fields.ignore_dynamic_beyond_limit": True}
WRONG: dict[str, tuple[Mapping[str, Any], Sequence[Mapping[str, Any]], CountQuery, str]] = {
    "a field that is given others' values": (
        mapped(one=KEYWORD | {"copy_to": "two"}, two=KEYWORD), [{"one": "x"}], asked({"two": "x"}),
        "two is given the values of other fields too (copy_to)",
    ),
    "a field that a runtime field hides": (
        mapped(number=LONG) | {"runtime": {"number": KEYWORD}}, [{"number": 5}], asked({"number": 5}),
        "number is a runtime field",
    ),
    "a flattened field that drops long values": (
        mapped(labels={"type": "flattened", "ignore_above": 3}), [{"labels": {"env": "test"}}],
        asked({"labels.env": "test"}), "labels.env has an ignore_above",
    ),
    "large numbers in nested doubles": (
        mapped(items=NESTED), [{"items": [{"number": 2**53 + 1}]}], asked({"items.number": {"gt": 2**53}}),
        "1 message has a value of items.number beyond 2^53",
    ),
    "a time in the period and one outside it": (
        mapped(), [{"time": [NOON.isoformat(), (END + HOUR).isoformat()]}], asked(),
        "1 message has a time within the period and another outside it",
    ),
    "a malformed time behind another name": (
        mapped(time={"type": "alias", "path": "at"}, at=DATE | {"ignore_malformed": True}),
        [{"time": None, "at": NOON.isoformat()}, {"time": None, "at": "noon"}], asked(),
        "1 message has a time that was not understood",
    ),
    "a decimal too small for a double's digits": (
        mapped(number={"type": "double"}), [{"number": 4.9e-324}], asked((), "min", "number"), "of more digits than",
    ),
    "a field of Elasticsearch's own": (
        mapped(), [{}], asked({"_index": "logs"}), "no message in store logs has ever had the field _index",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_an_index_says_otherwise_than_its_messages_is_refused(
    client: Elasticsearch, elasticsearch_url: str, case: str
) -> None:
    mapping, more, query, sentence = WRONG[case]
    its = [{key: value for key, value in one.items() if value is not None} for one in messages(*more)]
    with (
        store_of(client, elasticsearch_url, (mapping, its)) as store,
        pytest.raises(StoreUnavailable) as refusal,
    ):
        store.count(query)
    assert sentence in str(refusal.value)


def test_an_object_that_an_index_had_no_room_for_is_refused(client: Elasticsearch, elasticsearch_url: str) -> None:
    its = [message(1, http={"method": "GET"})]
    changes: dict[str, Any] = {"made": LIMITED, "types": {"http.method": "string"}}
    with (
        store_of(client, elasticsearch_url, (mapped(more=KEYWORD), its), **changes) as store,
        pytest.raises(StoreUnavailable, match=r"a value of http\.method that is too long or malformed"),
    ):
        store.count(asked({"http.method": "GET"}))


def test_a_keyword_that_was_added_later_inside_nested_objects_is_refused(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    later = {"type": "nested", "properties": {"word": {"type": "text", "fields": {"keyword": KEYWORD}}}}
    with index(client, mapped(items=NESTED)) as name:
        fill(client, name, [json.dumps(message(1, items=[{"word": "GET"}]))])
        client.indices.put_mapping(index=name, properties={"items": later})
        fill(client, name, [json.dumps(message(2, items=[{"word": "GET"}]))])
        with (
            opened(settings(elasticsearch_url, name)) as store,
            pytest.raises(StoreUnavailable, match=r"from before items\.word\.keyword was mapped"),
        ):
            store.count(asked({"items.word": "GET"}))


UNDATED: dict[str, Mapping[str, Any]] = {
    "nothing is indexed": {"enabled": False},
    "the time is not mapped": {"dynamic": "false", "properties": {"customer": KEYWORD}},
    "the time is text": {"properties": {"time": KEYWORD}},
}


@pytest.mark.parametrize("case", UNDATED)
def test_an_index_that_does_not_know_when_its_messages_happened_is_never_passed_over(
    client: Elasticsearch, elasticsearch_url: str, case: str
) -> None:
    first = mapped(arrived=DATE), [message(1, arrived=NOON.isoformat())]
    other = UNDATED[case], [message(2, arrived=NOON.isoformat())]
    with store_of(client, elasticsearch_url, first, other, fields=ARRIVING) as store:
        for question in (
            lambda: store.count(asked()),
            lambda: store.changes(asked(), START.isoformat(), END),
            lambda: store.freshness(END),
        ):
            with pytest.raises(StoreUnavailable, match="test-"):
                question()


def test_an_index_of_something_else_does_not_matter(client: Elasticsearch, elasticsearch_url: str) -> None:
    with store_of(client, elasticsearch_url, (mapped(), [message(1)]), ({}, [{"id": "x", "note": "y"}])) as store:
        assert by_customer(store.count(asked())) == {"A": 1}


@pytest.mark.parametrize("stamp", [int(NOON.timestamp()), int(NOON.timestamp() * 1000)])
def test_a_time_of_arrival_that_is_a_number_is_refused(
    client: Elasticsearch, elasticsearch_url: str, stamp: int
) -> None:
    numbers = mapped(arrived=LONG), [message(1, arrived=stamp)]
    with store_of(client, elasticsearch_url, numbers, fields=ARRIVING) as store:
        for question in (
            lambda: store.changes(asked(), START.isoformat(), END),
            lambda: store.freshness(END),
        ):
            with pytest.raises(StoreUnavailable, match="arrived is mapped as long, and says when a message arr"):
                question()


def test_a_time_of_arrival_in_the_wrong_unit_is_in_the_future(client: Elasticsearch, elasticsearch_url: str) -> None:
    nanoseconds = int(NOON.timestamp()) * 10**9
    stamped = mapped(arrived=DATE | {"format": "epoch_millis"}), [message(1, arrived=nanoseconds)]
    with store_of(client, elasticsearch_url, stamped, fields=ARRIVING) as store:
        found = store.changes(asked(), START.isoformat(), END)
        assert (found.stretches, found.mark) == (((NOON, NOON + HOUR),), END.isoformat())
        assert store.freshness(END).newest == NOON


def test_what_came_in_late_while_nobody_looked_is_looked_at(client: Elasticsearch, elasticsearch_url: str) -> None:
    with load(client, elasticsearch_url, [message(1)], {}, lateness="3h") as loaded:
        looked, now = START + 10 * HOUR, START + 20 * HOUR
        found = loaded.store.changes(asked(), looked.isoformat(), now)
    assert found.stretches == ((looked - 3 * HOUR - OVERLAP, END),)


def test_whole_numbers_here_and_decimals_there_are_not_listed_together(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    whole = mapped(number=LONG), [message(1, number=1)]
    decimal = mapped(number={"type": "double"}), [message(2, number=1)]
    with (
        store_of(client, elasticsearch_url, whole, decimal) as store,
        pytest.raises(StoreUnavailable, match="number is mapped as long in one index and as double in another"),
    ):
        store.count(asked((), "distinct", "number"))


def test_a_field_that_other_indices_have_another_name_for_is_counted(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    alias = {"time": {"type": "alias", "path": "at"}, "customer": {"type": "alias", "path": "who"}}
    size = {"size": {"type": "alias", "path": "bytes"}}
    renamed = {"properties": {**alias, **size, "at": DATE, "who": KEYWORD, "bytes": LONG}}
    its = [{"id": "m2", "at": NOON.isoformat(), "who": "A", "bytes": 3}]
    with store_of(client, elasticsearch_url, (mapped(size=LONG), [message(1, size=2)]), (renamed, its)) as store:
        assert by_customer(store.count(asked({"size": {"gt": 1}}))) == {"A": 2}
        assert by_customer(store.count(asked((), "sum", "size"))) == {"A": 5}
        assert by_customer(store.count(asked((), "latest", "size"))) == {"A": 3}
        assert by_customer(store.count(asked((), "distinct", "size"))) == {"A": 2}
        assert store.freshness(END).newest == NOON


def test_a_customer_may_be_part_of_a_flattened_field(client: Elasticsearch, elasticsearch_url: str) -> None:
    labels = mapped(labels={"type": "flattened"})
    its = messages(*({"labels": {"who": who}} for who in ("x", ["x", "y"], "")))
    fields = {"time": "time", "customer": "labels.who"}
    with store_of(client, elasticsearch_url, (labels, its), fields=fields) as store:
        assert {str(one.subject): one.messages for one in store.count(asked())} == {"x": 1, "unattributed": 2}


def test_a_field_that_a_script_computes_is_unfit() -> None:
    computed = {"properties": {"number": LONG | {"script": "emit(1)"}}}
    with pytest.raises(mappings.Unfit, match="number is computed by a script"):
        mappings.resolve(computed, "number")
