"""What a mapping would count wrongly, and without a word, is refused: with the field, its type and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import elastic_stores
import pytest
from elastic_stores import fill, index, mapping_of, opened, settings
from elasticsearch import Elasticsearch

from config import filters
from ledger.records import Tally
from logviews.store import CountQuery, StoreUnavailable

START = datetime(2026, 10, 1, tzinfo=UTC)
END = START + timedelta(days=1)
AT = "2026-10-01T12:00:00Z"


@pytest.fixture(scope="module")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url) as found:
        yield found


def message(name: object, **more: Any) -> dict[str, Any]:
    return {"time": AT, "id": f"m{name}", "customer": "A"} | more


def asked(where: Mapping[str, Any], aggregation: Any = "messages", field: str | None = None) -> CountQuery:
    return CountQuery("calls", filters.parse(where), aggregation, field, 0, (START, END))


def mapped(**properties: Any) -> dict[str, Any]:
    return {"properties": mapping_of({})["properties"] | properties}


def lines(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    return [elastic_stores.json.dumps(one) for one in messages]


def count(
    client: Elasticsearch,
    url: str,
    indices: Sequence[tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]],
    query: CountQuery,
    **changes: Any,
) -> list[Tally]:
    """What a store over several indices of these mappings and messages counts."""
    with ExitStack() as made:
        names = []
        for mappings, messages in indices:
            names.append(made.enter_context(index(client, mappings)))
            assert len(fill(client, names[-1], lines(messages))) == len(messages)
        store = settings(url, names, **changes)
        return list(made.enter_context(opened(store)).count(query))


KEYWORD = {"type": "keyword"}
REFUSED: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], CountQuery, str]] = {
    "an analysed text": (
        mapped(word={"type": "text"}), {"word": "GET"}, asked({"word": "GET"}),
        "word is mapped as text, which is cut into words; add a keyword to it and reindex",
    ),
    "a rounding float": (
        mapped(number={"type": "float"}), {"number": 0.1}, asked({"number": {"gt": 0}}),
        "number is mapped as float, which rounds; map it as double, or as long in whole units",
    ),
    "a normalizer": (
        mapped(word={"type": "keyword", "normalizer": "lowercase"}), {"word": "GET"}, asked({"word": "get"}),
        "word has a normalizer, so values that differ are taken for the same; map it without",
    ),
    "a null_value": (
        mapped(word={"type": "keyword", "null_value": "none"}), {"word": None}, asked({"word": "none"}),
        "word has a null_value, so messages without the field seem to have it; map it without",
    ),
    "an object that is not indexed": (
        mapped(http={"type": "object", "enabled": False}), {"http": {"method": "GET"}}, asked({"http.method": "GET"}),
        "http.method is not indexed, nor is anything in http (enabled: false)",
    ),
    "fields that are not mapped and not indexed": (
        {"dynamic": "false"} | mapped(), {"word": "GET"}, asked({"word": "GET"}),
        "word is not mapped, and what is not mapped is not indexed (dynamic: false); map it",
    ),
    "the same further down": (
        mapped(http={"dynamic": "false", "properties": {"method": KEYWORD}}), {"http": {"verb": "GET"}},
        asked({"http.verb": "GET"}), "http.verb is not mapped, and what is not mapped is not indexed",
    ),
    "an object": (
        mapped(http={"properties": {"method": KEYWORD}}), {"http": {"method": "GET"}}, asked({"http": "GET"}),
        "http is an object; name a field inside it",
    ),
    "a field that cannot be grouped by": (
        mapped(number={"type": "long", "doc_values": False}), {"number": 1}, asked({}, "sum", "number"),
        "number cannot be grouped by (doc_values: false); map it so that it can",
    ),
    "a field that is only stored": (
        mapped(word={"type": "keyword", "index": False, "doc_values": False}), {"word": "a"}, asked({"word": "a"}),
        "word is not indexed (index: false, doc_values: false); map it so that it is",
    ),
    "a range on a keyword": (
        mapped(number=KEYWORD), {"number": "5"}, asked({"number": {"gt": 10}}),
        "number holds strings, which gt cannot compare with a number",
    ),
    "a range of times on a keyword": (
        mapped(when=KEYWORD), {"when": AT}, asked({"when": {"gt": "2026-10-01T00:00:00Z"}}),
        "when is mapped as keyword, and gt compares times; map it as date",
    ),
    "a network on a keyword": (
        mapped(ip=KEYWORD), {"ip": "10.0.0.1"}, asked({"ip": {"cidr": "10.0.0.0/8"}}),
        "ip is mapped as keyword, and cidr is for addresses; map it as ip",
    ),
    "a prefix on an address": (
        mapped(ip={"type": "ip"}), {"ip": "10.0.0.1"}, asked({"ip": {"prefix": "10."}}),
        "ip is mapped as ip, and prefix is for text; map it as keyword",
    ),
    "a text that is no time": (
        mapped(when={"type": "date"}), {"when": AT}, asked({"when": "noon"}),
        "when is mapped as date, and 'noon' is no time; write one such as 2026-10-01T00:00:00Z",
    ),
    "a text that is no address": (
        mapped(ip={"type": "ip"}), {"ip": "10.0.0.1"}, asked({"ip": "localhost"}),
        "ip is mapped as ip, and 'localhost' is no address",
    ),
    "a sum of decimals": (
        mapped(number={"type": "double"}), {"number": 0.5}, asked({}, "sum", "number"),
        "number is mapped as double, and Elasticsearch adds such numbers with errors; map it as long in whole units",
    ),
    "a sum of text": (
        mapped(word=KEYWORD), {"word": "5"}, asked({}, "sum", "word"), "sum needs numbers, but word holds strings",
    ),
    "numbers inside nested objects": (
        mapped(items={"type": "nested", "properties": {"size": {"type": "long"}}}), {"items": [{"size": 1}]},
        asked({}, "sum", "items.size"), "items.size lies in the nested objects items, which cannot be",
    ),
    "a pattern on a flattened field": (
        mapped(labels={"type": "flattened"}), {"labels": {"env": "prod"}}, asked({"labels.env": {"wildcard": "p*"}}),
        "labels.env is part of a flattened field, which knows no wildcard; map it as keyword",
    ),
    "a value that is too long": (
        mapped(word={"type": "keyword", "ignore_above": 3}), {"word": "long"}, asked({"word": "long"}),
        "1 message has a value of word that is too long or malformed and was not indexed (_ignored)",
    ),
    "a customer that is too long": (
        mapped(customer={"type": "keyword", "ignore_above": 3}), {"customer": "long"}, asked({}),
        "1 message has a value of customer that is too long",
    ),
    "a malformed number": (
        mapped(number={"type": "long", "ignore_malformed": True}), {"number": "many"}, asked({"number": {"gt": 1}}),
        "1 message has a value of number that is too long or malformed",
    ),
    "a time that was not understood": (
        mapped(time={"type": "date", "ignore_malformed": True}), {"time": "yesterday"}, asked({}),
        "1 message has a time that was not understood (ignore_malformed), so no period has them",
    ),
    "a whole number that a double rounds": (
        mapped(number={"type": "double"}), {"number": 2**53 + 1}, asked({"number": {"gt": 1}}),
        "1 message has a value of number beyond 2^53, which a double rounds; map it as long",
    ),
    "a time that is no date": (
        mapped(time=KEYWORD), {}, asked({}),
        "time is mapped as keyword, and is when a message happened; map it as date",
    ),
    "a customer that is a decimal": (
        mapped(customer={"type": "double"}), {"customer": 5.5}, asked({}),
        "customer is mapped as double, and says whose a message is; map it as keyword",
    ),
    "a field that nobody knows": (
        mapped(), {}, asked({"wrod": "GET"}), "no message in store logs has ever had the field wrod",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_be_counted_wrongly_is_refused(client: Elasticsearch, elasticsearch_url: str, case: str) -> None:
    mappings, more, query, sentence = REFUSED[case]
    with pytest.raises(StoreUnavailable) as refusal:
        count(client, elasticsearch_url, [(mappings, [message(1, **more)])], query)
    assert sentence in str(refusal.value)
    assert "calls" in str(refusal.value)


def test_a_sum_that_a_double_might_round_is_refused(client: Elasticsearch, elasticsearch_url: str) -> None:
    messages = [message(number, number=2**52) for number in range(3)]
    with pytest.raises(StoreUnavailable, match=r"the values of number at .* add up to 2\^53 or more"):
        count(client, elasticsearch_url, [(mapped(number={"type": "long"}), messages)], asked({}, "sum", "number"))


def test_a_large_sum_is_added_from_parts_that_are_exact(client: Elasticsearch, elasticsearch_url: str) -> None:
    times = [(START + timedelta(minutes=number)).isoformat() for number in range(60)]
    messages = [message(number, time=time, number=2**52 + number) for number, time in enumerate(times)]
    (found,) = count(
        client, elasticsearch_url, [(mapped(number={"type": "long"}), messages)], asked({}, "sum", "number")
    )
    assert found.quantity == 60 * 2**52 + sum(range(60))
    assert found.values == 60


def test_a_field_that_two_indices_hold_differently_is_refused_with_both(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    first, second = mapped(status={"type": "long"}), mapped(status=KEYWORD)
    indices = [(first, [message(1, status=200)]), (second, [message(2, status="200")])]
    with pytest.raises(
        StoreUnavailable, match=r"status is mapped as \w+ in index test-\S+ and as \w+ in index test-\S+"
    ):
        count(client, elasticsearch_url, indices, asked({"status": 200}))


def test_an_index_that_holds_the_time_otherwise_is_refused_though_it_seems_empty(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    indices = [(mapped(), [message(1)]), (mapped(time=KEYWORD), [message(2)])]
    with pytest.raises(
        StoreUnavailable, match=r"time is mapped in test-\S+ as keyword, and is when a message happened"
    ):
        count(client, elasticsearch_url, indices, asked({}))


def test_another_index_does_not_matter_while_it_has_no_message_of_the_time(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    first, second = mapped(status={"type": "long"}), mapped(status={"type": "text"})
    older = message(2, status="200") | {"time": "2026-09-01T00:00:00Z"}
    (found,) = count(
        client, elasticsearch_url, [(first, [message(1, status=200)]), (second, [older])], asked({"status": 200})
    )
    assert found.messages == 1


def test_whole_numbers_in_one_index_and_decimals_in_another_are_compared_as_numbers(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    first, second = mapped(load={"type": "long"}), mapped(load={"type": "double"})
    indices = [
        (first, [message(1, load=2), message(2, load=3)]),
        (second, [message(3, load=2.5), message(4, load=2.0)]),
    ]
    (found,) = count(client, elasticsearch_url, indices, asked({"load": {"gt": 2}}))
    assert found.messages == 2
    (found,) = count(client, elasticsearch_url, indices, asked({"load": [2, 2.5]}))
    assert found.messages == 3


def test_a_keyword_that_was_added_to_a_text_later_is_refused(client: Elasticsearch, elasticsearch_url: str) -> None:
    with index(client, mapped(word={"type": "text"})) as name:
        fill(client, name, lines([message(1, word="GET")]))
        client.indices.put_mapping(index=name, properties={"word": {"type": "text", "fields": {"keyword": KEYWORD}}})
        fill(client, name, lines([message(2, word="GET")]))
        store = settings(elasticsearch_url, name)
        with (
            opened(store) as elastic,
            pytest.raises(StoreUnavailable, match=r"a value of word from before word\.keyword was mapped"),
        ):
            list(elastic.count(asked({"word": "GET"})))


COUNTED: dict[str, tuple[Mapping[str, Any], Sequence[Mapping[str, Any]], CountQuery, int]] = {
    "the keyword of a text": (
        mapped(word={"type": "text", "fields": {"keyword": KEYWORD}}), [{"word": "GET it"}, {"word": "GET"}],
        asked({"word": "GET"}), 1,
    ),
    "an alias": (
        mapped(verb={"type": "alias", "path": "word"}, word=KEYWORD), [{"word": "GET"}, {}], asked({"verb": "GET"}), 1,
    ),
    "a flattened field": (
        mapped(labels={"type": "flattened"}), [{"labels": {"env": "prod"}}, {"labels": {"env": ["x", "prod"]}}, {}],
        asked({"labels.env": "prod"}), 2,
    ),
    "nested objects": (
        mapped(items={"type": "nested", "properties": {"kind": KEYWORD}}),
        [{"items": [{"kind": "a"}, {"kind": "b"}]}, {"items": {"kind": "c"}}, {}], asked({"items.kind": ["b", "c"]}), 2,
    ),
    "what no nested object has": (
        mapped(items={"type": "nested", "properties": {"kind": KEYWORD}}),
        [{"items": [{"kind": "a"}, {"kind": "b"}]}, {"items": {"kind": "c"}}, {}],
        asked({"items.kind": {"not": "b"}}), 2,
    ),
    "names with dots": (
        {"subobjects": False} | mapped(**{"http.method": KEYWORD}), [{"http.method": "GET"}],
        asked({"http.method": "GET"}), 1,
    ),
    "nanoseconds": (
        mapped(when={"type": "date_nanos"}), [{"when": "2026-10-01T00:00:00.000999999Z"}],
        asked({"when": {"lte": "2026-10-01T00:00:00Z"}}), 1,
    ),
    "an empty pattern": (mapped(word=KEYWORD), [{"word": ""}, {"word": "a"}], asked({"word": {"wildcard": ""}}), 1),
    "every IPv6 network, which has no IPv4 address": (
        mapped(ip={"type": "ip"}), [{"ip": "10.0.0.1"}, {"ip": ["::1", "10.0.0.1"]}],
        asked({"ip": {"cidr": "::/0"}}), 1,
    ),
    "a network of mapped addresses": (
        mapped(ip={"type": "ip"}), [{"ip": "10.0.0.1"}, {"ip": "11.0.0.1"}],
        asked({"ip": {"cidr": "::ffff:10.0.0.0/104"}}), 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", COUNTED)
def test_what_can_be_counted_exactly_is(client: Elasticsearch, elasticsearch_url: str, case: str) -> None:
    mappings, more, query, expected = COUNTED[case]
    messages = [message(number, **one) for number, one in enumerate(more)]
    assert sum(tally.messages for tally in count(client, elasticsearch_url, [(mappings, messages)], query)) == expected


def test_a_slip_in_the_names_of_the_stores_own_fields_is_refused(client: Elasticsearch, elasticsearch_url: str) -> None:
    for key in ("time", "customer"):
        fields = {"time": "time", "customer": "customer"} | {key: "tmie"}
        with pytest.raises(StoreUnavailable, match="has ever had the field tmie"):
            count(client, elasticsearch_url, [(mapped(), [message(1)])], asked({}), fields=fields)


def test_an_empty_store_counts_nothing(client: Elasticsearch, elasticsearch_url: str) -> None:
    assert count(client, elasticsearch_url, [(mapped(), [])], asked({"word": "GET"})) == []


def test_a_declared_type_that_the_mapping_does_not_have_is_refused(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    indices = [(mapped(status=KEYWORD), [message(1, status="200")])]
    with pytest.raises(StoreUnavailable, match="status is declared integer, but mapped as keyword; map it as long"):
        count(client, elasticsearch_url, indices, asked({"status": 200}), types={"status": "integer"})


def test_messages_with_several_customers_are_nobodys(client: Elasticsearch, elasticsearch_url: str) -> None:
    messages = [message(1), message(2, customer=["A", "B"]), message(3, customer=["A", "A"]), message(4, customer=[])]
    messages += [message(5, customer=""), message(6, customer=["A", "B", "C"])]
    found = count(client, elasticsearch_url, [(mapped(), messages)], asked({}))
    assert {str(tally.subject): tally.messages for tally in found} == {"A": 2, "unattributed": 4}


def test_messages_with_several_times_are_refused(client: Elasticsearch, elasticsearch_url: str) -> None:
    twice = message(1, time=[AT, "2026-10-01T13:00:00Z"])
    query = CountQuery(
        "calls", filters.EVERYTHING, "messages", None, 0, (START, START + timedelta(hours=12, minutes=30), END)
    )
    with pytest.raises(StoreUnavailable, match="has a message several times"):
        count(client, elasticsearch_url, [(mapped(), [twice])], query)
