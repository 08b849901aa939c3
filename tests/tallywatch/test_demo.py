"""The demo: its figures, its month, its folder. The four customers of the reference case have 830,000 calls by
themselves, so a small demo has few others."""

from __future__ import annotations

import csv
import email
import email.policy
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from click.testing import CliRunner

from config.errors import UsageError
from config.load import load
from tallywatch.cli import cli
from tallywatch.demo import folder, logs, month
from tallywatch.demo.customers import NEAR, ZONE, customers, roster_csv
from tallywatch.demo.ending import show
from tallywatch.demo.screen import Screen
from tallywatch.demo.walk import MONTH, STEPS, walk

SMALL = 60_000
FEW = [one for one in customers() if one.id not in ("B", "C")]
TEXTS = {folder.CONFIGURATION: "settings: {}\n", folder.ROSTER: "id\nA\n"}


@pytest.fixture(scope="module")
def made() -> month.Month:
    return month.imagine(customers())


def rows_of(path: Path) -> dict[str, list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return {row[0]: row[1:] for row in csv.reader(file)}


def text_of(path: Path) -> str:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    part = message.get_body(("plain",))
    assert part is not None
    return " ".join(f"{message['Subject']} {part.get_content()}".split()).replace("\u00a0", " ")


def evaluated_again(base: Path) -> dict[str, dict[str, object]]:
    """What `evaluate` says of customers, in the folder that the demo left behind."""
    command = ["--config", str(base / "tallywatch.yaml"), "evaluate", "--at", NEAR.isoformat(), "--format", "json"]
    result = CliRunner().invoke(cli, command, standalone_mode=False)
    assert result.exception is None
    return {line["customer"]: line for line in map(json.loads, result.stdout.splitlines())}


def test_the_reference_case_comes_out_and_the_configuration_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    walked = walk(tmp_path / "demo", Screen(STEPS), SMALL)
    billing = rows_of(tmp_path / "demo/exports" / MONTH / "billing.csv")
    assert billing["A"] == ["basic", "127450", "100000", "27450", "274.50"]
    assert billing["B"] == ["basic", "87230", "100000", "0", "0.00"]
    assert billing["C"] == ["pro", "512890", "500000", "12890", "128.90"]
    assert int(billing["D"][1]) > 100_000
    statistics = rows_of(tmp_path / "demo/exports" / MONTH / "statistics.csv")
    assert statistics["A"] == ["127450", "2026-11-01T00:00:00+01:00"]
    assert len(billing) == len(statistics) == 451
    mail = text_of(walked.near_mail)
    for said in ("92,340 API calls", "92.3%", "100,000", "projected to exceed", "Pro", "$2,000/month", "500,000"):
        assert said in mail
    assert "127,450" not in text_of(walked.over_mail)  # the mail was true when it left, and the month went on
    for figures in walked.billing.integrity:
        parts = (figures.selected, figures.unselected, figures.unattributed, figures.unknown, figures.outside)
        assert figures.total == sum(parts)
        assert all(parts)
        assert figures.duplicates
    show(walked)
    shown = capsys.readouterr().out
    assert "274.50" in shown
    assert f"5/{STEPS}" in shown
    assert str(walked.near_mail) in shown
    assert f"tallywatch count basic_api_calls --period {MONTH}" in shown
    verdicts = evaluated_again(tmp_path / "demo")
    assert verdicts["D"]["quantity"] == 92_340
    assert verdicts["D"]["percent"] == "92.34"
    assert verdicts["B"]["state"] == "ok"


def test_a_second_demo_in_the_same_folder_gives_the_same_files(tmp_path: Path) -> None:
    def left() -> dict[str, bytes]:
        walk(tmp_path, Screen(STEPS), SMALL, FEW)
        kept = [path for pattern in ("*.csv", "*.eml", "*.jsonl*", "*.json") for path in tmp_path.rglob(pattern)]
        return {str(path.relative_to(tmp_path)): path.read_bytes() for path in kept}

    first = left()
    (tmp_path / "notes.txt").write_text("mine")
    assert left() == first
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_pinned_counts_are_exact_and_everybody_else_has_a_size_of_its_own(made: month.Month) -> None:
    everyone, counts = customers(), made.counts[month.BILLABLE]
    totals = {}
    for row, one in enumerate(everyone):
        local = [(month.START + timedelta(hours=hour)).astimezone(ZoneInfo(one.zone)) for hour in range(month.HOURS)]
        totals[one.id] = int(counts[row][[at.month == 10 for at in local]].sum())
        if one.id == "D":
            before = [at < NEAR and at.month == 10 for at in local]
            assert counts[row][before].sum() == 92_340
            day_before = [at < NEAR - timedelta(days=1) and at.month == 10 for at in local]
            assert counts[row][day_before].sum() <= 90_000
    assert [totals[id_] for id_ in "ABC"] == [127_450, 87_230, 512_890]
    others = sorted(total for id_, total in totals.items() if id_ not in "ABCD")
    assert len(others) == 446
    assert others[-1] > 50 * others[len(others) // 2]
    assert sum(map(int, (counts.sum() for counts in made.counts))) == pytest.approx(month.MESSAGES, rel=0.02)


def test_weekdays_are_busier_than_weekends_days_than_nights_and_the_month_grows(made: month.Month) -> None:
    days, hours = Counter[int](), Counter[int]()
    for hour, number in enumerate(made.counts[month.BILLABLE].sum(axis=0)):
        at = (month.START + timedelta(hours=hour)).astimezone(ZoneInfo(ZONE))
        if at.month == 10:
            days[at.day] += int(number)
            hours[at.hour] += int(number)
    weekend = [days[day] for day in days if datetime(2026, 10, day, tzinfo=UTC).weekday() >= 5]
    weekdays = [days[day] for day in days if datetime(2026, 10, day, tzinfo=UTC).weekday() < 5]
    assert len(days) == 31
    assert 2.2 < np.mean(weekdays) / np.mean(weekend) < 2.8
    assert sum(hours[hour] for hour in range(6)) < 0.15 * sum(hours[hour] for hour in range(9, 15))
    assert sum(days[day] for day in range(19, 24)) > 1.03 * sum(days[day] for day in range(5, 10))


def test_some_messages_are_late_and_some_come_twice(made: month.Month) -> None:
    days = list(made.days())[:4]
    assert [str(day.day) for day in days] == ["2026-09-30", "2026-10-01", "2026-10-02", "2026-10-03"]
    last = days[-1].messages
    begin = int(datetime(2026, 10, 3, tzinfo=UTC).timestamp() * 1000)
    assert 0 < (last.time < begin).mean() < 0.02
    assert (last.arrival - last.time).max() > 25 * month.HOUR_MS  # later than a repetition can be
    assert (np.diff(last.arrival) >= 0).all()
    serials = np.concatenate([day.messages.serial for day in days])
    assert 0 < 1 - len(np.unique(serials)) / len(serials) < 0.01


def test_a_log_line_is_a_nested_message(tmp_path: Path, made: month.Month) -> None:
    first = next(made.days())
    path = tmp_path / "log.jsonl"
    with logs.writer(made.callers) as writer:
        writer.write(path, first.messages)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == len(first.messages)
    assert set(lines[0]) >= {"@timestamp", "event", "service", "http", "url"}
    ids = {one.id for one in customers()} | set(month.STRANGERS) | {one.alias for one in customers()}
    assert {line["customer"]["id"] for line in lines if "customer" in line} <= ids
    assert any("customer" not in line for line in lines)
    statuses = Counter(line["http"]["response"]["status_code"] // 100 for line in lines)
    assert statuses[2] > 20 * statuses[4] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_the_configuration_is_sound(tmp_path: Path) -> None:
    text = (Path(folder.__file__).parent / "configuration.yaml").read_text(encoding="utf-8")
    folder.prepare(tmp_path, {folder.CONFIGURATION: text, folder.ROSTER: roster_csv(customers())})
    loaded = load(tmp_path / folder.CONFIGURATION, env={})
    assert len(loaded.roster.customers) == 450
    assert len({one.name for one in loaded.roster.customers.values()}) == 450
    assert loaded.config.settings.simulation


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "accounts.txt").write_text("mine")
    result = CliRunner().invoke(cli, ["demo", str(tmp_path)], standalone_mode=False)
    assert isinstance(result.exception, UsageError)
    assert "not an earlier demo's" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["accounts.txt"]


def test_a_file_instead_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        folder.prepare(tmp_path / "demo", TEXTS)


def test_an_edited_configuration_is_not_replaced(tmp_path: Path) -> None:
    assert not folder.prepare(tmp_path, TEXTS)
    assert folder.prepare(tmp_path, TEXTS)
    (tmp_path / folder.CONFIGURATION).write_text("settings: {zone: UTC}\n")
    with pytest.raises(UsageError, match="was changed since the demo wrote it"):
        folder.prepare(tmp_path, TEXTS)
    assert (tmp_path / folder.CONFIGURATION).read_text() == "settings: {zone: UTC}\n"


def test_only_what_a_demo_made_is_removed(tmp_path: Path) -> None:
    folder.prepare(tmp_path, TEXTS)
    names = ("logs/2026-10-01.jsonl.zst", "events/parts/a.parquet", "mail/a.eml", "tallywatch.db")
    own = [tmp_path / name for name in names]
    others = [tmp_path / name for name in ("logs/mine.jsonl", "exports/2026-09/billing.csv", "views.yaml")]
    for path in (*own, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    folder.prepare(tmp_path, TEXTS)
    assert not any(path.exists() for path in own)
    assert all(path.exists() for path in others)
