"""What may not be written to Elasticsearch: what its mapping would change, round, cut off or not find again."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from elastic_intake import Taking, taking
from elasticsearch import Elasticsearch

from logviews.intake.files import IngestError

TIME = "2026-10-01T00:00:00Z"
MAPPED = {
    "k": {"type": "keyword"},
    "l": {"type": "long"},
    "i": {"type": "integer"},
    "d": {"type": "double"},
    "f": {"type": "float"},
    "b": {"type": "boolean"},
    "t": {"type": "date"},
    "ip": {"type": "ip"},
    "o": {"properties": {"x": {"type": "keyword"}}},
}


@pytest.fixture(scope="module")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url) as found:
        yield found


@pytest.fixture
def store(client: Elasticsearch, elasticsearch_url: str, tmp_path: Path) -> Iterator[Taking]:
    with taking(client, elasticsearch_url, tmp_path) as found:
        yield found


def line(id_: object, more: str = "", time: str = TIME, customer: str = '"a"') -> str:
    return f'{{"time":"{time}","customer":{customer},"id":{json.dumps(id_)}{"," if more else ""}{more}}}'


def refusal(store: Taking, *lines: str) -> str:
    """Why a file of these lines is refused, from its place on; nothing of it is stored."""
    before = store.number()
    with pytest.raises(IngestError) as refused:
        store.take(lines)
    assert store.number() == before
    return str(refused.value).removeprefix(f"{store.folder}/log.jsonl")


REFUSED = {
    '"k":5': "k is 5, but mapped as keyword: text of at most 32,766 bytes is wanted",
    '"k":true': "k is true, but mapped as keyword",
    '"k":["x",["y",5]]': "k is 5, but mapped as keyword",
    '"k":"' + "é" * 16_384 + '"': "but mapped as keyword: text of at most 32,766 bytes is wanted",
    '"k":{"x":1}': "k is an object, but mapped as keyword",
    '"l":2.5': "l is 2.5, but mapped as long: a whole number below 2^63 is wanted",
    '"l":"5"': 'l is "5", but mapped as long',
    '"l":true': "l is true, but mapped as long",
    '"l":9223372036854775808': "l is 9223372036854775808, but mapped as long",
    '"l":-9223372036854775809': "l is -9223372036854775809, but mapped as long",
    '"l":1e999999999999999999999': "l is 1e999999999999999999999, but mapped as long",
    '"i":2147483648': "i is 2147483648, but mapped as integer: a whole number below 2^31 is wanted",
    '"d":"1"': 'd is "1", but mapped as double: a number of at most 17 digits below 2^53 is wanted',
    '"d":9007199254740993': "d is 9007199254740993, but mapped as double",
    '"d":0.123456789012345678': "d is 0.123456789012345678, but mapped as double",
    '"d":1e400': "d is 1e400, but mapped as double",
    '"d":1e-400': "d is 1e-400, but mapped as double",
    '"f":0.1': "f is 0.1, but mapped as float: a number that it does not round is wanted",
    '"f":16777217': "f is 16777217, but mapped as float",
    '"b":"true"': 'b is "true", but mapped as boolean: true or false is wanted',
    '"b":""': 'b is "", but mapped as boolean',
    '"b":1': "b is 1, but mapped as boolean",
    '"t":"2026-10-01"': 't is "2026-10-01", but mapped as date: an RFC 3339 time with an offset, such as',
    '"t":1790805600': "t is 1790805600, but mapped as date",
    '"ip":"host-1"': 'ip is "host-1", but mapped as ip: an IP address is wanted',
    '"ip":"fe80::1%eth0"': 'ip is "fe80::1%eth0", but mapped as ip',
    '"o":5': "o is 5, but an object in other messages",
    '"o":[{"x":"y"},"z"]': 'o is "z", but an object in other messages',
    '"o.x.y":5': "o.x is an object, but mapped as keyword",
    '"o.x.y":null': "o.x is an object, but mapped as keyword",
    '"o":{"x":{}}': "o.x is an object, but mapped as keyword",
    '"k":1,"k":1': "the message has a key twice, which Elasticsearch refuses",
    '"o":{"x":"y","x":"y"}': "o has a key twice, which Elasticsearch refuses",
    '"":1': "the name '' has an empty part, which Elasticsearch refuses",
    '"x.":1': "the name 'x.' has an empty part",
    '".x":1': "the name '.x' has an empty part",
    '"x..y":1': "the name 'x..y' has an empty part",
    '"o":{" ":1}': "the name ' ' has an empty part",
    '"_id":1': "the name _id is Elasticsearch's own",
    '"_doc_count":5': "the name _doc_count is Elasticsearch's own",
    '"deep":' + '{"x":' * 20 + "1" + "}" * 20: "lies deeper than the 20 levels that the index allows",
}  # fmt: skip


def test_what_a_mapping_would_change_is_a_bad_line(store: Taking) -> None:
    store.client.indices.create(index=store.index, mappings={"properties": MAPPED})
    for more, sentence in REFUSED.items():
        said = refusal(store, line(1), line(2, more))
        assert said.startswith(":2:"), said
        assert sentence in said
    assert store.number() == 0


KEPT = [
    '"k":"' + "x" * 32_766 + '"', '"k":[]', '"k":[null,"x"]', '"l":9223372036854775807', '"l":1.0', '"l":1e2',
    '"d":9007199254740991', '"d":0.12345678901234567', '"d":5', '"f":0.5', '"t":"2026-10-01T00:00:00.123456789+02:00"',
    '"ip":"::ffff:10.0.0.1"', '"o":null', '"o":[{"x":"y"},null]', '"o.x":"y"', '"_foo":{"_id":1}',
    '"deep":' + '{"x":' * 19 + "1" + "}" * 19,
]  # fmt: skip


def test_what_a_mapping_holds_is_kept_and_found(store: Taking) -> None:
    store.client.indices.create(index=store.index, mappings={"properties": MAPPED})
    assert store.take([line(number, more) for number, more in enumerate(KEPT)]).new == len(KEPT)
    assert store.client.count(index=store.index, query={"exists": {"field": "_ignored"}})["count"] == 0
    for field, value in (("l", 9223372036854775807), ("l", 100), ("d", 0.12345678901234567), ("k", "x" * 32_766)):
        assert store.client.count(index=store.index, query={"term": {field: value}})["count"] == 1


def test_the_first_value_of_a_new_field_decides_and_nothing_is_guessed(store: Taking) -> None:
    assert refusal(store, line(1, '"n":5'), line(2, '"n":"x"')).endswith('n is "x", but mapped as long: a whole number '
                                                                         "below 2^63 is wanted")  # fmt: skip
    assert "n is 5, but mapped as keyword" in refusal(store, line(1, '"n":"x"'), line(2, '"n":5'))
    assert 'n is "true", but mapped as boolean' in refusal(store, line(1, '"n":true'), line(2, '"n":"true"'))
    assert "n is 5, but an object in other" in refusal(store, line(1, '"n":{}'), line(2, '"n":5'))
    assert "n is an object, but mapped as long" in refusal(store, line(1, '"n":5'), line(2, '"n.x":null'))
    assert store.take([line(1, '"n":"2026-10-01","m":"5"')]).new == 1
    assert (store.fields()["n"], store.fields()["m"]) == ({"type": "keyword"}, {"type": "keyword"})


def test_a_bad_line_decides_nothing(store: Taking) -> None:
    bad = [line(1, '"n":"x","m":{"x":1.5},"k":{"":1}'), line(2, '"n":2,"m":3'), line(3, '"n":2.5,"m":4')]
    report = store.take(bad, skip_bad=store.folder / "bad")
    assert (report.new, report.skipped) == (2, 1)
    assert (store.fields()["n"]["type"], store.fields()["m"]["type"]) == ("double", "long")
    assert "k" not in store.fields()
    widening = [line(4, '"w":1'), line(5, '"w":1.5,"":0'), line(6, '"w":9007199254740993')]
    assert store.take(widening, skip_bad=store.folder / "bad").new == 2
    assert store.fields()["w"]["type"] == "long"


TIMES = {
    "2026-10-01T00:00:00": "has no offset, and the store states no zone for such times",
    "2026-10-01 00:00:00Z": "but mapped as date: an RFC 3339 time with an offset",
    "2026-10-01t00:00:00z": "but mapped as date",
    "2026-10-01T00:00:00.1234567891Z": "but mapped as date",
    "2026-10-01T00:00:00-19:00": "but mapped as date",
    "2026-10-01T00:00:60Z": "is no RFC 3339 time",
}


def test_times_that_the_server_does_not_read_are_bad_lines(store: Taking) -> None:
    for time, sentence in TIMES.items():
        assert sentence in refusal(store, line(1, time=time))


def test_ids_and_customers_are_text_whatever_they_are_written_as(store: Taking) -> None:
    assert "id is longer than 512 bytes, which no id in Elasticsearch is" in refusal(store, line("é" * 257))
    assert store.take([line("é" * 256), line(5), line(True)]).new == 3
    assert set(store.stored()) == {"é" * 256, "5", "true"}
    odd = ["1.50", "true", '["a","b"]', '""', "null", "1" * 1_000]
    assert store.take([line(f"odd {customer[:9]}", customer=customer) for customer in odd]).new == len(odd)
    assert "customer is 1111" in refusal(store, line(9, customer="1" * 1_001))
    assert "customer is an object, not a customer" in refusal(store, line(9, customer="{}"))
    buckets = store.client.search(index=store.index, size=0, aggs={"by": {"terms": {"field": "customer"}}})
    assert {one["key"] for one in buckets["aggregations"]["by"]["buckets"]} >= {"1.50", "true", "a", "b", ""}


def test_declared_types_are_enforced(client: Elasticsearch, elasticsearch_url: str, tmp_path: Path) -> None:
    types = {"n": "integer", "customer": "ip", "t": "time"}
    with taking(client, elasticsearch_url, tmp_path, types=types) as store:
        good = line(1, f'"n":5,"t":"{TIME}"', customer='"10.0.0.1"')
        assert store.take([good]).new == 1
        assert store.fields()["customer"] == {"type": "ip"}
        assert "n is 1.0, but declared integer" in refusal(store, good.replace('"n":5', '"n":1.0'))
        assert "customer is 5, but declared ip" in refusal(store, good.replace('"10.0.0.1"', "5"))


# Whatever is let through, the server takes and keeps.

KEYS = ["a", "b", "c", "a.b", "a.b.c", "b.a", "x.", "", "_id", "_foo", "é", "event", "event.ingested", "typed"]
SCALARS = [
    *["1", "2", "7", '"x"', '"y"', "null", "true", "2.5"] * 4, "-3", "1.0", "1e2", "9007199254740993", "-0", "1e400",
    "9223372036854775807", "9223372036854775808", "0.1234567890123456789", '"1"', '"true"', '""', "[]", "{}",
    '"2026-10-01T00:00:00Z"', '"10.0.0.1"', '"\\u0000"', '"' + "y" * 32_767 + '"',
]  # fmt: skip
CUSTOMERS = [*['"a"'] * 10, "5", "1.50", "true", '["a","b"]', '""', "null", "1" * 1_001]


def value(dice: random.Random, depth: int) -> str:
    chance = dice.random()
    if depth < 3 and chance < 0.1:
        return members(dice, depth + 1)
    if depth < 3 and chance < 0.2:
        return f"[{','.join(value(dice, depth + 1) for _ in range(dice.randrange(3)))}]"
    return dice.choice(SCALARS)


def members(dice: random.Random, depth: int) -> str:
    keys = [dice.choice(KEYS if dice.random() < 0.2 else KEYS[:6]) for _ in range(dice.randrange(1, 4))]
    return "{" + ",".join(f"{json.dumps(key)}:{value(dice, depth)}" for key in keys) + "}"


@pytest.mark.parametrize("seed", range(12))
def test_the_server_takes_whatever_is_let_through_and_finds_it_again(
    client: Elasticsearch, elasticsearch_url: str, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    types = {"typed": dice.choice(["string", "integer", "decimal", "boolean", "time", "ip"])}
    lines = [
        f'{{"time":"{TIME}","customer":{dice.choice(CUSTOMERS)},"id":{number % 55},{members(dice, 0)[1:]}'
        for number in range(60)
    ]
    with taking(client, elasticsearch_url, tmp_path, types=types) as store:
        report = store.take(lines, skip_bad=tmp_path / "bad")
        assert report.new == store.number()
        assert report.new + report.duplicates + report.skipped == len(lines)
        assert client.count(index=store.index, query={"exists": {"field": "_ignored"}})["count"] == 0
        again = store.take(lines, skip_bad=tmp_path / "bad")
        assert (again.new, again.duplicates) == (0, report.new + report.duplicates)
        assert again.conflicts == report.conflicts
