"""Wrong shapes everywhere: whatever stands at a key, the answer is a located sentence without a library's words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from config import documents, standards, validation
from config.load import load
from config.values import zone_info

SOUND = """\
settings: {database: "sqlite:///a.db", zone: UTC, language: en, currency: USD, simulation: true,
  email: {transport: files, folder: m, sender: a@b.example, reply_to: a@b.example}}
stores:
  s: {type: embedded, folder: e, fields: {time: t, customer: c, id: i}, types: {x.y: integer}, zone: UTC,
    time_format: rfc3339, lateness: 1h, stale_after: 2h, retention: 90d}
  es: {type: elasticsearch, hosts: ["https://a.example.com:9200"], index: [api-*, -api-old*], fields: {time: t,
    customer: c, id: i, ingested: n}, types: {x.y: integer}, lateness: 1h, write_index: api-1, username: u, password: p,
    ca_file: ca.pem, compress: true, timeout: 30s}
tiers:
  basic: {title: B, fee: 1, recommend: pro, prices: {m: {included: 1, overage: [{to: 5, price: 1}, {price: 2}]}}}
  pro: {prices: {m: {included: 1, overage: 0.5}}}
customers: [{id: A, aliases: [a], name: n, tier: basic, emails: [a@b.example], zone: UTC, language: en, billing_day: 2,
  from: 2026-01-01, until: 2026-02-01}]
recipients: {ops: {email: [a@b.example]}}
views:
  v: {title: T, unit: u, store: s, customers: {tier: [basic]}, meter: m, count: {sum: x.y, scale: 2},
    where: {a: {gte: 1}, b: [x], any: [{c: {exists: true}}], not: {d: {cidr: [10.0.0.0/8]}}}}
  w: {store: s, customers: [A], count: messages}
monitors:
  m: {title: T, view: v, per: customer, window: billing month, schedule: {every: 15m, hours: 06:00-22:00,
    weekdays: mon-fri, zone: UTC}, thresholds: {t: {severity: warning, max: 90%}},
    notify: {r: {when: [t], to: [customer], template: near_limit, days: 25-28, hours: 08:00-18:00}}}
  n: {view: v, window: week, schedule: {cron: "0 9 * * mon"}, thresholds: {t: {severity: error, max: 5}}}
exports: {e: {views: [v], layout: charges, settle: 1h, tolerance: 0, approve: auto}}
"""
JARGON = (
    "Input",
    "pydantic",
    "Field required",
    "dictionary",
    "tuple",
    "NoneType",
    "Value error",
    "instance",
    "cannot be read",
)


def paths(value: object, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if above:
        yield above
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*above, key))


def test_the_sound_configuration_is_sound(tmp_path: Path) -> None:
    secret = ", password: p"
    assert secret in SOUND  # which has every key, so that each can be made wrong
    (tmp_path / "t.yaml").write_text(SOUND.replace(secret, ""))
    loaded = load(tmp_path / "t.yaml", {"TALLYWATCH_STORES__ES__PASSWORD": "p"})
    assert loaded.config.tiers["pro"].prices["m"].overage == Decimal("0.5")


@pytest.mark.parametrize("wrong", ["null", "[]", "{}", "[[x]]", "{x: {y: z}}", "''", "-1", "9" * 60, "'\\0'", "[null]"])
def test_a_wrong_shape_at_any_key_is_a_located_sentence(wrong: str) -> None:
    sound = documents.parse(SOUND, "f.yaml")
    replacement = documents.parse(f"x: {wrong}", "f.yaml").value["x"]  # type: ignore[index]  # a mapping, as written
    for path in paths(sound.value):
        fresh = documents.parse(SOUND, "f.yaml")
        parent = fresh.value
        for part in path[:-1]:
            parent = parent[part]  # type: ignore[index]  # the path is one of this document
        parent[path[-1]] = replacement  # type: ignore[index]  # as above
        assert isinstance(fresh.value, dict)
        for problem in validation.check(fresh.value, fresh.node).problems:
            assert problem.place.line, path
            assert not [word for word in JARGON if word in str(problem)], (path, str(problem))


FORMATS = [
    "%Y-%m-%d %H:%M:%S",
    "%d/%b/%Y:%H:%M:%S",
    "%y%m%d %I:%M:%S %p",
    "%Y %j %H:%M",
    "%A %d %B %Y %H:%M:%S.%f",
    "%a %b %d %H:%M %Y",
]


@pytest.mark.parametrize("pattern", FORMATS)
def test_an_accepted_time_format_is_read_alike_by_duckdb_and_python(pattern: str) -> None:
    assert standards.time_format(pattern) == pattern
    connection = duckdb.connect()
    moment = datetime(2026, 1, 31, 0, 59, 58, 123_456)  # noqa: DTZ001 (a wall clock, as strptime gives it)
    while moment.year < 2029:
        text = moment.strftime(pattern)
        found = connection.execute("SELECT strptime(?, ?)", [text, pattern]).fetchone()
        assert found == (datetime.strptime(text, pattern),)  # noqa: DTZ007 (as above)
        moment += timedelta(days=37, hours=5, minutes=13, seconds=7)


@pytest.mark.parametrize(
    "pattern", ["%Y-%m-%d", "%H:%M", "%Y-%m %H:%M", "%Y-%m-%d %I:%M", "%F %T", "%Y-%m-%d %H:%M %", "rfc", "%Y %Y"]
)
def test_a_time_format_that_does_not_tell_an_instant_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"must|cannot|twice"):
        standards.time_format(pattern)


@pytest.mark.parametrize("name", ["localtime", "right/UTC", "", "../UTC", "Europe", "\0"])
def test_what_is_no_zone_everywhere_is_no_zone(name: str) -> None:
    with pytest.raises(ValueError, match=r"zone"):
        zone_info(name)


@pytest.mark.parametrize("value", ["sqlite:///x.db", "sqlite:////var/lib/x.db", "sqlite:///a b.db"])
def test_a_sqlite_file_is_a_database(value: str) -> None:
    assert standards.database_url(value) == value


@pytest.mark.parametrize(
    "value", ["sqlite://x.db", "sqlite:///:memory:", "sqlite:///x?mode=ro", "sqlite:/x", "mysql://u:pw@h/d", "x", ""]
)
def test_anything_else_is_no_database_and_is_not_repeated(value: str) -> None:
    with pytest.raises(ValueError, match=r"sqlite:///tallywatch.db") as caught:
        standards.database_url(value)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "normal"),
    [("a@B.Example", "a@b.example"), ("x@localhost", "x@localhost"), ("å@example.com", "å@example.com")],
)
def test_an_address_is_normalised(value: str, normal: str) -> None:
    assert standards.email_address(value) == normal


@pytest.mark.parametrize(
    "value",
    [
        "a",
        "a@b",
        "a@b@c.example",
        "a b@c.example",
        "a@-c.example",
        "A <a@b.example>",
        ".a@b.example",
        "a@b..example",
        "a,b@c.example",
    ],
)
def test_what_mail_cannot_be_sent_to_is_no_address(value: str) -> None:
    with pytest.raises(ValueError, match=r"address"):
        standards.email_address(value)


def test_a_sender_may_have_a_name() -> None:
    assert standards.sender("Usage, Inc <usage@example.com>") == '"Usage, Inc" <usage@example.com>'
    assert standards.sender("usage@example.com") == "usage@example.com"
    with pytest.raises(ValueError, match="one line"):
        standards.sender("Usage\nBcc: x@example.com <usage@example.com>")
