"""The ledger in PostgreSQL: a sentence for whatever is wrong with the server, and never the password."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import text

from ledger import tables
from ledger.database import LedgerError, open_database

NOW = datetime(2026, 10, 1, tzinfo=UTC)


def test_every_table_that_is_called_append_only_refuses_to_be_emptied(postgresql_url):
    database = open_database(postgresql_url, simulation=False, now=NOW)
    for name in tables.APPEND_ONLY:
        with (
            pytest.raises(LedgerError, match=r"append-only|only the status|never deleted"),
            database.begin() as connection,
        ):
            connection.execute(text(f"TRUNCATE {name} CASCADE"))
    database.close()


def test_a_server_that_does_not_answer_is_said_without_the_password():
    with pytest.raises(LedgerError, match="cannot be reached") as caught:
        open_database("postgresql://tallywatch:hunter2@127.0.0.1:1/tallywatch", simulation=False, now=NOW)
    assert caught.value.exit_status == 3
    assert "hunter2" not in str(caught.value)


def test_a_database_that_does_not_exist_is_said(postgresql_url):
    url = postgresql_url.replace("/test_", "/gone_")
    with pytest.raises(LedgerError, match="does not exist on that server; create it"):
        open_database(url, simulation=False, now=NOW)


def test_a_connection_that_the_server_dropped_is_replaced(postgresql_url):
    database = open_database(postgresql_url, simulation=False, now=NOW)
    with psycopg.connect(postgresql_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tallywatch'")
    with database.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM installation")).scalar() == 1
    database.close()


def test_a_writer_that_waits_too_long_is_told_so(postgresql_url, monkeypatch):
    monkeypatch.setattr("ledger.postgresql.PATIENCE_SECONDS", 1.0)
    database = open_database(postgresql_url, simulation=False, now=NOW)
    with database.begin(), pytest.raises(LedgerError, match="in use by another process"), database.begin():
        pass
    database.close()
