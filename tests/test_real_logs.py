"""A real log with known counts, by the command line: each format and each store gives what a plain loop gives."""

from __future__ import annotations

import csv
import gzip
import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner
from elasticsearch import Elasticsearch

from tallywatch.cli import cli

LOG = Path(__file__).parent / "data" / "web_access.jsonl.gz"
CONFIGURATION = """
stores:
  web:
    type: embedded
    folder: events
    fields: {time: "@timestamp", customer: source.ip, id: event.id}
views:
  all: {store: web}
  ok: {store: web, where: {http.request.method: GET, http.response.status_code: {gte: 200, lt: 300}}}
  presentations: {store: web, where: {url.path: {prefix: /presentations/}}}
  bytes: {store: web, count: {sum: http.response.body.bytes}}
  not_get: {store: web, where: {http.request.method: {not: GET}}}
  agents: {store: web, count: {distinct: user_agent.original}}
  largest: {store: web, count: {max: http.response.body.bytes}}
"""
Counts = Callable[[str], dict[str, Any]]
Messages = list[dict[str, Any]]


@pytest.fixture(scope="module")
def messages() -> Messages:
    return [json.loads(line) for line in gzip.open(LOG, "rt", encoding="utf-8")]


def value(message: dict[str, Any], field: str) -> Any:
    node: Any = message
    for segment in field.split("."):
        node = node.get(segment) if isinstance(node, dict) else None
    return node


def as_csv(messages: Messages, path: Path) -> Path:
    fields = [
        "@timestamp", "event.id", "source.ip", "http.request.method", "http.response.status_code",
        "http.response.body.bytes", "url.path", "user_agent.original",
    ]  # fmt: skip
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(fields)
        writer.writerows([value(message, field) for field in fields] for message in messages)
    return path


def as_parquet(messages: Messages, path: Path) -> Path:
    lines = path.with_suffix(".csv")
    as_csv(messages, lines)
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT * FROM read_csv('{lines}', header = true)) TO '{path}' (FORMAT parquet)")
    return path


def in_elasticsearch(url: str, index: str) -> str:
    """The configuration with its store there."""
    own = "    type: embedded\n    folder: events\n"
    assert own in CONFIGURATION
    return CONFIGURATION.replace(own, f'    type: elasticsearch\n    hosts: ["{url}"]\n    index: {index}\n')


@pytest.fixture(scope="module", params=["jsonl", "csv", "parquet", "elasticsearch"])
def count(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, messages: Messages
) -> Iterator[Counts]:
    folder = tmp_path_factory.mktemp(request.param)
    index = f"web-{uuid.uuid4().hex}"
    url = request.getfixturevalue("elasticsearch_url") if request.param == "elasticsearch" else ""
    (folder / "tallywatch.yaml").write_text(in_elasticsearch(url, index) if url else CONFIGURATION)
    written = {"csv": as_csv, "parquet": as_parquet}
    log = written[request.param](messages, folder / f"log.{request.param}") if request.param in written else LOG

    def run(*arguments: str) -> str:
        answer = CliRunner().invoke(
            cli, ["--config", str(folder / "tallywatch.yaml"), *arguments], catch_exceptions=False
        )
        assert answer.exit_code == 0
        return answer.stdout

    run("ingest", "web", str(log))

    def counted(view: str) -> dict[str, Any]:
        lines = [
            json.loads(line) for line in run("count", view, "--period", "2015-05", "--format", "json").splitlines()
        ]
        integrity = lines.pop()
        assert integrity["total"] == sum(
            integrity[part] for part in ("selected", "unselected", "unattributed", "unknown", "outside")
        )
        return {line["customer"]: line["quantity"] for line in lines}

    yield counted
    if url:
        with Elasticsearch(url) as client:
            client.indices.delete(index=index)
            client.options(ignore_status=404).indices.delete_index_template(name="tallywatch-web")


def busiest(counts: dict[str, int], number: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: -item[1])[:number]


def test_the_known_figures_come_out(count: Counts) -> None:
    everyone = count("all")
    assert (sum(everyone.values()), len(everyone)) == (10_000, 1_753)
    assert busiest(everyone, 3) == [("66.249.73.135", 482), ("46.105.14.53", 364), ("130.237.218.86", 357)]
    good = count("ok")
    assert (sum(good.values()), busiest(good, 1)) == (9_136, [("66.249.73.135", 420)])
    talks = count("presentations")
    assert (sum(talks.values()), busiest(talks, 2)) == (2_304, [("130.237.218.86", 347), ("75.97.9.59", 261)])
    assert sum(count("bytes").values()) == 2_747_282_740
    assert sum(count("not_get").values()) == 48


def test_every_customer_is_what_a_plain_loop_counts(count: Counts, messages: Messages) -> None:
    number = Counter(value(message, "source.ip") for message in messages)
    agents: dict[str, set[str]] = defaultdict(set)
    largest: dict[str, int | None] = dict.fromkeys(number)
    total: Counter[str] = Counter(dict.fromkeys(number, 0))
    for message in messages:
        customer, agent, size = (
            value(message, field) for field in ("source.ip", "user_agent.original", "http.response.body.bytes")
        )
        agents[customer] |= {agent} if agent is not None else set()
        if size is not None:
            total[customer] += size
            largest[customer] = max(size, largest[customer] or 0)
    assert count("all") == number
    assert count("bytes") == total
    assert count("agents") == {customer: len(found) for customer, found in agents.items()}
    assert count("largest") == largest
