"""Decided once, delivered at least once: the outbox, standings and the audit."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text

from ledger import audit, guards, outbox, standings, tables
from ledger.database import LedgerError, open_database
from ledger.outbox import KeyTakenError
from ledger.records import TOTAL, Evaluation, NoticeDue, Receipt, Standing, Transition, customer

NOW = datetime(2026, 10, 25, 9, tzinfo=UTC)
START = datetime(2026, 10, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STRANGE = 'C-7, "quoted"\n\N{FIRE} \'; DROP TABLE notice; --'


@pytest.fixture
def database(ledger_url):
    opened = open_database(ledger_url, simulation=False, now=NOW)
    yield opened
    opened.close()


def notice(id_: str = "n1", **changes: object) -> NoticeDue:
    fields = {
        "id": id_,
        "monitor": "monthly",
        "route": "warn",
        "kind": "customer",
        "template": "near_limit",
        "subject": customer(STRANGE),
        "addresses": ("a@example.com", "b@example.com"),
        "language": "sv-SE",
        "zone": "Europe/Stockholm",
        "decided_at": NOW,
        "keys": (f"key-{id_}",),
        "superseded_keys": (f"less-{id_}",),
        "facts": {"quantity": "92340", "tier": {"fee": "500"}, "rows": []},
    }
    return NoticeDue(**{**fields, **changes})


def put(database, *notices):
    with database.begin() as connection:
        outbox.insert(connection, notices, sender_domain="example.com")


def claim(database, at=NOW, **options):
    with database.begin() as connection:
        return outbox.claim(connection, at=at, **{"limit": 100, **options})


def finish(database, delivery_id, outcome, at=NOW, detail=""):
    with database.begin() as connection:
        return outbox.finish(connection, Receipt(delivery_id, outcome, detail), at)


def test_a_notice_comes_back_as_it_was_decided_with_a_delivery_for_each_address(database):
    put(database, notice())
    with database.connect() as connection:
        shown = outbox.show(connection, "n1")
    assert shown.notice.subject == customer(STRANGE)
    assert shown.notice.facts == {"quantity": "92340", "tier": {"fee": "500"}, "rows": []}
    assert (shown.notice.decided_at, shown.notice.zone, shown.notice.language) == (NOW, "Europe/Stockholm", "sv-SE")
    assert (shown.keys, shown.superseded_keys) == (("key-n1",), ("less-n1",))
    assert [(item.address, item.message_id, item.status) for item in shown.deliveries] == [
        ("a@example.com", "<n1.1@example.com>", "queued"),
        ("b@example.com", "<n1.2@example.com>", "queued"),
    ]


def test_a_notice_without_a_subject_stays_without(database):
    put(database, notice(subject=None, kind="ops"), notice("n2", subject=TOTAL))
    with database.connect() as connection:
        assert outbox.show(connection, "n1").notice.subject is None
        assert outbox.show(connection, "n2").notice.subject == TOTAL


def test_a_key_is_used_once_whoever_asks_and_nothing_is_half_written(database):
    put(database, notice())
    for second in (notice("n2", keys=("key-n1",)), notice("n2", superseded_keys=("key-n1",)), notice("n1")):
        with pytest.raises(KeyTakenError), database.begin() as connection:
            standings.record_evaluation(connection, Evaluation("monthly", NOW, "done"))
            outbox.insert(connection, [notice("n3"), second], sender_domain="example.com")
    with database.connect() as connection:
        assert connection.execute(select(func.count()).select_from(tables.notice)).scalar() == 1
        assert connection.execute(select(func.count()).select_from(tables.evaluation)).scalar() == 0
        assert set(outbox.used_keys(connection, "monthly", START)) == {"key-n1", "less-n1"}


def test_used_keys_are_those_of_the_monitor_decided_since(database):
    put(database, notice(), notice("n2", monitor="other"), notice("n3", decided_at=START - MINUTE))
    with database.connect() as connection:
        assert set(outbox.used_keys(connection, "monthly", START)) == {"key-n1", "less-n1"}
        assert not outbox.used_keys(connection, "monthly", NOW + MINUTE)


def test_a_delivery_is_claimed_once_until_it_is_given_back(database):
    put(database, notice())
    first = claim(database, limit=1)
    second = claim(database)
    assert [item.delivery.address for item in (*first, *second)] == ["a@example.com", "b@example.com"]
    assert first[0].delivery.status == "claimed"
    assert first[0].delivery.attempts == 1
    assert claim(database) == ()


def test_a_failure_goes_back_to_the_queue_with_its_reason_and_keeps_its_message_id(database):
    put(database, notice(addresses=("a@example.com",)))
    first = claim(database)[0].delivery
    assert finish(database, first.id, "retry", detail="the folder is read-only")
    with database.connect() as connection:
        waiting = outbox.show(connection, "n1").deliveries[0]
    assert (waiting.status, waiting.detail, waiting.attempts) == ("queued", "the folder is read-only", 1)
    assert claim(database, after=first.id) == ()  # not twice in one run
    again = claim(database)[0].delivery
    assert (again.message_id, again.attempts) == (first.message_id, 2)
    assert finish(database, again.id, "delivered")
    with database.connect() as connection:
        done = outbox.show(connection, "n1").deliveries[0]
    assert (done.status, done.finished_at, done.detail) == ("delivered", NOW, "")
    assert claim(database) == ()


def test_a_claim_of_a_process_that_died_is_taken_over_after_a_while(database):
    put(database, notice(addresses=("a@example.com",)))
    first = claim(database)[0].delivery
    assert claim(database, at=NOW + outbox.RECLAIM_AFTER - MINUTE) == ()
    again = claim(database, at=NOW + outbox.RECLAIM_AFTER)[0].delivery
    assert (again.id, again.message_id, again.attempts) == (first.id, first.message_id, 2)


def test_a_receipt_for_what_is_not_claimed_changes_nothing(database):
    put(database, notice(addresses=("a@example.com",)))
    assert not finish(database, 1, "delivered")
    claim(database)
    assert finish(database, 1, "delivered")
    assert not finish(database, 1, "retry", detail="late")
    with database.connect() as connection:
        assert outbox.show(connection, "n1").deliveries[0].status == "delivered"


def test_claimers_that_work_at_once_never_share_a_delivery(database):
    put(database, *(notice(f"n{number}", addresses=("a@example.com",)) for number in range(60)))
    taken: list[int] = []

    def work():
        while items := claim(database, limit=7):
            taken.extend(item.delivery.id for item in items)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 61))


def test_deliveries_are_listed_newest_first_and_chosen_by_monitor_subject_and_status(database):
    put(database, notice(addresses=("a@example.com",)))
    put(database, notice("n2", decided_at=NOW + MINUTE, monitor="other", subject=TOTAL))
    claim(database, limit=1)

    def listed(**chosen):
        with database.connect() as connection:
            return [item.notice.id for item in outbox.list_deliveries(connection, **chosen)]

    assert listed() == ["n2", "n2", "n1"]
    assert listed(limit=1) == ["n2"]
    assert listed(monitor="monthly") == ["n1"]
    assert listed(subject=customer(STRANGE)) == ["n1"]
    assert listed(status="queued") == ["n2", "n2"]
    assert listed(status="claimed") == ["n1"]


def test_a_notice_is_found_by_the_beginning_of_its_id(database):
    put(database, notice("abc1"), notice("abd2"), notice("a%d3"))
    with database.connect() as connection:
        assert outbox.find_notices(connection, "ab") == ("abc1", "abd2")
        assert outbox.find_notices(connection, "a%") == ("a%d3",)
        assert outbox.find_notices(connection, "zz") == ()
        assert outbox.show(connection, "zz") is None


def standing(**changes: object) -> Standing:
    fields = {
        "monitor": "monthly",
        "subject": customer(STRANGE),
        "period_start": START,
        "threshold": "near",
        "breached": True,
        "since": NOW,
        "episode": 1,
        "in_range": 0,
    }
    return Standing(**{**fields, **changes})


def test_standings_are_replaced_by_key_and_closed(database):
    other = standing(subject=TOTAL)
    with database.begin() as connection:
        standings.replace(connection, [standing(), other, standing(monitor="another")])
        standings.replace(connection, [replace(standing(), breached=False, episode=2, in_range=1)])
    with database.connect() as connection:
        found = standings.load(connection, "monthly")
    assert found == {
        (customer(STRANGE), START, "near"): replace(standing(), breached=False, episode=2, in_range=1),
        (TOTAL, START, "near"): other,
    }
    with database.begin() as connection:
        standings.close(connection, [other])
        assert list(standings.load(connection, "monthly")) == [(customer(STRANGE), START, "near")]
        assert len(standings.load(connection, "another")) == 1


def test_transitions_and_evaluations_are_a_history(database):
    first = Transition("monthly", TOTAL, START, "near", True, NOW, 1)
    second = replace(first, subject=customer("A"), at=NOW + MINUTE)
    with database.begin() as connection:
        standings.append(connection, [first, second])
        for minute in (2, 1):
            done = Evaluation("monthly", NOW + minute * MINUTE, "done", {"ok": minute})
            standings.record_evaluation(connection, done)
    with database.connect() as connection:
        assert standings.history(connection, "monthly") == (first, second)
        assert standings.history(connection, "monthly", subject=TOTAL) == (first,)
        assert standings.history(connection, "monthly", since=NOW + MINUTE) == (second,)
        assert [item.figures for item in standings.evaluations(connection, "monthly")] == [{"ok": 2}, {"ok": 1}]
        assert standings.last_evaluated(connection, "monthly") == NOW + 2 * MINUTE
        assert standings.last_evaluated(connection, "other") is None


def fill_audit(database, rows=5):
    with database.begin() as connection:
        for number in range(rows):
            audit.record(
                connection,
                at=NOW,
                actor="anna",
                action="close",
                object_=f"statement {number} {STRANGE}",
                before=None,
                after={"lines": number, "names": ("b", "a")},
            )


def test_the_audit_chain_holds_as_written(database):
    fill_audit(database)
    with database.connect() as connection:
        assert audit.verify_chain(connection) is None
        rows = connection.execute(select(tables.audit)).all()
    assert rows[0].previous_hash == audit.FIRST_HASH
    assert [row.previous_hash for row in rows[1:]] == [row.hash for row in rows[:-1]]


@pytest.mark.parametrize(
    ("tampering", "broken"),
    [
        ("UPDATE audit SET actor = 'eve' WHERE sequence = 3", 3),
        ("""UPDATE audit SET after = '{"lines": 7, "names": ["b", "a"]}' WHERE sequence = 2""", 2),
        ("UPDATE audit SET at = at + 1 WHERE sequence = 1", 1),
        ("UPDATE audit SET previous_hash = hash WHERE sequence = 3", 3),
        ("DELETE FROM audit WHERE sequence = 4", 5),
        ("UPDATE audit SET hash = previous_hash WHERE sequence = 5", 5),
        ("UPDATE audit SET sequence = 9 WHERE sequence = 5", 9),
    ],
)
def test_tampering_breaks_the_audit_chain_where_it_happened(database, tampering, broken):
    fill_audit(database)
    with pytest.raises(LedgerError), database.begin() as connection:
        connection.execute(text(tampering))
    with database.begin() as connection:
        guards.take_down(connection, "audit")
        connection.execute(text(tampering))
    with database.connect() as connection:
        assert audit.verify_chain(connection) == broken


def test_the_audit_refuses_what_has_no_one_form_in_json(database):
    with pytest.raises(ValueError, match="JSON compliant"), database.begin() as connection:
        audit.record(connection, at=NOW, actor="a", action="b", object_="c", after=float("nan"))
