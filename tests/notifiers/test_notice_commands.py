from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from notice_examples import parsed

from config.errors import TallywatchError
from tallywatch.cli import cli

CONFIGURATION = """
settings:
  zone: Europe/Stockholm
  simulation: true
  email: {folder: mail, sender: Usage <usage@example.com>}
stores:
  api: {type: embedded, folder: events, fields: {time: time, customer: customer}}
tiers:
  basic: {fee: 500, recommend: pro, prices: {api_calls: {included: 1_000, overage: 0.01}}}
  pro: {fee: 2000, prices: {api_calls: {included: 5_000, overage: 0.01}}}
customers:
  - {id: acme, aliases: [old-acme], name: Acme AB, tier: basic, emails: [anna@example.com, bo@example.com]}
  - {id: quiet, name: Quiet Ltd, tier: basic, emails: [q@example.com]}
  - {id: mute, tier: basic}
  - {id: other, tier: pro, emails: [o@example.com]}
recipients:
  ops: {email: [ops@example.com]}
views:
  calls: {store: api, customers: {tier: basic}, meter: api_calls, unit: API calls}
monitors:
  limit:
    title: Basic tier, monthly limit
    view: calls
    window: billing month
    schedule: {every: 15m}
    thresholds:
      approaching: {severity: warning, max: 90%}
      well_over: {severity: error, max: 110%}
    notify:
      warn: {when: [approaching, well_over], to: customer, days: 25-28}
      page: {when: well_over, to: ops}
  total:
    view: calls
    per: total
    window: month
    schedule: {every: 15m}
    thresholds: {big: {severity: error, max: 1000}}
    notify: {page: {when: big, to: ops}}
"""
DAY_25 = "2026-10-25T09:00:00Z"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notices")
    (folder / "tallywatch.yaml").write_text(CONFIGURATION)
    start = datetime(2026, 10, 1, tzinfo=UTC)
    with (folder / "log.jsonl").open("w") as log:
        for customer, number in (("acme", 923), ("mute", 1200), ("quiet", 3)):
            for minutes in range(number):
                at = (start + timedelta(minutes=29 * minutes)).isoformat()
                log.write(json.dumps({"time": at, "customer": customer}) + "\n")
    assert called(folder, "ingest", "api", str(folder / "log.jsonl")).exit_code == 0
    assert called(folder, "evaluate", "limit", "--at", DAY_25, "--commit").exit_code == 0
    return folder


def called(folder: Path, *arguments: str) -> Result:
    """The command's result; a sentence for the operator has its exit status, and stands in stderr."""
    result = CliRunner().invoke(cli, ["--config", str(folder / "tallywatch.yaml"), *arguments])
    if isinstance(result.exception, TallywatchError):
        result.exit_code = result.exception.exit_status
    elif result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def lines(result: Result) -> list[dict[str, str]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_list_names_each_delivery_in_every_format(folder: Path) -> None:
    found = lines(called(folder, "notices", "list", "--format", "json"))
    assert sorted(item["address"] for item in found) == ["anna@example.com", "bo@example.com", "ops@example.com"]
    assert {item["status"] for item in found} == {"delivered"}
    assert all(Path(item["detail"]).is_file() for item in found)
    rows = list(csv.DictReader(io.StringIO(called(folder, "notices", "list", "--format", "csv").stdout)))
    assert [row["notice"] for row in rows] == [item["notice"] for item in found]
    assert "anna@example.com" in called(folder, "notices", "list").stdout


def test_list_is_narrowed_by_monitor_customer_and_status(folder: Path) -> None:
    def addresses(*options: str) -> list[str]:
        result = called(folder, "notices", "list", "--format", "json", *options)
        return sorted(item["address"] for item in lines(result))

    assert addresses("--customer", "old-acme") == ["anna@example.com", "bo@example.com"]
    assert addresses("--customer", "nobody") == []
    assert addresses("--monitor", "total") == []
    assert addresses("--status", "queued") == []
    assert len(addresses("--monitor", "limit", "--status", "delivered")) == 3


def test_show_prints_the_message_by_the_beginning_of_its_id(folder: Path) -> None:
    id_ = lines(called(folder, "notices", "list", "--format", "json", "--customer", "acme"))[0]["notice"]
    shown = called(folder, "notices", "show", id_[:6]).stdout
    assert f"Notice {id_}: monitor limit, route warn" in shown
    assert "To: Acme AB <anna@example.com>" in shown
    assert "923 API calls, 92.3% of the 1,000 monthly limit" in shown
    assert "Pro ($2,000/month, 5,000 calls included)" in shown
    assert called(folder, "notices", "show", id_, "--html").stdout.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("id_", ["", "zzz", "%"])
def test_show_of_nothing_is_a_sentence(folder: Path, id_: str) -> None:
    result = called(folder, "notices", "show", id_)
    assert result.exit_code == 2
    assert "there is no notice" in str(result.exception)


def test_preview_writes_the_very_files_that_delivery_writes(folder: Path, tmp_path: Path) -> None:
    result = called(folder, "preview", "limit", "--customer", "acme", "--at", DAY_25, "--out", str(tmp_path / "out"))
    written = {Path(line).name: Path(line).read_bytes() for line in result.stdout.splitlines()}
    assert len(written) == 2
    assert written == {name: (folder / "mail" / name).read_bytes() for name in written}
    assert "decided already" in result.stderr


def test_preview_prints_a_notice_whose_day_has_not_come_and_says_so(folder: Path) -> None:
    result = called(folder, "preview", "limit", "--customer", "old-acme", "--at", "2026-10-24T09:00:00Z")
    assert result.exit_code == 0
    assert "92.3% of the 1,000 monthly limit" in result.stdout
    assert "waits for its days and hours" in result.stderr


def test_preview_records_nothing(folder: Path) -> None:
    before = called(folder, "notices", "list", "--format", "json").stdout
    mail = sorted((folder / "mail").iterdir())
    called(folder, "preview", "limit", "--customer", "acme", "--at", "2026-10-26T09:00:00Z")
    assert called(folder, "notices", "list", "--format", "json").stdout == before
    assert sorted((folder / "mail").iterdir()) == mail


@pytest.mark.parametrize(
    ("monitor", "customer", "status", "reason"),
    [
        ("limit", "quiet", 1, "quiet has used 3, and no threshold that it is told of is breached"),
        ("limit", "mute", 1, "has no email address"),
        ("limit", "other", 1, "does not watch customer other"),
        ("total", "acme", 1, "has no route to customers"),
        ("limit", "nobody", 2, "no customer 'nobody'"),
        ("limt", "acme", 2, "no monitor 'limt'"),
    ],
)
def test_where_nothing_would_be_sent_preview_says_why(
    folder: Path, monitor: str, customer: str, status: int, reason: str
) -> None:
    result = called(folder, "preview", monitor, "--customer", customer, "--at", DAY_25)
    assert result.exit_code == status
    assert reason in str(result.exception)


def test_the_files_open_as_mail(folder: Path) -> None:
    for path in (folder / "mail").iterdir():
        message = parsed(path.read_bytes())
        assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
        assert not message.defects
