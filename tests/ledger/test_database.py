"""The database opens, creates itself once, keeps what is append-only, and says in a sentence what is wrong."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, insert, select, text

from ledger import database as database_module
from ledger import tables
from ledger.audit import record
from ledger.database import REVISIONS, LedgerChoiceError, LedgerError, open_database

NOW = datetime(2026, 10, 1, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


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


def test_creating_and_opening_again_gives_the_same_installation(path):
    open_database(url(path), simulation=True, now=NOW).close()
    again = open_database(url(path), simulation=True, now=datetime(2027, 1, 1, tzinfo=UTC))
    with again.connect() as connection:
        rows = connection.execute(select(tables.installation)).all()
    again.close()
    assert [(row.created_at, row.simulation) for row in rows] == [(NOW, True)]


def test_the_migrations_make_exactly_the_tables_of_the_metadata(database):
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []


def test_the_last_revision_known_is_the_last_one_that_there_is(database):
    names = sorted(path.name.split("_")[0] for path in (ROOT / "ledger/migrations/versions").glob("[0-9]*.py"))
    assert tuple(names) == REVISIONS
    with database.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == REVISIONS[-1]


def test_alembic_is_not_imported_when_the_schema_is_up_to_date(path):
    open_database(url(path), simulation=False, now=NOW).close()
    program = (
        "import sys\nfrom datetime import UTC, datetime\nfrom ledger.database import open_database\n"
        f"open_database({url(path)!r}, simulation=False, now=datetime(2026, 10, 1, tzinfo=UTC)).close()\n"
        "sys.exit('alembic' in sys.modules)\n"
    )
    assert run_python(program).returncode == 0


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_several_processes_that_create_the_database_at_once_all_end_well(path):
    program = (
        "import sys\nfrom datetime import UTC, datetime\nimport alembic.command\nfrom ledger.audit import record\n"
        "from ledger.database import open_database\nprint('ready', flush=True)\nsys.stdin.readline()\n"
        f"database = open_database({url(path)!r}, simulation=False, now=datetime(2026, 10, 1, tzinfo=UTC))\n"
        "with database.begin() as connection:\n"
        "    record(connection, at=database_now, actor='a', action='b', object_='c')\n".replace(
            "database_now", "datetime(2026, 10, 1, tzinfo=UTC)"
        )
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        _, errors = worker.communicate(timeout=60)
        assert (worker.returncode, errors) == (0, "")
    database = open_database(url(path), simulation=False, now=NOW)
    with database.connect() as connection:
        assert connection.execute(select(func.count()).select_from(tables.installation)).scalar() == 1
        assert connection.execute(select(func.count()).select_from(tables.audit)).scalar() == 4
    database.close()


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


def test_a_block_that_raises_leaves_nothing_behind(database):
    with pytest.raises(ZeroDivisionError), database.begin() as connection:
        record(connection, at=NOW, actor="a", action="b", object_="c")
        raise ZeroDivisionError
    with database.connect() as connection:
        assert connection.execute(select(func.count()).select_from(tables.audit)).scalar() == 0


def test_writers_that_read_first_wait_for_each_other_and_lose_nothing(database):
    def append():
        for _ in range(10):
            with database.begin() as connection:
                record(connection, at=NOW, actor="a", action="b", object_="c")

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.connect() as connection:
        assert connection.execute(select(func.count()).select_from(tables.audit)).scalar() == 40


def test_a_reader_keeps_its_snapshot_while_others_write(database):
    count = select(func.count()).select_from(tables.audit)
    with database.connect() as reader:
        assert reader.execute(count).scalar() == 0
        with database.begin() as writer:
            record(writer, at=NOW, actor="a", action="b", object_="c")
        assert reader.execute(count).scalar() == 0
    with database.connect() as reader:
        assert reader.execute(count).scalar() == 1


SAMPLES = {
    "installation": None,
    "definition": {"hash": "h", "kind": "view", "name": "v", "body": "{}", "since": NOW},
    "evaluation": {"monitor": "m", "at": NOW, "outcome": "done", "figures": {}},
    "notice": {
        "id": "n",
        "monitor": "m",
        "route": "r",
        "kind": "ops",
        "template": "t",
        "language": "en",
        "zone": "UTC",
        "decided_at": NOW,
        "facts": {},
    },
    "notice_key": {"key": "k", "notice_id": "n", "superseded": False},
    "audit": {
        "sequence": 1,
        "at": NOW,
        "actor": "a",
        "action": "b",
        "object": "c",
        "previous_hash": "0",
        "hash": "1",
    },
}


@pytest.mark.parametrize("name", list(SAMPLES))
def test_an_append_only_row_is_neither_changed_nor_deleted_nor_replaced(database, name):
    table = tables.metadata.tables[name]
    with database.begin() as connection:
        if name == "notice_key":
            connection.execute(insert(tables.notice).values(SAMPLES["notice"]))
        if SAMPLES[name] is not None:
            connection.execute(insert(table).values(SAMPLES[name]))
    column = list(table.c)[-1].name
    key = next(iter(table.primary_key)).name
    for statement in (
        f"UPDATE {name} SET {column} = {column}",
        f"DELETE FROM {name}",
        f"INSERT OR REPLACE INTO {name} SELECT * FROM {name} WHERE {key} = {key}",
    ):
        with pytest.raises(LedgerError, match="append-only"), database.begin() as connection:
            connection.execute(text(statement))


def test_every_table_that_is_called_append_only_has_its_triggers(database):
    with database.connect() as connection:
        triggers = set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars())
    for name in tables.APPEND_ONLY:
        assert {f"{name}_no_update", f"{name}_no_delete"} <= triggers


def test_of_a_delivery_only_the_status_changes(database):
    with database.begin() as connection:
        connection.execute(insert(tables.notice).values(SAMPLES["notice"]))
        connection.execute(
            insert(tables.delivery).values(
                notice_id="n",
                address="a@example.com",
                channel="files",
                message_id="<1@x>",
                status="queued",
                attempts=0,
                detail="",
            )
        )
        connection.execute(text("UPDATE delivery SET status = 'claimed', attempts = 1"))
    for statement in ("UPDATE delivery SET address = 'b@example.com'", "DELETE FROM delivery"):
        with pytest.raises(LedgerError, match="delivery"), database.begin() as connection:
            connection.execute(text(statement))


def test_instants_come_back_as_they_were_cut_to_milliseconds(database):
    moment = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    with database.begin() as connection:
        connection.execute(insert(tables.evaluation).values({**SAMPLES["evaluation"], "at": moment}))
        assert connection.execute(select(tables.evaluation.c.at)).scalar() == moment.replace(microsecond=999_000)


@pytest.mark.parametrize("created", [True, False])
def test_simulation_is_fixed_when_the_database_is_created(path, created):
    open_database(url(path), simulation=created, now=NOW).close()
    with pytest.raises(LedgerChoiceError, match=r"settings\.database name a new file") as caught:
        open_database(url(path), simulation=not created, now=NOW)
    assert caught.value.exit_status == 2


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


def test_a_newer_schema_is_refused(path):
    open_database(url(path), simulation=False, now=NOW).close()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(LedgerError, match=r"newer tallywatch \(schema 9999"):
        open_database(url(path), simulation=False, now=NOW)


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
    "bad", ["tallywatch.db", "postgresql+psycopg://localhost/x", "sqlite://", "sqlite:///:memory:"]
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
    assert database_module.PATIENCE_SECONDS >= 5
