"""The ledger in SQLite: durable settings, and a sentence for whatever is wrong with file, folder or disk."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from ledger import tables
from ledger.audit import record
from ledger.backend import PATIENCE_SECONDS
from ledger.database import LedgerChoiceError, LedgerError, open_database

NOW = datetime(2026, 10, 1, tzinfo=UTC)


def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tallywatch.db"


@pytest.fixture
def database(path):
    opened = open_database(url(path), simulation=False, now=NOW)
    yield opened
    opened.close()


def test_the_connection_is_durable_waits_for_locks_and_checks_foreign_keys(database):
    with database.connect() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "recursive_triggers")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
        "recursive_triggers": 1,
    }


def test_every_table_that_is_called_append_only_has_its_triggers(database):
    with database.connect() as connection:
        triggers = set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars())
    for name in tables.APPEND_ONLY:
        assert {f"{name}_no_update", f"{name}_no_delete"} <= triggers


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path):
    path.write_text("id,name\n" * 500)
    with pytest.raises(LedgerError, match="is not a SQLite database") as caught:
        open_database(url(path), simulation=False, now=NOW)
    assert caught.value.exit_status == 3
    assert path.read_text() == "id,name\n" * 500


def test_an_empty_file_becomes_a_ledger(path):
    path.touch()
    open_database(url(path), simulation=False, now=NOW).close()
    assert path.stat().st_size > 0


def test_another_programs_database_is_refused_and_left_as_it_is(path):
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE shopping (item TEXT)")
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="another program"):
        open_database(url(path), simulation=False, now=NOW)
    assert path.read_bytes() == before


def test_a_damaged_database_is_said_to_be_damaged(path):
    open_database(url(path), simulation=False, now=NOW).close()
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 4000)
    with pytest.raises(LedgerError, match=r"damaged|not a SQLite database"):
        open_database(url(path), simulation=False, now=NOW)


def test_a_missing_folder_and_a_folder_instead_of_a_file_are_told_apart(tmp_path):
    with pytest.raises(LedgerError, match="folder does not exist; create it"):
        open_database(url(tmp_path / "nowhere" / "x.db"), simulation=False, now=NOW)
    with pytest.raises(LedgerError, match="is a folder"):
        open_database(url(tmp_path), simulation=False, now=NOW)


@pytest.mark.parametrize(
    "bad", ["tallywatch.db", "mysql://localhost/x", "postgresql://localhost", "sqlite://", "sqlite:///:memory:"]
)
def test_a_url_that_is_no_file_of_sqlite_is_refused(bad):
    with pytest.raises(LedgerChoiceError, match=r"settings\.database"):
        open_database(bad, simulation=False, now=NOW)


def test_a_path_with_blanks_percent_signs_and_question_marks_is_just_a_path(tmp_path):
    folder = tmp_path / "50% of (all) #logs"
    folder.mkdir()
    open_database(url(folder / "a b.db"), simulation=False, now=NOW).close()
    assert (folder / "a b.db").exists()


def test_a_full_disk_is_said_and_nothing_is_half_written(database):
    with database.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar()
    with pytest.raises(LedgerError, match="disk is full"), database.begin() as connection:
        connection.execute(text(f"PRAGMA max_page_count = {pages + 2}"))
        record(connection, at=NOW, actor="a", action="b", object_="first")
        record(connection, at=NOW, actor="a", action="b", object_="x" * 100_000)
    with database.connect() as connection:
        assert connection.execute(select(func.count()).select_from(tables.audit)).scalar() == 0


def test_a_lock_held_for_long_is_said(database, path, monkeypatch):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with database.connect() as connection:
            connection.execute(text("PRAGMA busy_timeout = 50"))
        with pytest.raises(LedgerError, match="in use by another process"), database.begin():
            pass
        with database.connect() as connection:  # reading goes on
            assert connection.execute(select(func.count()).select_from(tables.audit)).scalar() == 0


@pytest.fixture
def open_folder():
    """A folder that another user can reach too, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="tallywatch-") as name:
        Path(name).chmod(0o777)
        yield Path(name)


@contextmanager
def powerless():
    """Not root for a while: permissions do not bind root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_folder_gets_a_sentence_when_creating(open_folder):
    nowhere = open_folder / "locked"
    nowhere.mkdir(mode=0o555)
    with powerless(), pytest.raises(LedgerError, match="check the permissions"):
        open_database(url(nowhere / "x.db"), simulation=False, now=NOW)


def test_a_read_only_database_gets_a_sentence_when_writing(open_folder):
    path = open_folder / "x.db"
    open_database(url(path), simulation=False, now=NOW).close()
    path.chmod(0o444)
    with powerless():
        database = open_database(url(path), simulation=False, now=NOW)
        refused = pytest.raises(LedgerError, match="cannot be written; check the permissions")
        with refused, database.begin() as connection:
            record(connection, at=NOW, actor="a", action="b", object_="c")
        database.close()


def test_an_unreadable_database_gets_a_sentence(open_folder):
    path = open_folder / "x.db"
    open_database(url(path), simulation=False, now=NOW).close()
    path.chmod(0o000)
    with powerless(), pytest.raises(LedgerError, match="check the permissions"):
        open_database(url(path), simulation=False, now=NOW)


def test_the_patience_is_long_enough_for_a_service_that_writes():
    assert PATIENCE_SECONDS >= 5
