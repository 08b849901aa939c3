"""`tallywatch evaluate` as it is called: the reference case from log files, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).resolve().parents[2]

CONFIGURATION = """
settings:
  database: sqlite:///x.db
  zone: Europe/Stockholm
  simulation: {simulation}
  email: {{folder: mail, sender: Usage <usage@example.com>}}
stores:
  api:
    type: embedded
    folder: events
    fields: {{time: "@timestamp", customer: customer}}
tiers:
  basic: {{fee: 500, recommend: pro, prices: {{api_calls: {{included: 100_000, overage: 0.01}}}}}}
  pro: {{fee: 2000, prices: {{api_calls: {{included: 500_000, overage: 0.01}}}}}}
customers:
  - {{id: A, name: Alpha, tier: basic, emails: [a@example.com]}}
  - {{id: B, name: Beta, tier: basic, emails: [b@example.com]}}
  - {{id: C, name: Gamma, tier: pro, emails: [c@example.com]}}
  - {{id: D, name: Delta, tier: basic, emails: [d@example.com]}}
recipients:
  ops: {{email: ops@example.com}}
views:
  basic_api_calls: {{store: api, customers: {{tier: basic}}, meter: api_calls}}
  pro_api_calls: {{store: api, customers: {{tier: pro}}, meter: api_calls}}
monitors:
  basic_monthly_limit:
    view: basic_api_calls
    window: billing month
    schedule: {{every: 15m}}
    thresholds:
      approaching: {{severity: warning, max: 90%}}
      well_over: {{severity: error, max: 110%}}
    notify:
      warn: {{when: approaching, to: customer, template: near_limit, days: 25-28}}
      page: {{when: well_over, to: ops}}
  pro_monthly_limit:
    view: pro_api_calls
    window: billing month
    schedule: {{every: 15m}}
    thresholds:
      over: {{severity: warning, max: 100%}}
