from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from exporting import CUSTOMERS, EXPORTS, TIERS, World

from config.load import load
from exporters.closing import seal
from exporters.review import held
from exporters.statements import Accounts, Draft, overlaps
from ledger import outbox
from ledger.audit import verify_chain
from ledger.clock import now
from ledger.facts import CustomerFacts
from ledger.periods import period_of_month
from ledger.records import NoticeDue, Period, customer
from ledger.statements import Line, Stated, StatementKey, find, lines_of

BILLING = (
    b"Customer ID,Tier,Total Calls,Included Calls,Overage Calls,Overage Amount\r\n"
    b"A,basic,5,3,2,0.03\r\nB,basic,0,3,0,0.00\r\nC,pro,7,5,2,0.30\r\n"
)
STATISTICS = (
    b"Customer ID,Total Calls,Timestamp\r\n"
    b"A,5,2025-11-01T00:00:00+01:00\r\nB,0,2025-11-01T00:00:00+01:00\r\nC,7,2025-11-01T00:00:00-04:00\r\n"
)


def tell(world: World, customer_id: str, quantity: str, view: str = "basic", month: str = "2025-10") -> None:
    """A notice that stated this quantity."""
    period = period_of_month(month, "Europe/Stockholm")
    facts = CustomerFacts(
        customer=customer_id, name=customer_id, monitor="m", monitor_title="m", view=view, view_title=view,
        unit="calls", threshold="t", severity="error", quantity=quantity, limit="3", limit_percent="100", included="3",
        percent="100.00", exceeded=True, projected=None, projected_exceeds=False,
        period_start=period.start.isoformat(), period_end=period.end.isoformat(), window="billing month",
        counted_to=period.end.isoformat(), at=period.end.isoformat(), zone=period.zone, language="en", currency="USD",
        tier=None, recommended=None,
    )  # fmt: skip
    due = NoticeDue(
        id=f"n-{customer_id}-{quantity}-{view}-{month}", monitor="m", route="r", kind="customer", template="over_limit",
        subject=customer(customer_id), addresses=("a@example.com",), language="en", zone=period.zone,
        decided_at=period.end - timedelta(days=1), keys=(f"{customer_id}{quantity}{view}{month}",),
        facts=facts.to_json(),
    )  # fmt: skip
    database = world.database()
    with database.begin() as connection:
        outbox.insert(connection, [due], sender_domain="localhost")
    database.close()


