"""What `check` notes of a configuration that it accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.load import load
from config.notes import notes

TEXT = """\
stores:
  s: {type: elasticsearch, hosts: HOST, index: api, fields: {time: t, customer: c, ingested: i}, LENGTHS}
views:
  v: {store: s}
monitors:
  m: {view: v, window: WINDOW, schedule: {every: 15m}, thresholds: {high: {severity: error, max: 5}}}
EXPORT
"""


def noted(folder: Path, **changes: str) -> list[str]:
    usual = {"HOST": "https://a.example.com:9200", "LENGTHS": "lateness: 1h", "WINDOW": "month", "EXPORT": ""}
    env = {f"TALLYWATCH_{name}": value for name, value in changes.items() if name not in usual and name != "without"}
    text = TEXT
    for name, value in {**usual, **changes}.items():
        text = text.replace(name, value)
    path = folder / "tallywatch.yaml"
    path.write_text(text.replace(changes.get("without", "\0"), ""), encoding="utf-8")
    return list(notes(load(path, env)))


def test_nothing_is_noted_where_nothing_surprises(tmp_path: Path) -> None:
    assert noted(tmp_path) == []
    assert noted(tmp_path, without=", ingested: i") == []
    assert noted(tmp_path, LENGTHS="lateness: 0s") == []


def test_a_store_that_cannot_notice_late_messages_is_noted(tmp_path: Path) -> None:
    assert noted(tmp_path, LENGTHS="lateness: 0s", without=", ingested: i") == [
        "store s has neither fields.ingested nor a lateness: what arrives late would never be noticed, and missing in "
        "what was counted before"
    ]


@pytest.mark.parametrize("window", ["month", "billing month"])
def test_messages_that_are_gone_before_their_month_is_counted_are_noted(tmp_path: Path, window: str) -> None:
    lengths = "lateness: 1h, retention: 31d"
    told = "monitor m counts whole months: a recount at the end of one would lack its beginning"
    assert noted(tmp_path, LENGTHS=lengths, WINDOW=window) == [f"store s keeps messages for 31d, and {told}"]
    assert noted(tmp_path, LENGTHS="lateness: 1h, retention: 32d", WINDOW=window) == []


def test_an_export_counts_months_too(tmp_path: Path) -> None:
    export = "exports: {e: {views: v, layout: statistics}}"
    short = {"LENGTHS": "lateness: 1h, retention: 48h", "EXPORT": export}
    ends = "whole months: a recount at the end of one would lack its beginning"
    assert noted(tmp_path, WINDOW="day", **short) == [f"store s keeps messages for 2d, and export e counts {ends}"]
    assert noted(tmp_path, **short) == [f"store s keeps messages for 2d, and monitor m, export e count {ends}"]
    assert noted(tmp_path, WINDOW="day", LENGTHS="lateness: 1h, retention: 48h") == []


@pytest.mark.parametrize(
    ("login", "word"),
    [
        ({"STORES__S__API_KEY": "abc"}, "API key"),
        ({"STORES__S__USERNAME": "reader", "STORES__S__PASSWORD": "hunter2"}, "password"),
    ],
)
def test_a_secret_that_is_sent_in_the_clear_is_noted(tmp_path: Path, login: dict[str, str], word: str) -> None:
    assert noted(tmp_path, HOST="http://a.example.com:9200", **login) == [
        f"store s is asked over http://, so its {word} can be read on the way"
    ]
    assert noted(tmp_path, **login) == []
    assert noted(tmp_path, HOST="http://localhost:9200", **login) == []
    assert noted(tmp_path, HOST="http://a.example.com:9200") == []