"""

USED = {"A": 127_450, "B": 87_230, "C": 512_890, "D": 92_340}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A folder with the reference case's logs ingested, in a simulation."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "tallywatch.yaml").write_text(CONFIGURATION.format(simulation="true"))
    # two messages a second from the first moment of October in Stockholm: far less than the 24 days and 11 hours
    selects = " UNION ALL ".join(
        f"SELECT TIMESTAMP '2026-09-30 22:00:00' + INTERVAL (n * 500) MILLISECOND AS moment, '{who}' AS customer "
        f"FROM range({number}) numbers(n)"
        for who, number in USED.items()
    )
    shown = "strftime(moment, '%Y-%m-%dT%H:%M:%S.%gZ')"
    messages = f'SELECT {shown} AS "@timestamp", customer FROM ({selects})'
    duckdb.sql(f"COPY ({messages}) TO '{folder / 'log.jsonl'}' (FORMAT json)")
    done = run(folder, "ingest", "api", "log.jsonl")
    assert done.returncode == 0, done.stderr
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-W", "error", "-c", "from tallywatch.cli import run; run()", *arguments]
    return subprocess.run(
        program, cwd=folder, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(ROOT), "PATH": ""}
    )


def evaluated(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, object]]:
    return {line["customer"]: line for line in map(json.loads, done.stdout.splitlines())}


def test_the_reference_case_comes_out_and_notifies_once(reference):
    at = ("--at", "2026-10-25T10:00:00+01:00")
    done = run(reference, "evaluate", *at, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    lines = evaluated(done)
    assert {id_: (line["quantity"], line["percent"], line["state"]) for id_, line in lines.items()} == {
        "A": (127_450, "127.45", "error"),
        "B": (87_230, "87.23", "ok"),
        "C": (512_890, "102.57", "warning"),
        "D": (92_340, "92.34", "warning"),
    }
    assert lines["D"] == {
        "monitor": "basic_monthly_limit",
        "customer": "D",
        "at": "2026-10-25T10:00:00+01:00",
        "period_start": "2026-10-01T00:00:00+02:00",
        "period_end": "2026-11-01T00:00:00+01:00",
        "counted_to": "2026-10-25T10:00:00+01:00",
        "quantity": 92_340,
        "included": 100_000,
        "percent": "92.34",
        "state": "warning",
        "reason": "above_max",
        "thresholds": [
            {"name": "approaching", "limit": 90_000, "breached": True},
            {"name": "well_over", "limit": 110_000, "breached": False},
        ],
        "projected": 117_194,
    }
    assert not (reference / "mail").exists()  # nothing is told without --commit

    committed = run(reference, "evaluate", "basic_monthly_limit", *at, "--commit", "--format", "csv")
    assert committed.returncode == 0, committed.stderr
    assert "basic_monthly_limit: 3 notices decided" in committed.stderr  # A and D, and operations of A
    assert [line.split(",")[1] for line in committed.stdout.splitlines()] == ["customer", "A", "B", "D"]
    mails = sorted((reference / "mail").rglob("*.eml"))
    assert len(mails) == 3
    again = run(reference, "evaluate", "basic_monthly_limit", *at, "--commit")
    assert "basic_monthly_limit: 0 notices decided" in again.stderr
    assert sorted((reference / "mail").rglob("*.eml")) == mails

    back = run(reference, "evaluate", "--at", "2026-10-24T10:00:00+02:00", "--commit")
    assert (back.returncode, back.stdout) == (2, "")
    assert "do not go back in time" in back.stderr


def test_what_cannot_be_asked_is_refused_with_a_sentence(reference):
    for arguments, sentence in (
        (("nothing",), "there is no monitor 'nothing' (there is basic_monthly_limit, pro_monthly_limit)"),
        (("--at", "2026-10-25T10:00:00"), "has no offset"),
        (("--at", "soon"), "is no time"),
    ):
        done = run(reference, "evaluate", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr


def test_a_made_up_time_is_committed_in_a_simulation_only(tmp_path):
    (tmp_path / "tallywatch.yaml").write_text(CONFIGURATION.format(simulation="false"))
    done = run(tmp_path, "evaluate", "--at", "2026-10-25T10:00:00Z", "--commit")
    assert (done.returncode, done.stdout) == (2, "")
    assert "settings.simulation: true" in done.stderr
    assert run(tmp_path, "evaluate", "--commit").returncode == 0


def test_a_store_that_cannot_answer_exits_3_and_the_verdicts_come_out(tmp_path):
    (tmp_path / "tallywatch.yaml").write_text(CONFIGURATION.format(simulation="false"))
    (tmp_path / "log.csv").write_text("@timestamp,customer\n2026-10-02T00:00:00Z,A\n")
    assert run(tmp_path, "ingest", "api", "log.csv").returncode == 0
    for part in (tmp_path / "events").rglob("*.parquet"):
        part.unlink()
    done = run(tmp_path, "evaluate", "--at", "2026-10-25T10:00:00Z", "--format", "json")
    assert done.returncode == 3
    assert {line["state"] for line in evaluated(done).values()} == {"unavailable"}
    assert {line["counted_to"] for line in evaluated(done).values()} == {None}
    assert "basic_monthly_limit: unavailable: store api" in done.stderr


MASS = """
settings: {simulation: true, email: {folder: mail}}
stores: {api: {type: embedded, folder: events, fields: {time: t, customer: c}}}
customers: {file: customers.csv}
recipients: {ops: {email: ops@example.com}}
views: {calls: {store: api}}
monitors:
  busy:
    view: calls
    window: month
    schedule: {every: 15m}
    thresholds: {any: {severity: warning, max: 0.5}}
    notify: {tell: {when: any, to: customer}}
"""


def test_notices_to_more_customers_than_seem_right_are_held_until_somebody_releases_them(tmp_path):
    (tmp_path / "tallywatch.yaml").write_text(MASS)
    names = [f"c{number}" for number in range(21)]
    (tmp_path / "customers.csv").write_text("id,emails\n" + "".join(f"{name},{name}@example.com\n" for name in names))
    (tmp_path / "log.csv").write_text("t,c\n" + "".join(f"2026-10-02T00:00:00Z,{name}\n" for name in names))
    assert run(tmp_path, "ingest", "api", "log.csv").returncode == 0
    done = run(tmp_path, "evaluate", "--at", "2026-10-03T10:00:00Z", "--commit")
    assert "busy: 22 notices decided" in done.stderr
    assert "busy: 21 notices held, because so many at once look like a mistake" in done.stderr
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 1  # what operations hear of it
    released = run(tmp_path, "notices", "release", "1", "--reason", "it was right")
    assert released.returncode == 0
    again = run(tmp_path, "evaluate", "--at", "2026-10-03T11:00:00Z", "--commit")
    assert "busy: 0 notices decided" in again.stderr
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 22
