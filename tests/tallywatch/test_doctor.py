"""`doctor` against real databases, folders, parts and clocks: what is well is said to be, and what is not is found."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import packages_distributions
from pathlib import Path
from time import monotonic, sleep

import pytest
from sqlalchemy import text

from config.load import load
from ledger import checkup, due, holds, outbox, suppressions
from ledger.clock import now
from ledger.database import Database, open_database, schema_of
from ledger.due import Due
from ledger.lease import is_held, lease
from ledger.records import Evaluation, NoticeDue, Receipt
from ledger.standings import record_evaluation
from logviews.fields import used_fields
from logviews.intake.ingest import Ingest
from tallywatch.doctor import clocks, machine, state
from tallywatch.doctor.examine import alive, examine
from tallywatch.doctor.finding import Check, Finding

ROOT = Path(__file__).parents[2]
CONFIGURATION = """
settings: {{database: "{database}"}}
stores:
  web:
    type: embedded
    folder: events
    read: [logs/*.jsonl]
    stale_after: 2h
    fields: {{time: time, customer: customer, id: id}}
tiers:
  basic: {{fee: 500, prices: {{calls: {{included: 100_000, overage: 0.01}}}}}}
customers:
  - {{id: A, tier: basic, emails: a@example.com}}
  - {{id: B, tier: basic, emails: b@example.com}}
recipients:
  ops: {{email: ops@example.com}}
views:
  calls: {{store: web, meter: calls, where: {{path: {{prefix: /}}}}}}
monitors:
  monthly:
    view: calls
    window: billing month
    schedule: {{every: 15m}}
    thresholds: {{near: {{severity: warning, max: 90%}}}}
    notify: {{warn: {{when: near, to: customer}}}}
exports:
  billing: {{views: calls, layout: charges}}
"""


class World:
    """An installation in a folder: its configuration, its ledger, and messages taken in."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.path = folder / "tallywatch.yaml"
        self.path.write_text(CONFIGURATION.format(database=url), encoding="utf-8")
        self.at = now()

    def change(self, before: str, after: str) -> None:
        """Another configuration."""
        written = self.path.read_text(encoding="utf-8")
        assert before in written
        self.path.write_text(written.replace(before, after), encoding="utf-8")

    def open(self) -> Database:
        return open_database(self.url, simulation=False, now=self.at)

    def take(self, customers: Iterable[str | None] = ("A", "B"), age: timedelta = timedelta(minutes=1)) -> None:
        """Takes a message of each of these customers in, from a log that `read` matches as well."""
        log = self.folder / "logs/app.jsonl"
        log.parent.mkdir(exist_ok=True)
        time = (self.at - age).isoformat()
        lines = [
            {"time": time, "id": f"{number}", "path": "/x", "customer": id_} for number, id_ in enumerate(customers)
        ]
        log.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
        loaded, database = load(self.path, {}), self.open()
        Ingest("web", loaded.config.stores["web"], used_fields(loaded.config, "web"), database).take(log, self.at)
        database.close()

    def examined(self) -> list[Finding]:
        return list(examine(self.path, lambda: self.at))

    def found(self, check: Check) -> list[Finding]:
        return [finding for finding in self.examined() if finding.check is check]

    def one(self, check: Check) -> Finding:
        (finding,) = self.found(check)
        return finding


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, f"sqlite:///{tmp_path / 'tallywatch.db'}")


@pytest.fixture
def opened(world: World) -> Iterator[Database]:
    database = world.open()
    yield database
    database.close()


def test_a_sound_installation_has_nothing_but_ok_on_both_databases(tmp_path: Path, ledger_url: str) -> None:
    world = World(tmp_path, ledger_url)
    world.take()
    database = world.open()
    with database.begin() as connection:
        record_evaluation(connection, Evaluation("monthly", world.at, "done"))
    with lease(database):
        found = world.examined()
    database.close()
    assert [finding for finding in found if finding.state != "ok" and finding.check is not Check.DISK] == []
    of_elasticsearch = {Check.CLUSTER, Check.PRIVILEGES, Check.MAPPING}
    assert {finding.check for finding in found} == set(Check) - of_elasticsearch - {Check.TEST_MESSAGE}


def test_it_changes_nothing(world: World, opened: Database) -> None:
    world.take()

    def content() -> dict[str, str]:
        return {
            str(path.relative_to(world.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(world.folder.rglob("*"))
            if path.is_file() and not path.name.startswith("tallywatch.db")  # its rows are looked at
        }

    world.examined()  # the first count of a view notes which kinds of value its fields have
    with opened.connect() as connection:
        before = {name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar() for name in tables(opened)}
    files = content()
    world.examined()
    with opened.connect() as connection:
        assert before == {
            name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar() for name in tables(opened)
        }
    assert content() == files


def tables(database: Database) -> list[str]:
    with database.connect() as connection:
        return list(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars())


def test_a_ledger_that_is_not_there_is_a_warning_and_is_not_made(tmp_path: Path, ledger_url: str) -> None:
    world = World(tmp_path, ledger_url)
    assert world.one(Check.SCHEMA).state == "warning"
    assert schema_of(ledger_url) is None
    assert not (tmp_path / "ledger.db").exists()
    assert world.found(Check.DATABASE) == []


def test_a_ledger_of_an_earlier_version_is_a_warning_and_is_not_upgraded(tmp_path: Path, ledger_url: str) -> None:
    world = World(tmp_path, ledger_url)
    database = world.open()
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    database.close()
    finding = world.one(Check.SCHEMA)
    assert (finding.state, "back up" in finding.remedy) == ("warning", True)
    assert schema_of(ledger_url) == "0001"


def test_a_ledger_of_a_later_version_of_another_program_or_out_of_reach_fails(world: World, opened: Database) -> None:
    with opened.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert "newer tallywatch" in world.one(Check.DATABASE).found
    for url in (f"sqlite:///{world.path}", "postgresql://tallywatch@127.0.0.1:1/nowhere"):
        other = World(world.folder, url)
        assert other.one(Check.DATABASE).state == "failed", url


def test_a_ledger_that_lost_its_journal_mode_in_a_backup_has_it_again_once_it_is_opened(
    world: World, opened: Database
) -> None:
    opened.close()
    with opened.engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA journal_mode = DELETE")
    assert world.one(Check.DATABASE).state == "ok"


def test_the_kind_of_a_mount_is_that_of_the_longest_path_and_the_latest_of_two() -> None:
    mounts = "none / ext4 rw 0 0\nhost:/a /srv nfs4 rw 0 0\nnone /srv/a\\040b tmpfs rw 0 0\nx /srv/c cifs rw 0 0\n"
    kinds = {path: checkup.kind_of_mount(Path(path), mounts) for path in ("/x", "/srv/x", "/srv/a b/x", "/srv/c/y")}
    assert kinds == {"/x": "ext4", "/srv/x": "nfs4", "/srv/a b/x": "tmpfs", "/srv/c/y": "cifs"}
    assert checkup.kind_of_mount(Path("/srvx"), mounts) == "ext4"
    assert checkup.kind_of_mount(Path("/srv/c"), mounts + "y /srv/c xfs rw 0 0\n") == "xfs"


def test_network_file_systems_are_known_by_their_kinds() -> None:
    assert all(
        map(checkup.is_network, ("nfs", "nfs4", "cifs", "smb3", "ceph", "fuse.sshfs", "fuse.glusterfs", "lustre"))
    )
    assert not any(map(checkup.is_network, ("ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "fuse.bindfs")))


@pytest.mark.parametrize(("old", "judged"), [(timedelta(minutes=1), "ok"), (timedelta(minutes=16), "failed")])
def test_a_service_that_runs_is_seen_and_one_that_is_stuck_fails(
    tmp_path: Path, ledger_url: str, old: timedelta, judged: str
) -> None:
    world = World(tmp_path, ledger_url)
    database = world.open()
    with database.begin() as connection:
        due.put(connection, Due("evaluate monthly", world.at - old, "rule"))
    assert not is_held(database)
    assert world.one(Check.SERVICE).state == "warning"
    assert [finding.state for finding in alive(world.path, lambda: world.at)] == ["failed"]
    with lease(database):
        assert is_held(database)
        assert world.one(Check.SERVICE).state == judged
        assert [finding.state for finding in alive(world.path, lambda: world.at)] == [judged]
    give_up = monotonic() + 10
    while is_held(database) and monotonic() < give_up:  # a server notices that a connection is gone in its own time
        sleep(0.01)
    assert not is_held(database)
    database.close()


def test_alive_fails_without_a_configuration_or_a_ledger(world: World) -> None:
    assert [finding.check for finding in alive(world.path, now)] == [Check.SERVICE]
    world.change("stores:", "shops:")
    assert {(finding.check, finding.state) for finding in alive(world.path, now)} == {(Check.CONFIGURATION, "failed")}


@pytest.mark.parametrize(
    ("outcome", "entry", "judged"),
    [
        (None, None, "warning"),
        ("done", None, "ok"),
        ("done", Due("evaluate monthly", datetime(2026, 11, 1, tzinfo=UTC), "", 3, "no room"), "failed"),
        ("done", Due("evaluate monthly", datetime(2026, 10, 31, 23, 50, tzinfo=UTC), ""), "warning"),
        ("stale", None, "warning"),
        ("unavailable", None, "failed"),
    ],
)
def test_an_evaluation_is_judged_by_its_outcome_its_failures_and_its_next_time(
    outcome: str | None, entry: Due | None, judged: str
) -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    last = None if outcome is None else Evaluation("monthly", at - timedelta(minutes=3), outcome)  # type: ignore[arg-type]
    found = state.evaluation("monthly", last, {} if entry is None else {entry.name: entry}, at)
    assert found.state == judged
    assert outcome is None or entry is not None or "3 minutes ago" in found.found


def notice(number: int, at: datetime, *, held: bool = False) -> NoticeDue:
    to, key = (f"c{number}@example.com",), (f"key {number}",)
    return NoticeDue(
        f"{number:064}", "monthly", "warn", "customer", "near_limit", None, to, "en", "UTC", at, key, held=held
    )


def test_what_is_held_dead_expired_or_suppressed_is_named(world: World, opened: Database) -> None:
    old = world.at - timedelta(days=31)
    with opened.begin() as connection:
        outbox.insert(connection, [notice(number, world.at) for number in (1, 2, 5)], sender_domain="example.com")
        outbox.insert(connection, [notice(3, world.at, held=True)], sender_domain="example.com", watched=9)
        outbox.insert(connection, [notice(4, old)], sender_domain="example.com")
        for item in outbox.claim(connection, at=world.at, limit=9):
            receipt = {
                "c1@example.com": ("dead", "552 too large"),
                "c2@example.com": ("suppressed", "550 no such user"),
                "c4@example.com": ("dead", "long forgotten"),
                "c5@example.com": ("delivered", ""),
            }[item.delivery.address]
            ended = old if item.delivery.address.startswith("c4") else world.at
            assert outbox.finish(connection, Receipt(item.delivery.id, *receipt), ended)  # type: ignore[arg-type]
        (hold,) = holds.list_holds(connection)
    told = world.found(Check.OUTBOX)
    assert [finding.state for finding in told] == ["ok", "warning", "warning"]
    assert "1 delivered" in told[0].found
    assert f"notices release {hold.id} " in told[1].remedy
    assert "c1@example.com: 552 too large" in told[2].found
    assert "forgotten" not in told[2].found
    assert "c2@example.com (550 no such user)" in world.one(Check.ADDRESSES).found
    with opened.begin() as connection:
        suppressions.lift(connection, ["c2@example.com"])
    assert world.one(Check.ADDRESSES).state == "ok"


def test_a_notice_that_waits_for_long_is_a_warning(world: World, opened: Database) -> None:
    with opened.begin() as connection:
        outbox.insert(connection, [notice(1, world.at - timedelta(minutes=31))], sender_domain="example.com")
    assert [finding.state for finding in world.found(Check.OUTBOX)] == ["warning"]


def test_every_problem_of_a_configuration_is_a_finding_and_nothing_else_is_looked_at(world: World) -> None:
    world.change("window: billing month", "window: billing moon")
    world.change("store: web", "store: wbe")
    found = world.examined()
    failed = [finding for finding in found if finding.state == "failed"]
    assert {finding.check for finding in found} == {Check.PACKAGES, Check.TIME_ZONES, Check.CONFIGURATION}
    assert len(failed) == 2
    assert all("tallywatch.yaml:" in finding.found for finding in failed)


def test_folders_that_cannot_be_written_fail(world: World) -> None:
    (world.folder / "file").write_text("")
    world.change("folder: events", "folder: file/events")
    world.change('tallywatch.db"', 'tallywatch.db", email: {folder: file/mail}')
    (world.folder / "exports").write_text("")
    failed = {(finding.check, finding.about) for finding in world.examined() if finding.state == "failed"}
    assert failed == {(Check.FOLDER, "store web"), (Check.MAIL, ""), (Check.FOLDER, "exports")}


def test_a_pattern_that_matches_nothing_is_a_warning(world: World) -> None:
    assert world.one(Check.LOGS).state == "warning"
    (world.folder / "logs").mkdir()
    (world.folder / "logs/app.jsonl").write_text("")
    assert world.one(Check.LOGS).state == "ok"


@pytest.mark.parametrize(("shut", "said"), [("logs/app.jsonl", "may not be read"), ("logs", "cannot be looked at")])
def test_logs_that_may_not_be_read_fail(world: World, shut: str, said: str) -> None:
    """As somebody else: for root there is nothing that may not be read."""
    (world.folder / "logs").mkdir()
    (world.folder / "logs/app.jsonl").write_text("")
    (world.folder / shut).chmod(0)
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from tallywatch.doctor import stores\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "folder = Path(sys.argv[1])\n"
        "print(stores.logs('store web', folder / 'logs/*.jsonl', folder / 'events'))\n"
    )
    try:
        for parent in world.folder.parents:
            if parent.stat().st_uid == world.folder.stat().st_uid and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
        world.folder.chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", script, str(world.folder)], cwd=ROOT, capture_output=True, text=True, check=False
        )
    finally:
        (world.folder / shut).chmod(0o755)
    assert "'failed'" in done.stdout, done.stderr
    assert said in done.stdout


def test_a_missing_part_fails_and_its_freshness_is_not_asked(world: World) -> None:
    world.take()
    for part in (world.folder / "events").rglob("*.parquet"):
        part.unlink()
    assert "1 of 1 parts are missing" in world.one(Check.PARTS).found
    assert world.found(Check.FRESHNESS) == []
    assert world.one(Check.VIEW).state == "failed"


def test_a_store_that_was_read_in_another_way_fails(world: World) -> None:
    world.take()
    world.change("customer: customer", "customer: path")
    assert "cannot be read differently" in world.one(Check.PARTS).found


def test_a_stale_store_is_a_warning_and_so_is_one_without_messages(world: World, opened: Database) -> None:
    assert (world.one(Check.FRESHNESS).state, world.found(Check.VIEW)[0].state) == ("warning", "warning")
    world.take(age=timedelta(hours=3))
    finding = world.one(Check.FRESHNESS)
    assert (finding.state, "3 hours ago, " in finding.found or "3 hours ago;" in finding.found) == ("warning", True)


def test_messages_that_are_nobodys_are_a_warning_with_their_number(world: World) -> None:
    world.take(["A", "stranger", "stranger", None])
    found, last_day = world.found(Check.VIEW)
    assert (last_day.state, last_day.found) == ("ok", "1 messages in the last day, of A 1")
    assert found.state == "warning"
    assert "4 messages" in found.found
    assert "1 are unattributed" in found.found
    assert "2 are unknown" in found.found


def test_a_view_that_cannot_be_counted_fails(world: World) -> None:
    world.take()
    world.change("where: {path:", "where: {pfad:")
    assert world.one(Check.VIEW).state == "failed"


def test_customers_who_would_be_told_nothing_are_named(world: World) -> None:
    world.change(", emails: b@example.com", "")
    found = world.one(Check.ROSTER)
    assert (found.state, found.about, "'B'" in found.found) == ("warning", "monitor monthly", True)


def test_clocks_that_are_apart_are_a_warning(tmp_path: Path, postgresql_url: str) -> None:
    world = World(tmp_path, postgresql_url)
    world.open().close()
    assert [finding.state for finding in examine(world.path, now) if finding.check is Check.CLOCK] == ["ok"]
    world.at = now() + timedelta(hours=1)
    assert world.one(Check.CLOCK).state == "warning"
    at = datetime(2026, 11, 1, tzinfo=UTC)
    for seconds, judged in ((0, "ok"), (5, "ok"), (-5, "ok"), (6, "warning"), (-6, "warning")):
        assert clocks.compare("it", at, at + timedelta(seconds=seconds)).state == judged
    assert "behind" in clocks.compare("it", at, at + timedelta(minutes=1)).found


def test_an_installed_distribution_with_a_package_called_like_ours_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [finding.state for finding in machine.packages()] == ["ok"]
    (tmp_path / "other-1.0.dist-info").mkdir()
    (tmp_path / "other-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (tmp_path / "other-1.0.dist-info/RECORD").write_text("config/__init__.py,,\nother/__init__.py,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert packages_distributions()["config"]
    (finding,) = machine.packages()
    assert (finding.state, "config belongs to the distribution other" in finding.found) == ("failed", True)


GB = 10**9


@pytest.mark.parametrize(
    ("free", "total", "judged"),
    [(GB, 10 * GB, "ok"), (GB - 1, 10 * GB, "warning"), (GB, 20 * GB, "ok"), (GB, 21 * GB, "warning")],
)
def test_less_than_a_gigabyte_or_five_percent_of_room_is_a_warning(free: int, total: int, judged: str) -> None:
    assert machine.room(Path("/data"), free, total).state == judged


def test_each_file_system_is_told_once(tmp_path: Path) -> None:
    assert len(list(machine.rooms([tmp_path, tmp_path / "events", tmp_path / "a/b"]))) == 1


def run(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "tallywatch", "doctor", *arguments],
        cwd=world.folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_prints_each_finding_in_three_formats_and_exits_by_the_worst(world: World) -> None:
    world.take()
    done = run(world)
    assert done.returncode == 0, done.stderr
    assert "warning  service        no service works on this ledger\n" in done.stdout
    assert "→ start it: tallywatch run\n" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("0 failed")
    found = [json.loads(line) for line in run(world, "--format", "json").stdout.splitlines()]
    assert {tuple(line) for line in found} == {("check", "state", "about", "found", "remedy")}
    assert {line["check"] for line in found} >= {"schema", "view", "disk"}
    assert len(list(csv.DictReader(io.StringIO(run(world, "--format", "csv").stdout)))) == len(found)
    world.change("where: {path:", "where: {pfad:")
    assert run(world).returncode == 1
    assert run(world, "--alive").returncode == 1
    assert run(world, "--alive", "--send-test").returncode == 2
