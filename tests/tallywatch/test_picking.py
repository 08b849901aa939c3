"""The jobs that pick logs up and merge parts: what they do, and what operations are told of files, once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.load import Loaded, load
from ledger import parts
from ledger.database import Database, open_database
from ledger.tables import notice
from tallywatch.service.jobs import Job
from tallywatch.service.picking import merging, picking

START = datetime(2026, 11, 1, tzinfo=UTC)
CONFIGURATION = """
settings: {email: {transport: files, folder: mail}}
stores:
  api: {type: embedded, folder: events, read: logs/*.jsonl, fields: {time: t, customer: c}}
  other: {type: embedded, folder: other, fields: {time: t, customer: c}}
recipients: {ops: {email: [ops@example.com]}}
"""
LINE = '{"t":"2026-10-05T00:00:00Z","c":"a"}\n'


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    (tmp_path / "tallywatch.yaml").write_text(CONFIGURATION)
    (tmp_path / "logs").mkdir()
    return load(tmp_path / "tallywatch.yaml", {})


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Database]:
    database = open_database(ledger_url, simulation=False, now=START)
    yield database
    database.close()


def jobs(loaded: Loaded, ledger: Database) -> dict[str, Job]:
    return {job.name: job for job in (*picking(loaded, ledger), *merging(loaded, ledger))}


def notices(ledger: Database) -> list[str]:
    with ledger.connect() as reading:
        return [row.facts["headline"] for row in reading.execute(notice.select())]


def test_each_store_that_reads_files_is_picked_up_and_every_store_is_merged(loaded: Loaded, ledger: Database) -> None:
    assert list(jobs(loaded, ledger)) == ["pick up api", "merge api", "merge other"]
    job = jobs(loaded, ledger)["pick up api"]
    assert job.following(START + timedelta(seconds=3)) == START + timedelta(seconds=10)


def test_logs_become_parts_and_many_parts_become_one(loaded: Loaded, ledger: Database) -> None:
    found = jobs(loaded, ledger)
    for number in range(12):
        with (loaded.base / "logs" / "app.jsonl").open("a") as stream:
            stream.write(LINE)
        assert found["pick up api"].run(START + timedelta(seconds=10 * number)) is None
    with ledger.connect() as reading:
        assert [part.rows for part in parts.of_store(reading, "api")] == [1] * 12
    assert found["merge api"].run(START + timedelta(minutes=10)) is None
    with ledger.connect() as reading:
        assert [part.rows for part in parts.of_store(reading, "api")] == [12]


def test_operations_are_told_once_of_a_file_that_cannot_be_picked_up(loaded: Loaded, ledger: Database) -> None:
    log = loaded.base / "logs" / "app.jsonl"
    log.write_text("nonsense\n")
    pick_up = jobs(loaded, ledger)["pick up api"]
    for number in range(30):
        assert pick_up.run(START + timedelta(minutes=number)) is None
    assert notices(ledger) == ["a file of store api cannot be picked up"]
    log.write_text("more nonsense\n")
    pick_up.run(START + timedelta(hours=1))
    assert len(notices(ledger)) == 1  # the same reason at the same place
    log.write_text(LINE + "nonsense\n")
    pick_up.run(START + timedelta(hours=2))
    assert len(notices(ledger)) == 2
