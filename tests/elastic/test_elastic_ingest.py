"""Taking files into Elasticsearch: each id once, all lines checked before one is sent, nothing changed on its way."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import elastic_stores
import pytest
from click.testing import CliRunner
from elastic_intake import Taking, taking
from elasticsearch import Elasticsearch

from config.errors import TallywatchError, UsageError
from config.filters import All
from ledger.clock import parse_instant
from logviews.intake.files import IngestError
from logviews.intake.ingest import IngestReport
from logviews.store import CountQuery
from logviews.times import from_milliseconds, milliseconds
from tallywatch.cli import cli

LOG = Path(__file__).parents[1] / "data" / "web_access.jsonl.gz"
TIME = "2026-10-01T00:00:00Z"
WEB = {"time": "@timestamp", "customer": "source.ip", "id": "event.id"}


@pytest.fixture(scope="module")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url) as found:
        yield found


@pytest.fixture
def store(client: Elasticsearch, elasticsearch_url: str, tmp_path: Path) -> Iterator[Taking]:
    with taking(client, elasticsearch_url, tmp_path) as found:
        yield found


def message(id_: object, **more: Any) -> dict[str, Any]:
    return {"time": TIME, "customer": "a", "id": id_, **more}


def figures(report: IngestReport) -> tuple[int, int, int, int]:
    return report.new, report.duplicates, report.conflicts, report.skipped


# Each id once.


def test_a_real_log_is_in_whole_and_once_however_often_it_is_taken(
    client: Elasticsearch, elasticsearch_url: str, tmp_path: Path
) -> None:
    with taking(client, elasticsearch_url, tmp_path, fields=WEB) as store:
        assert figures(store.ingest.take(LOG)) == (10_000, 0, 0, 0)
        assert store.number() == 10_000
        assert figures(store.ingest.take(LOG)) == (0, 10_000, 0, 0)
        assert store.number() == 10_000
        first, end = parse_instant("2015-05-17T00:00:00Z"), parse_instant("2015-05-21T00:00:00Z")
        found = list(store.counting().count(CountQuery("all", All(()), "messages", None, 0, (first, end))))
        assert (len(found), sum(tally.messages for tally in found)) == (1753, 10_000)
        assert max((tally.messages, tally.subject.id) for tally in found) == (482, "66.249.73.135")


def test_csv_and_parquet_are_read_as_for_an_embedded_store(store: Taking) -> None:
    rows = [(TIME, "007", "1", 5), (TIME, "b", "2", 6)]
    with (store.folder / "log.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("time", "customer", "id", "n"), *rows, (TIME, "short")])
    bad = store.folder / "bad"
    assert figures(store.ingest.take(store.folder / "log.csv", bad)) == (2, 0, 0, 1)
    assert bad.read_bytes() == f"{TIME},short\r\n".encode()
    assert store.stored()["1"]["customer"] == "007"
    duckdb.sql(
        f"COPY (SELECT '{TIME}' AS time, 'c' AS customer, 3 AS id, 7 AS n) TO '{store.folder}/p' (FORMAT parquet)"
    )
    assert figures(store.ingest.take(store.folder / "p")) == (1, 0, 0, 0)
    assert store.stored()["3"]["n"] == 7


def test_the_first_message_with_an_id_counts_and_others_are_duplicates_or_conflicts(store: Taking) -> None:
    lines = [message(1), message(2, n=1), message(1), message(2, n=2), message(3), message(3, n=3), message(3)]
    report = store.take(lines)
    assert figures(report) == (3, 4, 2, 0)
    assert report.conflicting_ids == ("2", "3")
    assert store.stored()["2"]["n"] == 1
    report = store.take([message(2, n=9), message(4), {"id": 1, "customer": "a", "time": TIME}])
    assert figures(report) == (1, 2, 1, 0)
    assert report.conflicting_ids == ("2",)
    assert store.stored()["2"]["n"] == 1


def test_numbers_are_compared_as_they_are_written(store: Taking) -> None:
    line = '{"time":"%s","customer":%s,"id":"1"}'
    assert store.take([line % (TIME, "1.50")]).new == 1
    assert store.take([line % (TIME, "1.50 ")]).conflicts == 0
    assert store.take([line % (TIME, "1.5")]).conflicts == 1
    assert store.take([line % (TIME, "1.500")]).conflicts == 1


def test_what_another_program_stored_is_compared_too(store: Taking) -> None:
    store.take([message(1)])
    theirs = message(2, event={"ingested": "2026-01-01T00:00:00Z", "kind": "x"})
    store.client.create(index=store.index, id="2", document=theirs, refresh=True)
    assert figures(store.take([message(2, event={"kind": "x"})])) == (0, 1, 0, 0)
    assert figures(store.take([message(2, event={"kind": "y"})])) == (0, 1, 1, 0)


# What is stored.


def test_a_message_is_stored_as_it_was_sent_and_says_when_it_was_written(store: Taking) -> None:
    line = f'  {{"time" : "{TIME}","customer":1.50,"id":"é\\t","x":{{"y":[1, 2]}},"z":-0.0}}'
    store.take([line])
    hit = store.client.search(index=store.index)["hits"]["hits"][0]
    assert hit["_id"] == "é\t"
    assert hit["_source"] == {**json.loads(line), "event.ingested": "2026-11-01T00:00:01.000Z"}
    found = store.client.search(index=store.index, query={"term": {"customer": "1.50"}})
    assert found["hits"]["total"]["value"] == 1


@pytest.mark.parametrize(
    "said",
    [
        {"event": {"ingested": "2020-01-01T00:00:00Z", "kind": "x"}},
        {"event.ingested": "yesterday"},
        {"event": [{"ingested": 5}, {"kind": "x"}]},
        {"event": {"ingested": None}},
        {"event.ingested": None, "event": None},
        {"event": {"ingested": {"deep": 1}}},
    ],
)
def test_when_a_message_says_itself_when_it_was_ingested_that_is_overwritten(
    store: Taking, said: dict[str, Any]
) -> None:
    line = message(1, **said)
    assert figures(store.take([line])) == (1, 0, 0, 0)
    values = store.client.search(index=store.index, fields=["event.ingested"])["hits"]["hits"][0]["fields"]
    assert values["event.ingested"] == ["2026-11-01T00:00:01.000Z"]
    assert figures(store.take([line])) == (0, 1, 0, 0)


def test_the_field_that_says_when_may_be_another_one(
    client: Elasticsearch, elasticsearch_url: str, tmp_path: Path
) -> None:
    fields = {"time": "time", "customer": "customer", "id": "id", "ingested": "seen.at"}
    with taking(client, elasticsearch_url, tmp_path, fields=fields) as store:
        store.take([message(1, event="login")])
        assert store.stored()["1"]["seen.at"] == "2026-11-01T00:00:01.000Z"
        assert store.fields()["seen.at"]["type"] == "date"


def test_times_are_kept_to_the_millisecond_cut_and_not_rounded(store: Taking) -> None:
    times = {
        "1": "2026-10-01T00:00:00.123999999Z",
        "2": "2026-10-01T02:30:00.5+02:30",
        "3": "1969-12-31T23:59:59.9999Z",
        "4": "2026-10-01T00:00:00+0100",
    }
    store.take([message(id_, time=time) for id_, time in times.items()])
    found = store.client.search(index=store.index, docvalue_fields=[{"field": "time", "format": "epoch_millis"}])
    kept = {hit["_id"]: from_milliseconds(int(hit["fields"]["time"][0])) for hit in found["hits"]["hits"]}
    assert kept == {id_: parse_instant(time) for id_, time in times.items()}
    assert milliseconds(kept["3"]) == -1


# The index and its mapping.


def test_the_template_suits_what_is_counted(client: Elasticsearch, elasticsearch_url: str, tmp_path: Path) -> None:
    types = {"n": "integer", "d": "decimal", "b": "boolean", "t": "time", "i": "ip", "o.s": "string"}
    with taking(client, elasticsearch_url, tmp_path, types=types) as store:
        store.take([message(1, new="x", whole=1, part=1.5, yes=True, empty={}, nothing=None, none=[])])
        date = {"type": "date", "format": "strict_date_optional_time"}
        whole, part = {"type": "long", "coerce": False}, {"type": "double", "coerce": False}
        text, flag = {"type": "keyword"}, {"type": "boolean"}
        assert store.fields() == {
            "time": date, "event.ingested": date, "customer": text, "id": text,
            "n": whole, "d": part, "b": flag, "t": date, "i": {"type": "ip"}, "o.s": text,
            "new": text, "whole": whole, "part": part, "yes": flag, "empty": {"type": "object"},
        }  # fmt: skip
        [template] = client.indices.get_index_template(name=f"tallywatch-{store.ingest.name}")["index_templates"]
        assert template["index_template"]["index_patterns"] == [store.index]
        assert template["index_template"]["_meta"]["managed_by"] == "tallywatch"
        client.index(index=store.index, id="2", document={"other": "2026-10-01", "size": 5}, refresh=True)
        assert store.fields()["other"] == text
        assert store.fields()["size"] == whole


def test_whole_numbers_first_and_decimals_later_are_decimals(store: Taking) -> None:
    store.take([message(1, n=5), message(2, n=2.5), message(3, n=2**53 - 1)])
    assert store.fields()["n"]["type"] == "double"
    path = store.folder / "log.jsonl"
    with pytest.raises(IngestError) as refused:
        store.take([message(4, m=2**53), message(5, m=2.5)])
    assert str(refused.value) == f"{path}:2:60: m is 2.5, but mapped as long: a whole number below 2^63 is wanted"
    assert store.number() == 3


def test_a_mapping_that_is_there_decides_and_is_told_where_it_changes_what_others_write(
    store: Taking, caplog: pytest.LogCaptureFixture
) -> None:
    properties = {
        "customer": {"type": "keyword", "ignore_above": 5},
        "n": {"type": "integer"},
        "k": {"type": "keyword", "ignore_above": 3},
        "f": {"type": "float"},
        "time": {"type": "date"},
        "words": {"type": "text"},
        "flat": {"type": "flattened"},
        "dark": {"type": "object", "enabled": False},
    }
    store.client.indices.create(index=store.index, mappings={"properties": properties})
    lines = [
        message(1, n=2**31 - 1, k="longer", f=0.5, words="a b", flat={"x": 1, "y": "z"}, dark={"x": [1, "y"]}, e="x"),
        message(2, customer="longer"),
        message(3, n=2**31),
        message(4, f=0.1),
        message(5, words=5),
        message(6, **{"flat.z": 1}, dark="x"),
    ]
    assert figures(store.take(lines, skip_bad=store.folder / "bad")) == (2, 0, 0, 4)
    assert set(store.stored()) == {"1", "6"}
    assert store.fields()["e"] == {"type": "keyword"}
    assert store.fields()["event.ingested"]["type"] == "date"
    assert "changes or leaves out some values" in caplog.text
    assert "ignore_above of customer, k; coerce of f, n" in caplog.text


SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"settings": {"default_pipeline": "enrich"}}, "its default_pipeline enrich may change them"),
    ({"settings": {"final_pipeline": "enrich"}}, "its final_pipeline enrich may change them"),
    ({"mappings": {"_source": {"enabled": False}}}, "it does not keep their text (_source)"),
    ({"mappings": {"_source": {"excludes": ["x"]}}}, "it does not keep their text (_source)"),
    ({"mappings": {"_routing": {"required": True}}}, "it wants to be told a routing for each"),
    ({"mappings": {"subobjects": False}}, "its mapping holds no objects (subobjects: False)"),
    ({"mappings": {"dynamic": "strict"}}, "it has no customer, and takes no new fields (dynamic: strict)"),
    ({"mappings": {"properties": {"event": {"type": "keyword"}}}}, "event is no object there, so event.ingested"),
    ({"mappings": {"properties": {"customer": {"properties": {}}}}}, "customer is mapped so that it does not hold it"),
    (
        {"mappings": {"properties": {"time": {"type": "date", "format": "epoch_millis"}}}},
        "time is mapped so that it does not hold it; map it as date with the format strict_date_optional_time",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("made", "sentence"), SETTINGS)
def test_an_index_that_would_not_keep_messages_as_they_are_is_refused(
    store: Taking, made: dict[str, Any], sentence: str
) -> None:
    store.client.indices.create(index=store.index, **made)
    with pytest.raises(TallywatchError) as refused:
        store.take([message(1)])
    assert f"messages cannot be written to the index {store.index}: {sentence}" in str(refused.value)
    assert store.number() == 0


def test_an_index_of_more_fields_than_it_may_have_takes_nothing(store: Taking) -> None:
    path = store.folder / "log.jsonl"
    with pytest.raises(TallywatchError) as refused:
        store.take([message(1, **{f"f{number}": 1 for number in range(1_000)})])
    assert "does not take the messages' fields: Limit of total fields [1000] has been exceeded" in str(refused.value)
    assert path.exists()
    assert store.number() == 0


def test_an_alias_of_one_index_is_written_to_and_one_of_several_is_not(store: Taking) -> None:
    behind = [f"{store.index}-{number}" for number in (1, 2)]
    try:
        store.client.indices.create(index=behind[0], aliases={store.index: {}})
        assert figures(store.take([message(1)])) == (1, 0, 0, 0)
        assert figures(store.take([message(1)])) == (0, 1, 0, 0)
        store.client.indices.create(index=behind[1], aliases={store.index: {}})
        with pytest.raises(
            TallywatchError, match="is an alias of 2 indices, and an id is there once in one index only"
        ):
            store.take([message(2)])
    finally:
        for name in behind:
            store.client.options(ignore_status=404).indices.delete(index=name)


# What the configuration has to say.


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fields": {"time": "time", "customer": "customer"}}, "state stores.{name}.fields.id"),
        (
            {"index": "api-*"},
            "api-* is not one index that messages could be written to; state stores.{name}.write_index",
        ),
        ({"index": ["one", "two"]}, "one, two is not one index"),
        ({"index": "other:api"}, "other:api is not one index"),
    ],
)
def test_without_a_field_for_the_id_or_one_index_nothing_is_written(
    store: Taking, elasticsearch_url: str, changes: dict[str, Any], sentence: str
) -> None:
    stated = elastic_stores.settings(elasticsearch_url, **{"index": store.index, **changes})
    with pytest.raises(UsageError) as refused:
        store.with_store(stated).take([message(1)])
    assert sentence.format(name=store.ingest.name) in str(refused.value)
    assert not store.client.indices.exists(index=store.index)


def test_of_several_indices_the_one_to_write_to_is_stated(store: Taking, elasticsearch_url: str) -> None:
    stated = elastic_stores.settings(elasticsearch_url, ["other-*", f"{store.index}*"], write_index=store.index)
    assert store.with_store(stated).take([message(1)]).new == 1
    assert store.number() == 1


def test_compressed_lines_and_blank_ones_are_read_as_ever(store: Taking) -> None:
    lines = "\ufeff" + "\n\n".join(json.dumps(message(number)) for number in range(3)) + "\r\n"
    (store.folder / "log").write_bytes(gzip.compress(lines.encode()))
    assert store.ingest.take(store.folder / "log").new == 3
    (store.folder / "empty").write_bytes(b"")
    assert figures(store.ingest.take(store.folder / "empty")) == (0, 0, 0, 0)


# Counted like the embedded store.

VIEWS = """
  {view}_all: {{store: {store}}}
  {view}_ok: {{store: {store}, where: {{http.request.method: GET, http.response.status_code: {{gte: 200, lt: 300}}}}}}
  {view}_presentations: {{store: {store}, where: {{url.path: {{prefix: /presentations/}}}}}}
  {view}_bytes: {{store: {store}, count: {{sum: http.response.body.bytes}}}}
  {view}_not_get: {{store: {store}, where: {{http.request.method: {{not: GET}}}}}}
  {view}_agents: {{store: {store}, count: {{distinct: user_agent.original}}}}
  {view}_latest: {{store: {store}, count: {{latest: http.response.body.bytes}}}}
