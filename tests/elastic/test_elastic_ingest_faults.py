"""Taking files into Elasticsearch when something goes wrong: what was written stays, and repeating completes it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bulk_proxy import BulkProxy, bulk_proxy
from elastic_intake import Taking, taking
from elasticsearch import Elasticsearch

from logviews.elastic.session import Session
from logviews.elastic.writing import BATCH_MESSAGES
from logviews.intake.files import IngestError, IngestPlaceError

TIME = "2026-10-01T00:00:00Z"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url) as found:
        yield found


@pytest.fixture
def proxy(elasticsearch_url: str) -> Iterator[BulkProxy]:
    with bulk_proxy(elasticsearch_url) as found:
        yield found


@pytest.fixture
def store(client: Elasticsearch, elasticsearch_url: str, tmp_path: Path) -> Iterator[Taking]:
    with taking(client, elasticsearch_url, tmp_path) as found:
        yield found


@pytest.fixture
def behind(store: Taking, proxy: BulkProxy) -> Iterator[Taking]:
    """The same store behind the proxy."""
    with Elasticsearch(proxy.url) as client:
        session = Session(store.ingest.name, store.ingest.store, client)
        yield replace(store, ingest=replace(store.ingest, session=session))


def message(id_: object, **more: Any) -> dict[str, Any]:
    return {"time": TIME, "customer": "a", "id": id_, **more}


def test_what_was_written_by_a_request_whose_answer_was_lost_is_reported_as_new(
    store: Taking, behind: Taking, proxy: BulkProxy
) -> None:
    store.take([message(1, n=1), message(2)])
    proxy.faults = ["lose"]
    report = behind.take([message(1, n=2), message(2), message(3), message(4), message(4)])
    assert proxy.requests == 2
    assert (report.new, report.duplicates, report.conflicts) == (2, 3, 1)
    assert report.conflicting_ids == ("1",)
    assert store.number() == 4


def test_messages_that_the_cluster_is_too_busy_for_are_sent_again(behind: Taking, proxy: BulkProxy) -> None:
    proxy.faults = ["half busy", "busy"]
    report = behind.take([message(number) for number in range(10)])
    assert proxy.requests == 3
    assert (report.new, report.duplicates) == (10, 0)
    assert behind.number() == 10
    stamps = [source["event.ingested"] for source in behind.stored().values()]
    assert len(set(stamps)) == 2, "each attempt has its own instant"


def test_a_message_that_the_server_refuses_ends_it_and_says_how_far_it_came(store: Taking) -> None:
    mapping = {"properties": {"span": {"type": "integer_range"}}}
    store.client.indices.create(index=store.index, mappings=mapping)
    lines = [message(number) for number in range(BATCH_MESSAGES)]
    lines += [message("good"), message("bad", span="x"), message("other")]
    with pytest.raises(IngestError) as refused:
        store.take(lines)
    said = str(refused.value)
    assert said.startswith(f"{store.folder}/log.jsonl:{BATCH_MESSAGES + 2}: Elasticsearch refuses the message (400): ")
    assert "failed to parse field [span] of type [integer_range]" in said
    there = f"; {BATCH_MESSAGES + 2:,} of {BATCH_MESSAGES + 3:,} messages were written, and the command may be repeated"
    assert said.endswith(f"{there}: an id counts once")
    assert store.number() == BATCH_MESSAGES + 2
    lines[-2] = message("bad")
    report = store.take(lines)
    assert (report.new, report.duplicates, report.conflicts) == (1, BATCH_MESSAGES + 2, 0)


def test_an_index_that_takes_no_more_writes_is_not_the_files_fault(store: Taking) -> None:
    store.take([message(1)])
    store.client.indices.put_settings(index=store.index, settings={"index.blocks.write": True})
    with pytest.raises(IngestPlaceError) as refused:
        store.take([message(1), message(2)])
    assert "index write (api)" in str(refused.value)
    assert "0 of 2 messages were written" in str(refused.value)


def test_a_cluster_that_goes_away_ends_it_and_repeating_completes_it(
    store: Taking, behind: Taking, proxy: BulkProxy
) -> None:
    lines = [message(number) for number in range(BATCH_MESSAGES + 5)]
    waited: list[float] = []
    behind.ingest.session.pause, behind.ingest.session.clock = waited.append, lambda: sum(waited)
    proxy.faults = ["lose", *(["gone"] * 40)]
    with pytest.raises(IngestPlaceError) as refused:
        behind.take(lines)
    assert f"0 of {BATCH_MESSAGES + 5:,} messages were written" in str(refused.value)
    assert store.number() == BATCH_MESSAGES
    report = store.take(lines)
    assert (report.new, report.duplicates, report.conflicts) == (5, BATCH_MESSAGES, 0)


# The command.


@pytest.fixture
def base(store: Taking, elasticsearch_url: str, tmp_path: Path) -> Path:
    (tmp_path / "tallywatch.yaml").write_text(
        f"stores:\n  {store.ingest.name}:\n    type: elasticsearch\n    hosts: [{elasticsearch_url}]\n"
        f"    index: {store.index}\n    fields: {{time: time, customer: customer, id: id}}\n"
    )
    (tmp_path / "tmp").mkdir()
    return tmp_path


def command(base: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tallywatch", "--config", str(base / "tallywatch.yaml"), "ingest", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(base / "tmp")},
    )  # fmt: skip


def settled(store: Taking) -> int:
    """How many messages are stored when the last request of a killed process has had its effect."""
    before, now = -1, store.number()
    while now != before:
        time.sleep(0.5)
        before, now = now, store.number()
    return now


def test_the_command_reports_as_for_an_embedded_store(store: Taking, base: Path) -> None:
    lines = [message(1), message(2), message(1, n=1)]
    process = command(base, store.ingest.name, "-", "--format", "json")
    said = process.communicate("".join(json.dumps(line) + "\n" for line in lines), timeout=60)
    assert process.returncode == 0, said
    assert json.loads(said[0]) == {
        "file": "-", "new": 2, "duplicates": 1, "conflicts": 1, "skipped": 0, "resumed": 0,
    }  # fmt: skip
    assert said[1] == "-: 1 message has the id of an earlier message but other content; the first one counts: 1\n"
    assert list((base / "tmp").iterdir()) == []


def test_an_ingest_that_was_killed_and_then_stopped_is_completed_by_repeating_it(store: Taking, base: Path) -> None:
    number = 6 * BATCH_MESSAGES
    with (base / "log").open("w") as stream:
        stream.writelines(json.dumps(message(id_)) + "\n" for id_ in range(number))
    there = 0
    for how in (signal.SIGKILL, signal.SIGINT):
        process = command(base, store.ingest.name, str(base / "log"))
        while store.number() == there:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(how)
        said = process.communicate(timeout=60)
        there = settled(store)
        assert 0 < there < number
    assert (process.returncode, said[1].strip()) == (130, "Stopped.")
    process = command(base, store.ingest.name, str(base / "log"), "--format", "json")
    said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    report = json.loads(said[0])
    assert (report["new"], report["duplicates"], report["conflicts"]) == (number - there, there, 0)
    assert store.number() == number
    assert list((base / "tmp").iterdir()) == [], "what a killed command left is removed"