def test_closing_writes_both_layouts_and_a_manifest_of_them(world: World) -> None:
    result = world.run("close", "2025-10")
    assert result.status == 0, result.error
    files = world.files()
    assert sorted(files) == ["billing.csv", "manifest.json", "statistics.csv"]
    assert files["billing.csv"] == BILLING
    assert files["statistics.csv"] == STATISTICS
    manifest = json.loads(files["manifest.json"])
    assert (manifest["month"], manifest["provisional"]) == ("2025-10", False)
    for entry in manifest["files"]:
        content = files[entry["path"]]
        assert (entry["sha256"], entry["bytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
        assert (entry["rows"], entry["billing_day"], entry["currency"]) == (3, 1, "USD")
        assert entry["event_cutoff"] == "2025-11-01T04:00:00.000+00:00"  # C's, in New York
        assert entry["closed_at"] and entry["ingest_cutoff"]
        figures = entry["integrity"]["basic"]
        assert (figures["total"], figures["selected"], figures["unselected"]) == (15, 5, 7)
        assert (figures["unattributed"], figures["unknown"]) == (1, 2)
        assert sorted(entry["definitions"]) == ["roster customers", "tier basic", "tier pro", "view basic", "view pro"]


def test_the_summary_shows_tiers_totals_integrity_and_paths(world: World) -> None:
    output = world.run("close", "2025-10", "--export", "billing").output
    assert "counted to 2025-11-01T00:00:00+01:00" in output
    rows = {
        line.split()[0]: line.split()[1:] for line in output.partition("Messages: ")[2].splitlines() if line.strip()
    }
    assert (rows["total"], rows["selected"], rows["unselected"]) == (["15", "15"], ["5", "7"], ["7", "5"])
    assert (rows["unattributed"], rows["unknown"], rows["outside"]) == (["1", "1"], ["2", "2"], ["0", "0"])
    assert ["basic", "2", "5", "2", "0.03"] in [line.split() for line in output.splitlines()]
    assert ["total", "3", "12", "4", "0.33"] in [line.split() for line in output.splitlines()]
    assert str(world.month() / "billing.csv") in output


def test_what_was_sealed_is_in_the_ledger_with_its_definitions_and_an_audit_row(world: World) -> None:
    world.run("close", "2025-10")
    database = world.database()
    with database.connect() as connection:
        sealed = find(connection, StatementKey("billing", "2025-10", 1))
        assert sealed is not None
        assert [(item.customer, item.quantity, item.amount) for item in lines_of(connection, sealed.id)] == [
            ("A", 5, Decimal("0.03")), ("B", 0, Decimal("0.00")), ("C", 7, Decimal("0.30")),
        ]  # fmt: skip
        assert verify_chain(connection) is None
    database.close()
    assert sealed.file.path == "exports/2025-10/billing.csv"
    kept = dict(world.rows("SELECT hash, body FROM definition"))
    used = sealed.statement.definitions.values()
    assert [hashlib.sha256(kept[hash_].encode()).hexdigest() for hash_ in used] == list(used)
    assert [row[0] for row in world.rows("SELECT object FROM audit WHERE action = 'close'")] == [
        "statement statistics 2025-10", "statement billing 2025-10",
    ]  # fmt: skip


def test_a_closed_month_never_changes_and_closing_it_again_says_so(world: World) -> None:
    world.run("close", "2025-10")
    before = world.files()
    world.ingest(world.calls("A", 40, "2025-10-20"))
    world.write(tiers=TIERS.replace("0.015", "9"), customers=CUSTOMERS.replace("id: B,", "id: B2,"))
    result = world.run("close", "2025-10")
    assert result.status == 0
    assert "billing 2025-10 was already closed at" in result.output
    assert world.files() == before
    assert world.rows("SELECT count(*) FROM statement") == [(2,)]


def test_missing_and_changed_files_are_restored_from_the_ledger(world: World) -> None:
    world.run("close", "2025-10")
    before = world.files()
    (world.month() / "billing.csv").write_bytes(before["billing.csv"].replace(b"0.30", b"0.00"))
    (world.month() / "statistics.csv").unlink()
    (world.month() / "manifest.json").write_text("{}")
    result = world.run("close", "2025-10")
    assert result.status == 0
    assert f"restored, because it was not what was sealed: {world.month() / 'billing.csv'}" in result.output
    assert f"written: {world.month() / 'statistics.csv'}" in result.output
    assert world.files() == before


def test_a_manual_export_is_shown_first_and_closed_by_approval(world: World) -> None:
    world.write(exports=EXPORTS.replace("layout: charges, approve: auto", "layout: charges"))
    shown = world.run("close", "2025-10", "--export", "billing")
    assert shown.status == 0
    assert "tallywatch close 2025-10 --export billing --approve" in shown.output
    assert world.files() == {}
    assert world.rows("SELECT count(*) FROM statement") == world.rows("SELECT count(*) FROM definition") == [(0,)]
    assert world.run("close", "2025-10", "--export", "billing", "--approve").status == 0
    assert world.files()["billing.csv"] == BILLING
    assert world.rows("SELECT approved FROM statement") == [("by hand",)]


def test_a_month_that_is_not_over_says_from_when_it_can_be_closed(world: World) -> None:
    year = datetime.now(UTC).year + 1
    world.write(exports=EXPORTS.replace("charges,", "charges, settle: 72h,"), store=", lateness: 48h")
    result = world.run("close", f"{year}-10")
    assert result.status == 1
    assert f"statistics {year}-10 can be closed from {year}-11-03T05:00:00+01:00" in result.error  # lateness counts
    assert f"billing {year}-10 can be closed from {year}-11-04T05:00:00+01:00" in result.error
    assert world.rows("SELECT count(*) FROM statement") == [(0,)]
    assert not (world.base / "exports").exists()


@pytest.mark.parametrize("period", ["2025-13", "2025", "october", "2025-1", "0000-01", "2025-10-01", ""])
@pytest.mark.parametrize("command", ["close", "export"])
def test_a_bad_period_is_wrong_usage(world: World, command: str, period: str) -> None:
    result = world.run(command, period)
    assert result.status == 2
    assert result.error


def test_an_unknown_export_is_answered_with_the_nearest_name(world: World) -> None:
    result = world.run("close", "2025-10", "--export", "biling")
    assert (result.status, result.error) == (2, "there is no export 'biling' (did you mean billing?)")


def test_a_store_that_cannot_answer_leaves_nothing_behind(world: World) -> None:
    for part in (world.base / "events").rglob("*.parquet"):
        part.unlink()
    result = world.run("close", "2025-10")
    assert result.status == 3
    assert "missing" in result.error
    assert world.rows("SELECT count(*) FROM statement") == world.rows("SELECT count(*) FROM audit") == [(0,)]
    assert not (world.base / "exports").exists()


def test_customers_of_another_billing_day_have_a_statement_of_their_own(world: World) -> None:
    world.write(customers=CUSTOMERS.replace("{id: B, tier: basic}", "{id: B, tier: basic, billing_day: 15}"))
    world.ingest([*world.calls("B", 2, "2025-10-14"), *world.calls("B", 4, "2025-11-14")])
    assert world.run("close", "2025-10").status == 0
    files = world.files()
    assert files["billing-day15.csv"].splitlines()[1:] == [b"B,basic,4,3,1,0.02"]  # 0.015, half up
    assert [row.split(b",")[0] for row in files["billing.csv"].splitlines()[1:]] == [b"A", b"C"]
    assert files["statistics-day15.csv"].splitlines()[1:] == [b"B,4,2025-11-15T00:00:00+01:00"]
    assert len(json.loads(files["manifest.json"])["files"]) == 4


def test_a_contract_that_does_not_touch_the_month_has_no_line(world: World) -> None:
    world.write(
        customers=CUSTOMERS.replace("{id: B, tier: basic}", "{id: B, tier: basic, until: 2025-10-01}").replace(
            "{id: A, tier: basic,", "{id: A, tier: basic, from: 2025-10-31,"
        )
    )
    world.run("close", "2025-10", "--export", "billing")
    assert world.files()["billing.csv"].splitlines()[1:] == [b"A,basic,0,3,0,0.00", b"C,pro,7,5,2,0.30"]
    assert json.loads(world.files()["manifest.json"])["files"][0]["integrity"]["basic"]["outside"] == 5


def test_a_month_before_every_contract_has_nothing_to_close(world: World) -> None:
    world.write(customers="\ncustomers:\n  - {id: A, tier: basic, from: 2030-01-01}\n")
    result = world.run("close", "2025-10")
    assert (result.status, "nothing to close" in result.error) == (1, True)


def test_lines_of_all_views_stand_in_byte_order_of_the_id(world: World) -> None:
    tiers = {"é": "basic", "a": "pro", "Z": "basic", "\uffee": "pro", "🦉": "basic", "10": "pro", "9": "basic"}
    world.write(customers="\ncustomers:\n" + "".join(f'  - {{id: "{id_}", tier: {tiers[id_]}}}\n' for id_ in tiers))
    world.run("close", "2025-10", "--export", "statistics")
    ids = [row.split(b",")[0] for row in world.files()["statistics.csv"].splitlines()[1:]]
    assert ids == sorted(id_.encode() for id_ in tiers)


def test_no_settle_is_shorter_than_the_stores_lateness(world: World) -> None:
    world.write(store=", lateness: 48h", exports=EXPORTS.replace("charges,", "charges, settle: 72h,"))
    loaded = load(world.base / "tallywatch.yaml")
    hasty = loaded.config.exports["statistics"].model_copy(update={"settle": timedelta(hours=1)})
    config = loaded.config.model_copy(update={"exports": {**loaded.config.exports, "statistics": hasty}})
    accounts = Accounts(config, loaded.roster, lambda _: pytest.fail("nothing is counted yet"), now())
    last_end = datetime(2025, 11, 1, 4, tzinfo=UTC)
    for export, hours in (("statistics", 48), ("billing", 72)):
        assert accounts.closable_from(StatementKey(export, "2025-10", 1)) == last_end + timedelta(hours=hours)


def test_amounts_have_the_currencys_decimals(world: World) -> None:
    world.write(currency="KWD", tiers=TIERS.replace("0.015", "0.00025"))
    world.run("close", "2025-10", "--export", "billing")
    rows = world.files()["billing.csv"].splitlines()
    assert [row.rpartition(b",")[2] for row in rows[1:]] == [b"0.001", b"0.000", b"0.300"]


def test_without_a_roster_everybody_found_has_a_row(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write(
        tiers="",
        customers="",
        views="\nviews:\n  all: {store: api, where: {s: x}}\n  top: {store: api, count: {max: n}, where: {s: x}}\n",
        exports="\nexports:\n  usage: {views: [all], layout: statistics, approve: auto}\n"
        "  largest: {views: [top], layout: statistics, approve: auto}\n",
    )
    strange = 'é,"x"\n🦉; DROP TABLE line --'
    world.ingest([*world.calls("b", 2), *world.calls("B", 1), *world.calls(strange, 1)])
    world.ingest([{"c": "b", "t": "2025-10-07T00:00:00Z", "n": 2**53 + 1}])
    assert world.run("close", "2025-10").status == 0
    end = "2025-11-01T00:00:00+01:00"
    quoted = '"é,""x""\n🦉; DROP TABLE line --"'
    head = "Customer ID,Total Calls,Timestamp\r\n"
    files = {name: content.decode() for name, content in world.files().items()}
    assert files["usage.csv"] == head + f"B,1,{end}\r\nb,3,{end}\r\n{quoted},1,{end}\r\n"
    assert files["largest.csv"] == head + f"B,,{end}\r\nb,{2**53 + 1},{end}\r\n{quoted},,{end}\r\n"


def test_a_close_is_held_when_a_notice_stated_more_than_is_counted(world: World) -> None:
    tell(world, "A", "6")
    tell(world, "C", "9000", view="other")
    tell(world, "B", "9000", month="2025-09")
    result = world.run("close", "2025-10", "--export", "billing", "--approve")
    assert result.status == 1
    assert "billing 2025-10 is held" in result.error
    assert "A (told 6, counted 5)" in result.error
    assert "B (" not in result.error and "C (" not in result.error
    assert world.rows("SELECT count(*) FROM statement") == [(0,)]
    world.write(exports=EXPORTS.replace("layout: charges,", "layout: charges, tolerance: 1,"))
    assert world.run("close", "2025-10", "--export", "billing").status == 0


def test_a_store_that_fell_silent_before_the_end_needs_a_person(world: World) -> None:
    world.write(store=", stale_after: 2h")
    result = world.run("close", "2025-10", "--export", "billing")
    assert result.status == 0
    assert "was silent at the period's end" in result.output
    assert world.files() == {}
    assert world.run("close", "2025-10", "--export", "billing", "--approve").status == 0
    assert world.files()["billing.csv"] == BILLING


def test_of_two_processes_that_close_at_once_one_wins(world: World) -> None:
    database = world.database()
    draft = world.draft("billing")
    won: list[bool] = []
    barrier = threading.Barrier(4)

    def close() -> None:
        barrier.wait()
        won.append(seal(database, draft, at=now(), approved="auto", actor="test"))

    threads = [threading.Thread(target=close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.close()
    assert sorted(won) == [False, False, False, True]
    assert world.rows("SELECT count(*) FROM statement") == world.rows("SELECT count(*) FROM audit") == [(1,)]
    assert world.rows("SELECT count(*) FROM line") == [(3,)]


B_ON_THE_15TH = CUSTOMERS.replace("{id: B, tier: basic}", "{id: B, tier: basic, billing_day: 15}")


def test_two_exports_that_would_share_a_file_are_not_both_closed(world: World) -> None:
    world.write(customers=B_ON_THE_15TH, exports=EXPORTS.replace("statistics:", "billing-day15:"))
    world.run("close", "2025-10", "--export", "billing")
    result = world.run("close", "2025-10", "--export", "billing-day15")
    assert result.status == 1
    assert "rename one of the exports" in result.error


def test_an_export_that_cannot_be_closed_keeps_no_other_from_its_files(world: World) -> None:
    world.write(customers=B_ON_THE_15TH, exports=EXPORTS.replace("statistics:", "billing-day15:"))
    for _ in range(2):
        result = world.run("close", "2025-10")
        assert (result.status, "rename one of the exports" in result.error) == (1, True)
        assert sorted(world.files()) == ["billing-day15-day15.csv", "billing-day15.csv", "billing.csv", "manifest.json"]


def test_the_integrity_figures_of_a_statement_are_those_of_its_own_customers(world: World) -> None:
    world.write(customers=B_ON_THE_15TH)
    world.ingest([*world.calls("B", 2, "2025-10-14"), *world.calls("B", 4, "2025-11-14")])
    world.ingest(world.calls("A", 9, "2025-10-20"))
    world.run("close", "2025-10", "--export", "billing")
    calls = {name: sum(int(row.split(b",")[2]) for row in content.splitlines()[1:])
             for name, content in world.files().items() if name.endswith(".csv")}  # fmt: skip
    assert calls == {"billing.csv": 21, "billing-day15.csv": 4}
    for entry in json.loads(world.files()["manifest.json"])["files"]:
        figures = entry["integrity"].values()
        assert sum(one["selected"] for one in figures) == calls[entry["path"]]
        for one in figures:
            heaps = ("selected", "unselected", "unattributed", "unknown", "outside")
            assert one["total"] == sum(one[name] for name in heaps)


def test_a_part_of_a_period_that_another_statement_has_already_needs_a_person(world: World) -> None:
    world.run("close", "2025-10")
    world.write(customers=B_ON_THE_15TH)
    shown = world.run("close", "2025-10", "--export", "billing")
    assert "B (until 2025-11-01T00:00:00+01:00 in billing 2025-10)" in shown.output
    assert "a part of the period would be stated twice" in shown.output
    assert sorted(world.files()) == ["billing.csv", "manifest.json", "statistics.csv"]
    assert world.run("close", "2025-10", "--export", "billing", "--approve").status == 0
    assert "billing-day15.csv" in world.files()


def test_a_stretch_of_time_between_two_statements_needs_a_person(world: World) -> None:
    world.run("close", "2025-10")
    world.write(customers=B_ON_THE_15TH.replace("zone: America/New_York", "zone: Europe/Paris"))
    shown = world.run("close", "2025-11", "--export", "billing")
    assert "B (from 2025-11-01T00:00:00+01:00)" in shown.output
    assert "in no statement" in shown.output
    assert "C (until 2025-11-01T05:00:00+01:00 in billing 2025-10)" in shown.output  # when New York's October ended


def test_a_stretch_of_time_without_a_contract_is_in_no_statement(world: World) -> None:
    world.run("close", "2025-10")
    world.write(customers=B_ON_THE_15TH.replace("billing_day: 15", "billing_day: 15, from: 2025-11-15"))
    assert "billing 2025-11, billing day 15 is closed" in world.run("close", "2025-11").output


def test_months_that_follow_one_another_need_nobody(world: World) -> None:
    world.write(customers=B_ON_THE_15TH.replace("{id: A,", "{id: A, until: 2025-11-20,"))
    for month in ("2025-10", "2025-12", "2025-11"):
        result = world.run("close", month)
        assert result.status == 0, result.error
        assert f"billing {month} is closed" in result.output, result.output


def test_a_customer_who_came_to_the_roster_after_the_close_is_told_of(world: World) -> None:
    world.run("close", "2025-10")
    assert "roster" not in world.run("close", "2025-10").output
    world.write(customers=CUSTOMERS + "  - {id: D, tier: basic}\n  - {id: E, tier: basic, from: 2025-11-01}\n")
    before = world.files()
    result = world.run("close", "2025-10")
    assert "customers of the roster have no line in it: D" in result.output
    assert (result.status, world.files()) == (0, before)


@pytest.mark.parametrize("aggregation", ["latest", "min", "average"])
def test_a_figure_that_may_fall_holds_no_close(world: World, aggregation: str) -> None:
    views = "\nviews:\n  size: {store: api, count: {AGGREGATION: n}}\n".replace("AGGREGATION", aggregation)
    exports = "\nexports:\n  sizes: {views: [size], layout: statistics, approve: auto}\n"
    world.write(views=views, exports=exports)
    world.ingest([{"c": "A", "t": "2025-10-07T00:00:00Z", "n": 90}, {"c": "A", "t": "2025-10-08T00:00:00Z", "n": 7}])
    tell(world, "A", "90", view="size")
    result = world.run("close", "2025-10")
    assert result.status == 0, result.error


def test_the_largest_value_cannot_fall(world: World) -> None:
    views = "\nviews:\n  size: {store: api, count: {max: n}}\n"
    world.write(views=views, exports="\nexports:\n  sizes: {views: [size], layout: statistics, approve: auto}\n")
    world.ingest([{"c": "A", "t": "2025-10-08T00:00:00Z", "n": 7}])
    tell(world, "A", "90", view="size")
    result = world.run("close", "2025-10")
    assert (result.status, "A (told 90, counted 7)" in result.error) == (1, True)


@pytest.mark.parametrize("day", [28, 29, 30, 31])
def test_the_last_days_of_a_month_bill_each_message_once(world: World, day: int) -> None:
    world.write(
        customers=f"\ncustomers:\n  - {{id: A, tier: basic, billing_day: {day}}}\n",
        views="\nviews:\n  basic: {store: api, meter: api_calls}\n",
        exports=EXPORTS.replace("basic, pro", "basic"),
    )
    days = [date(2025, 1, 1) + timedelta(days=number) for number in range(150)]
    world.ingest([one for each in days for one in world.calls("A", 1, each.isoformat())])
    found = []
    for month in ("2025-01", "2025-02", "2025-03", "2025-04"):
        assert world.run("close", month, "--export", "billing").status == 0
        [row] = world.files(world.month(month))[f"billing-day{day}.csv"].splitlines()[1:]
        found.append(int(row.split(b",")[2]))
    starts = [
        date(2025, 1, day),
        date(2025, 2, 28),
        date(2025, 3, day),
        date(2025, 4, min(day, 30)),
        date(2025, 5, day),
    ]
    assert found == [(after - before).days for before, after in pairwise(starts)]


def test_a_file_in_the_way_is_a_sentence_and_the_next_run_writes_the_files(world: World) -> None:
    (world.base / "exports").write_text("in the way")
    result = world.run("close", "2025-10")
    assert result.status == 3
    assert "a file stands where a folder is needed" in result.error
    assert world.rows("SELECT count(*) FROM statement") == [(2,)]
    (world.base / "exports").unlink()
    assert world.run("close", "2025-10").status == 0
    assert world.files()["billing.csv"] == BILLING


def test_a_ledger_that_was_tampered_with_gives_no_file(world: World) -> None:
    world.run("close", "2025-10")
    (world.month() / "billing.csv").unlink()
    connection = sqlite3.connect(world.base / "t.db")
    for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute("UPDATE line SET amount = '0.00' WHERE customer = 'C'")
    connection.commit()
    connection.close()
    result = world.run("close", "2025-10")
    assert result.status == 1
    assert "other bytes than the file was sealed with" in result.error
    assert "billing.csv" not in world.files()


def stated(quantity: int, customer_id: str = "A", period: Period | None = None) -> Stated:
    of = period or period_of_month("2025-10", "UTC")
    return Stated(customer_id, "calls", of.start, of.end, quantity, of.end)


@pytest.mark.parametrize(
    ("notices", "tolerance", "is_held"),
    [
        ([], 0, False), ([stated(10)], 0, False), ([stated(11)], 0, True), ([stated(11)], 1, False),
        ([stated(12), stated(9)], 1, True), ([stated(99, "B")], 0, False),
        ([stated(99, "A", period_of_month("2025-09", "UTC"))], 0, False),
    ],
)  # fmt: skip
def test_only_more_than_the_tolerance_holds_a_close(notices: Sequence[Stated], tolerance: int, is_held: bool) -> None:
    line = Line("A", "calls", None, None, period_of_month("2025-10", "UTC"), 10)
    at = datetime(2025, 11, 1, tzinfo=UTC)
    draft = Draft(StatementKey("usage", "2025-10", 1), "statistics", "USD", 2, at, at, (), (), (line,), ())
    assert (held(draft, notices, tolerance) is not None) is is_held


def test_a_contract_overlaps_a_period_by_its_own_days(world: World) -> None:
    roster = load(world.base / "tallywatch.yaml").roster
    one = roster.customers["C"]
    period = period_of_month("2025-10", one.zone)
    first, last = date(2025, 10, 1), date(2025, 10, 31)
    after = last + timedelta(days=1)
    assert overlaps(one, period)
    assert overlaps(replace(one, valid_from=last), period)
    assert not overlaps(replace(one, valid_from=after), period)
    assert overlaps(replace(one, valid_until=first + timedelta(days=1)), period)
    assert not overlaps(replace(one, valid_until=first), period)
