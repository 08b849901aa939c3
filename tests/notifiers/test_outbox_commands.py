"""`notices retry|resend|holds|release|discard|suppressed`, as typed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from notice_examples import due

from config.errors import TallywatchError
from ledger import outbox
from ledger.database import Database, open_database
from ledger.records import Receipt
from tallywatch.cli import cli

AT = datetime(2026, 10, 25, 8, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tallywatch.yaml").write_text(
        "settings: {database: 'sqlite:///t.db', email: {sender: usage@example.com}}\n"
    )
    return tmp_path


@pytest.fixture
def database(folder: Path) -> Database:
    return open_database(f"sqlite:///{folder / 't.db'}", simulation=False, now=AT)


def called(folder: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(cli, ["--config", str(folder / "tallywatch.yaml"), "notices", *arguments])
    if isinstance(result.exception, TallywatchError):
        result.exit_code = result.exception.exit_status
    elif result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def ended(database: Database, outcome: str, said: str = "550 no such user") -> None:
    with database.begin() as connection:
        outbox.insert(connection, [due(1)], sender_domain="example.com")
        outbox.claim(connection, at=AT, limit=1)
        outbox.finish(connection, Receipt(1, outcome, said), AT)  # type: ignore[arg-type]  # one of them
    database.close()


def held(database: Database) -> None:
    with database.begin() as connection:
        notices = [replace(due(number), held=True) for number in (1, 2)]
        outbox.insert(connection, notices, sender_domain="example.com", watched=9)
    database.close()


def status_of(folder: Path) -> list[str]:
    lines = called(folder, "list", "--format", "json").stdout.splitlines()
    return [json.loads(line)["status"] for line in lines]


def test_a_suppressed_address_is_listed_and_a_retry_lifts_it(folder: Path, database: Database) -> None:
    ended(database, "suppressed")
    listed = json.loads(called(folder, "suppressed", "--format", "json").stdout)
    assert listed == {"address": "c1@example.com", "since": "2026-10-25T08:00:00+00:00", "reason": "550 no such user"}
    assert called(folder, "list", "--status", "suppressed").exit_code == 0
    result = called(folder, "retry", "00000001")
    assert result.stdout == "queued anew for c1@example.com\n"
    assert called(folder, "suppressed").stdout == "no address is suppressed\n"
    assert status_of(folder) == ["queued"]


def test_a_delivered_notice_is_sent_again_as_a_copy_and_not_retried(folder: Path, database: Database) -> None:
    ended(database, "delivered", "250 queued")
    refused = called(folder, "retry", "00000001")
    assert refused.exit_code == 2
    assert "c1@example.com: delivered" in str(refused.exception)
    assert called(folder, "resend", "00000001").stdout == "queued as a new copy for c1@example.com\n"
    assert sorted(status_of(folder)) == ["delivered", "queued"]


def test_a_hold_is_listed_and_released_with_a_reason(folder: Path, database: Database) -> None:
    held(database)
    listed = json.loads(called(folder, "holds", "--format", "json").stdout)
    assert (listed["hold"], listed["notices"], listed["watched"], listed["status"]) == (1, 2, 9, "held")
    assert called(folder, "release", "1").exit_code == 2  # no reason
    assert called(folder, "release", "1", "--reason", " ").exit_code == 2
    assert called(folder, "release", "1", "--reason", "looked").stdout == "2 notices of basic_monthly_limit released\n"
    assert status_of(folder) == ["queued", "queued"]
    assert called(folder, "holds").stdout == "nothing is held\n"
    assert "looked" in called(folder, "holds", "--all").stdout
    assert called(folder, "discard", "1", "--reason", "late").exit_code == 2


def test_a_hold_is_discarded(folder: Path, database: Database) -> None:
    held(database)
    called(folder, "discard", "1", "--reason", "the count was wrong")
    assert status_of(folder) == ["discarded", "discarded"]


@pytest.mark.parametrize("command", ["retry", "resend"])
def test_a_notice_that_does_not_exist_is_told(folder: Path, database: Database, command: str) -> None:
    database.close()
    result = called(folder, command, "ffff")
    assert result.exit_code == 2
    assert "there is no notice 'ffff'" in str(result.exception)


def test_an_expiry_is_as_far_away_again(folder: Path, database: Database) -> None:
    with database.begin() as connection:
        outbox.insert(connection, [replace(due(1), expires_at=AT + timedelta(hours=1))], sender_domain="example.com")
        assert outbox.claim(connection, at=AT + timedelta(hours=2), limit=1) == ()
    database.close()
    assert status_of(folder) == ["expired"]
    called(folder, "retry", "00000001")
    assert status_of(folder) == ["queued"]
