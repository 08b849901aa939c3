"""The ledger, in each database that it can live in: created once, one writer at a time, append-only where said."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, insert, select, text

from ledger import tables
from ledger.audit import record
from ledger.database import REVISIONS, LedgerChoiceError, LedgerError, open_database

NOW = datetime(2026, 10, 1, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def database(ledger_url):
    opened = open_database(ledger_url, simulation=False, now=NOW)
    yield opened
    opened.close()


def test_creating_and_opening_again_gives_the_same_installation(ledger_url):
    open_database(ledger_url, simulation=True, now=NOW).close()
    again = open_database(ledger_url, simulation=True, now=datetime(2027, 1, 1, tzinfo=UTC))
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


def test_alembic_is_not_imported_when_the_schema_is_up_to_date(ledger_url):
    open_database(ledger_url, simulation=False, now=NOW).close()
    program = (
        "import sys\nfrom datetime import UTC, datetime\nfrom ledger.database import open_database\n"
        f"open_database({ledger_url!r}, simulation=False, now=datetime(2026, 10, 1, tzinfo=UTC)).close()\n"
        "sys.exit('alembic' in sys.modules)\n"
    )
    assert run_python(program).returncode == 0


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_several_processes_that_create_the_database_at_once_all_end_well(ledger_url):
    program = (
        "import sys\nfrom datetime import UTC, datetime\nimport alembic.command\nfrom ledger.audit import record\n"
        "from ledger.database import open_database\nprint('ready', flush=True)\nsys.stdin.readline()\n"
        f"database = open_database({ledger_url!r}, simulation=False, now=datetime(2026, 10, 1, tzinfo=UTC))\n"
        "with database.begin() as connection:\n"
        "    record(connection, at=database_now, actor='a', action='b', object_='c')\ndatabase.close()\n".replace(
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
    database = open_database(ledger_url, simulation=False, now=NOW)
    with database.connect() as connection:
        assert connection.execute(select(func.count()).select_from(tables.installation)).scalar() == 1
        assert connection.execute(select(func.count()).select_from(tables.audit)).scalar() == 4
    database.close()


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
        f"INSERT OR REPLACE INTO {name} SELECT * FROM {name} WHERE {key} = {key}"
        if database.engine.dialect.name == "sqlite"
        else f"TRUNCATE {name} CASCADE",
    ):
        with pytest.raises(LedgerError, match="append-only"), database.begin() as connection:
            connection.execute(text(statement))


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
def test_simulation_is_fixed_when_the_database_is_created(ledger_url, created):
    open_database(ledger_url, simulation=created, now=NOW).close()
    with pytest.raises(LedgerChoiceError, match=r"settings\.database name a new one") as caught:
        open_database(ledger_url, simulation=not created, now=NOW)
    assert caught.value.exit_status == 2


def test_a_newer_schema_is_refused(ledger_url):
    open_database(ledger_url, simulation=False, now=NOW).close()
    ours = open_database(ledger_url, simulation=False, now=NOW)
    with ours.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    ours.close()
    with pytest.raises(LedgerError, match=r"newer tallywatch \(schema 9999"):
        open_database(ledger_url, simulation=False, now=NOW)