"""


def test_a_real_log_is_counted_the_same_in_both_stores(
    client: Elasticsearch, elasticsearch_url: str, tmp_path: Path
) -> None:
    with taking(client, elasticsearch_url, tmp_path, fields=WEB) as store:
        fields = '{time: "@timestamp", customer: source.ip, id: event.id}'
        cluster = store.ingest.name
        (tmp_path / "tallywatch.yaml").write_text(
            f"settings: {{zone: UTC}}\nstores:\n  web: {{type: embedded, folder: events, fields: {fields}}}\n"
            f"  {cluster}: {{type: elasticsearch, hosts: [{elasticsearch_url}], index: {store.index}, "
            f"fields: {fields}}}\n"
            f"views:{VIEWS.format(view='web', store='web')}{VIEWS.format(view='cluster', store=cluster)}"
        )
        assert command(tmp_path, "ingest", "web", str(LOG)) == command(tmp_path, "ingest", cluster, str(LOG))
        for view in ("all", "ok", "presentations", "bytes", "not_get", "agents", "latest"):
            counts = [
                command(tmp_path, "count", f"{name}_{view}", "--period", "2015-05") for name in ("web", "cluster")
            ]
            assert counts[0].replace('"web_', '"') == counts[1].replace('"cluster_', '"')
            assert counts[0].count("\n") > 20


def command(folder: Path, *arguments: str) -> str:
    """What a command prints, in JSON."""
    done = CliRunner().invoke(cli, ["--config", str(folder / "tallywatch.yaml"), *arguments, "--format", "json"])
    assert done.exit_code == 0, done.output
    return done.stdout
