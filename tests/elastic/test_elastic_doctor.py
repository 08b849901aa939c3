"""`doctor` against a real cluster: whether it answers, what its mappings change, whose messages there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from elastic_stores import fill, index, mapping_of
from elasticsearch import Elasticsearch

from tallywatch.cli import cli

CONFIGURATION = """
settings: {{database: "sqlite:///{folder}/ledger.db"}}
stores:
  logs:
    type: elasticsearch
    hosts: ["{url}"]
    index: "{index}"
    fields: {{time: time, customer: customer, ingested: arrived}}
    stale_after: 2h
customers: {{file: customers.csv}}
views:
  calls: {{store: logs, where: {{status: 200}}}}
"""


@pytest.fixture(scope="module")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url) as found:
        yield found


def doctor(folder: Path, url: str, name: str) -> list[dict[str, str]]:
    """What the doctor finds about the store and its view."""
    path = folder / "tallywatch.yaml"
    (folder / "customers.csv").write_text("id\nA\nB\n")
    path.write_text(CONFIGURATION.format(folder=folder, url=url, index=name))
    run = ["--config", str(path)]
    CliRunner().invoke(cli, [*run, "count", "calls"])  # makes the ledger
    answer = CliRunner().invoke(cli, [*run, "doctor", "--format", "json"], catch_exceptions=False)
    return [json.loads(line) for line in answer.stdout.splitlines()]


def of(found: list[dict[str, str]], check: str) -> list[dict[str, str]]:
    return [one for one in found if one["check"] == check]


def messages(number: int, **more: Any) -> list[str]:
    now = datetime.now(UTC)
    return [
        json.dumps(
            {
                "time": (now - timedelta(minutes=one)).isoformat(),
                "arrived": now.isoformat(),
                "id": f"m{one}",
                "customer": "AAB"[one % 3],
                "status": 200,
            }
            | more
        )
        for one in range(1, number + 1)
    ]


def test_a_good_store_is_told_as_one(client: Elasticsearch, elasticsearch_url: str, tmp_path: Path) -> None:
    with index(client, mapping_of({"arrived": "time", "status": "integer"})) as name:
        fill(client, name, messages(30))
        found = doctor(tmp_path, elasticsearch_url, name)
    assert [one["state"] for one in of(found, "cluster")] == ["ok"]
    assert "answers, with 30 messages" in of(found, "cluster")[0]["found"]
    assert [one["state"] for one in of(found, "mapping")] == ["ok"]
    assert [one["state"] for one in of(found, "freshness")] == ["ok"]
    assert [one["found"] for one in of(found, "view")][1] == "30 messages in the last day, of A 20, B 10"


def test_what_a_sloppy_mapping_changes_is_warned_of(
    client: Elasticsearch, elasticsearch_url: str, tmp_path: Path
) -> None:
    sloppy = mapping_of({"arrived": "time"})
    sloppy["properties"] |= {
        "status": {"type": "long", "ignore_malformed": True},
        "customer": {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}},
    }
    with index(client, sloppy) as name:
        fill(client, name, messages(3))
        found = of(doctor(tmp_path, elasticsearch_url, name), "mapping")
    assert {(one["state"], one["found"], one["remedy"].partition(",")[0]) for one in found} == {
        ("warning", f"index {name}: status takes text for numbers, and cuts fractions off whole ones",
         "map it with coerce: false"),
        ("warning", f"index {name}: status leaves out what it does not understand", "map it without ignore_malformed"),
        ("warning", f"index {name}: customer leaves out values of more than 256 characters",
         "map it without ignore_above"),
    }  # fmt: skip


def test_messages_without_a_time_are_told(client: Elasticsearch, elasticsearch_url: str, tmp_path: Path) -> None:
    with index(client, mapping_of({"arrived": "time", "status": "integer"})) as name:
        fill(client, name, [*messages(2), '{"id": "x", "customer": "A", "status": 200}'])
        found = of(doctor(tmp_path, elasticsearch_url, name), "mapping")
    assert [one["found"] for one in found if one["state"] == "warning"] == [
        "1 messages have no time, so no period has them"
    ]


def test_a_view_that_would_be_counted_wrongly_is_told_with_the_reason(
    client: Elasticsearch, elasticsearch_url: str, tmp_path: Path
) -> None:
    wrong = mapping_of({"arrived": "time"})
    wrong["properties"]["status"] = {"type": "text"}
    with index(client, wrong) as name:
        fill(client, name, messages(2))
        (found,) = of(doctor(tmp_path, elasticsearch_url, name), "view")
    assert found["state"] == "failed"
    assert "status is mapped as text, which is cut into words" in found["found"]


def test_a_cluster_that_does_not_answer_is_told_and_nothing_else_is_asked_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logviews.elastic.session.STRANGER_SECONDS", 0.5)
    found = doctor(tmp_path, "http://127.0.0.1:9", "logs")
    assert [one["state"] for one in of(found, "cluster")] == ["failed"]
    assert not of(found, "mapping")


def test_a_pattern_that_matches_nothing_is_told(elasticsearch_url: str, tmp_path: Path) -> None:
    (found,) = of(doctor(tmp_path, elasticsearch_url, "test-nothing-*"), "cluster")
    assert found["state"] == "failed"
    assert "test-nothing-*" in found["found"]
