"""How a delivery ends, or begins anew: retried, expired, suppressed, dead, held, released, sent again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from ledger import audit, deliveries, holds, outbox, resending, suppressions, tables
from ledger.database import open_database
from ledger.holds import HoldError
from ledger.records import NoticeDue, Receipt, customer
from ledger.resending import ResendError

NOW = datetime(2026, 10, 25, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


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
        "subject": customer("acme"),
        "addresses": ("a@example.com",),
        "language": "en",
        "zone": "UTC",
        "decided_at": NOW,
        "keys": (f"key-{id_}",),
        "expires_at": NOW + DAY,
    }
    return NoticeDue(**{**fields, **changes})


def put(database, *notices, watched=0):
    with database.begin() as connection:
        outbox.insert(connection, notices, sender_domain="example.com", watched=watched)


def claim(database, at=NOW, **options):
    with database.begin() as connection:
        return outbox.claim(connection, at=at, **{"limit": 100, **options})


def finish(database, outcome, at=NOW, detail="said", next_at=None, delivery_id=1):
    with database.begin() as connection:
        return outbox.finish(connection, Receipt(delivery_id, outcome, detail), at, next_at)


def found(database, id_="n1"):
    with database.connect() as connection:
        return deliveries.of_notice(connection, id_)


def only(database, id_="n1"):
    (item,) = found(database, id_)
    return item


def test_what_is_to_be_retried_waits_for_its_time(database):
    put(database, notice())
    claim(database)
    assert finish(database, "retry", next_at=NOW + 5 * MINUTE)
    assert claim(database, NOW + 4 * MINUTE) == ()
    (again,) = claim(database, NOW + 5 * MINUTE)
    assert (again.delivery.attempts, again.delivery.message_id) == (2, "<n1.1@example.com>")


def test_what_was_not_attempted_is_queued_as_it_was(database):
    put(database, notice())
    claim(database)
    assert finish(database, "unattempted", detail="no time")
    assert (only(database).status, only(database).attempts, only(database).detail) == ("queued", 0, "")
    assert len(claim(database)) == 1


def test_what_is_past_its_time_expires_with_the_reason_why_it_did_not_leave(database):
    put(database, notice(), notice("n2", expires_at=None), notice("n3", expires_at=NOW + 2 * DAY))
    claim(database, limit=1)
    finish(database, "retry", detail="the server is down", next_at=NOW + 2 * DAY)
    assert [item.notice.id for item in claim(database, NOW + DAY)] == ["n2", "n3"]
    gone = only(database)
    assert (gone.status, gone.finished_at, gone.next_at) == ("expired", NOW + DAY, None)
    assert gone.detail == "it expired before it could be delivered; last attempt: the server is down"


def test_an_abandoned_claim_expires_too(database):
    put(database, notice(expires_at=NOW + MINUTE))
    claim(database)
    assert claim(database, NOW + 5 * MINUTE) == ()
    assert only(database).status == "claimed"  # it may still be leaving
    assert claim(database, NOW + outbox.RECLAIM_AFTER) == ()
    assert only(database).status == "expired"


def test_an_address_that_is_refused_for_good_is_suppressed_for_every_notice(database):
    put(database, notice(), notice("n2"), notice("n3", addresses=("b@example.com",)))
    claim(database, limit=1)
    assert finish(database, "suppressed", detail="550 no such user")
    assert (only(database).status, only(database).detail) == ("suppressed", "550 no such user")
    assert [item.notice.id for item in claim(database, NOW + MINUTE)] == ["n3"]
    second = only(database, "n2")
    assert (second.status, second.finished_at) == ("suppressed", NOW + MINUTE)
    assert "refused since 2026-10-25T09:00:00+00:00: 550 no such user" in second.detail
    with database.connect() as connection:
        listed = suppressions.list_suppressions(connection)
    assert listed == (suppressions.Suppression("a@example.com", NOW, "550 no such user"),)


def test_what_is_suppressed_or_expires_during_a_run_is_not_taken_in_it(database):
    put(
        database,
        notice(),
        notice("n2"),
        notice("n3", addresses=("b@example.com",), expires_at=NOW + MINUTE),
        notice("n4"),
    )
    (first,) = claim(database, limit=1)
    finish(database, "suppressed")
    assert claim(database, NOW + MINUTE, after=first.delivery.id) == ()
    assert claim(database, NOW + MINUTE) == ()
    assert [only(database, id_).status for id_ in ("n2", "n3", "n4")] == ["suppressed", "expired", "suppressed"]


def test_an_abandoned_claim_on_a_suppressed_address_ends_as_well(database):
    put(database, notice(), notice("n2"))
    claim(database)
    finish(database, "suppressed")
    assert claim(database, NOW + outbox.RECLAIM_AFTER) == ()
    assert only(database, "n2").status == "suppressed"


def test_a_dead_notice_stays_dead_and_suppresses_nobody(database):
    put(database, notice(), notice("n2"))
    claim(database, limit=1)
    assert finish(database, "dead", detail="552 too large")
    assert (only(database).status, only(database).finished_at) == ("dead", NOW)
    assert [item.notice.id for item in claim(database, NOW + MINUTE)] == ["n2"]


def test_many_delivered_at_once_are_those_that_were_claimed(database):
    put(database, *(notice(f"n{number}") for number in (1, 2, 3)))
    claim(database, limit=2)
    with database.begin() as connection:
        outbox.finish_delivered(connection, [Receipt(number, "delivered", f"to {number}") for number in (1, 2, 3)], NOW)
    assert [(only(database, id_).status, only(database, id_).detail) for id_ in ("n1", "n2", "n3")] == [
        ("delivered", "to 1"),
        ("delivered", "to 2"),
        ("queued", ""),
    ]


@pytest.mark.parametrize("ending", ["dead", "suppressed", "expired", "waiting"])
def test_retrying_queues_what_failed_anew_with_a_new_expiry(database, ending):
    put(database, notice())
    claim(database)
    if ending == "expired":
        finish(database, "retry", next_at=NOW)
        claim(database, NOW + DAY)
    else:
        finish(database, "retry" if ending == "waiting" else ending, next_at=NOW + 4 * DAY)
    at = NOW + 3 * DAY if ending != "waiting" else NOW + MINUTE
    with database.begin() as connection:
        (again,) = resending.retry(connection, "n1", at=at, actor="anna")
    assert (again.status, again.attempts, again.expires_at, again.finished_at) == ("queued", 0, at + DAY, None)
    with database.connect() as connection:
        assert suppressions.list_suppressions(connection) == ()
        assert deliveries.oldest_waiting(connection, at) == at
        assert audit.verify_chain(connection) is None
        assert [row.action for row in connection.execute(select(tables.audit))] == ["retry"]
    (taken,) = claim(database, at)
    assert taken.delivery.message_id == "<n1.1@example.com>"


def test_retrying_what_has_not_failed_is_refused_with_its_state(database):
    put(database, notice(addresses=("a@example.com", "b@example.com")))
    claim(database, limit=1)
    finish(database, "delivered")
    with (
        pytest.raises(ResendError, match=r"a@example\.com: delivered, b@example\.com: queued"),
        database.begin() as connection,
    ):
        resending.retry(connection, "n1", at=NOW, actor="anna")


def test_one_delivery_of_a_notice_can_be_retried_alone(database):
    put(database, notice(addresses=("a@example.com", "b@example.com")))
    claim(database)
    for number in (1, 2):
        finish(database, "dead", delivery_id=number)
    with database.begin() as connection:
        resending.retry(connection, "n1", at=NOW, actor="anna", delivery_id=2)
    assert [item.status for item in found(database)] == ["dead", "queued"]


def test_sending_again_makes_a_copy_with_a_message_id_of_its_own(database):
    put(database, notice(addresses=("a@example.com", "b@example.com")))
    claim(database)
    finish(database, "delivered")
    finish(database, "suppressed", delivery_id=2)
    with database.begin() as connection:
        copies = resending.resend(connection, "n1", at=NOW + DAY, actor="anna", sender_domain="example.com")
    assert [(item.address, item.copy, item.message_id, item.expires_at) for item in copies] == [
        ("a@example.com", 1, "<n1.1.1@example.com>", NOW + 2 * DAY),
        ("b@example.com", 1, "<n1.2.1@example.com>", NOW + 2 * DAY),
    ]
    assert [item.status for item in found(database)] == ["delivered", "suppressed", "queued", "queued"]
    assert len(claim(database, NOW + DAY)) == 2
    for number in (3, 4):
        finish(database, "delivered", delivery_id=number)
    with database.begin() as connection:
        copies = resending.resend(connection, "n1", at=NOW + DAY, actor="anna", sender_domain="example.com")
    assert [item.message_id for item in copies] == ["<n1.1.2@example.com>", "<n1.2.2@example.com>"]


def test_what_still_waits_or_is_held_is_not_sent_twice(database):
    put(database, notice(), notice("n2", held=True))
    for id_, state in (("n1", "queued"), ("n2", "held")):
        with pytest.raises(ResendError, match=f"a@example.com: {state}"), database.begin() as connection:
            resending.resend(connection, id_, at=NOW, actor="anna", sender_domain="example.com")


def held(database):
    put(
        database,
        notice(held=True, addresses=("a@example.com", "b@example.com")),
        notice("n2", held=True),
        notice("n3"),
        watched=40,
    )
    with database.connect() as connection:
        (hold,) = holds.list_holds(connection)
    return hold


def test_held_notices_wait_under_one_hold(database):
    hold = held(database)
    assert (hold.monitor, hold.at, hold.notices, hold.watched, hold.status) == ("monthly", NOW, 2, 40, "held")
    assert [item.notice.id for item in claim(database)] == ["n3"]
    assert {item.hold_id for item in found(database)} == {hold.id}
    assert only(database, "n3").hold_id is None
    with database.connect() as connection:
        assert deliveries.count_by_status(connection)["held"] == 3


def test_a_released_hold_leaves_and_is_audited(database):
    hold = held(database)
    with database.begin() as connection:
        ended = holds.release(connection, hold.id, at=NOW + MINUTE, actor="anna", reason="checked the view")
    assert (ended.status, ended.ended_at, ended.actor, ended.reason) == (
        "released",
        NOW + MINUTE,
        "anna",
        "checked the view",
    )
    assert len(claim(database, NOW + MINUTE)) == 4
    with database.connect() as connection:
        (row,) = connection.execute(select(tables.audit)).all()
        assert holds.list_holds(connection, status="held") == ()
    assert (row.actor, row.action, row.object) == ("anna", "release", f"hold {hold.id} of monitor monthly")
    assert row.after == {"status": "released", "deliveries": 3, "reason": "checked the view"}


def test_a_discarded_hold_never_leaves_and_its_keys_stay_used(database):
    hold = held(database)
    with database.begin() as connection:
        holds.discard(connection, hold.id, at=NOW + MINUTE, actor="anna", reason="the count was wrong")
    assert [item.notice.id for item in claim(database, NOW + MINUTE)] == ["n3"]
    assert [(item.status, item.detail) for item in found(database)] == [("discarded", "the count was wrong")] * 2
    with database.connect() as connection:
        assert {"key-n1", "key-n2"} <= set(outbox.used_keys(connection, "monthly", NOW))


def test_a_hold_that_is_released_late_has_as_long_to_leave_as_it_would_have_had(database):
    hold = held(database)
    late = NOW + 30 * DAY
    with database.begin() as connection:
        holds.release(connection, hold.id, at=late, actor="anna", reason="it was right")
        assert outbox.claim(connection, at=late + MINUTE, limit=9)


def test_a_hold_is_ended_once(database):
    hold = held(database)
    with database.begin() as connection:
        holds.release(connection, hold.id, at=NOW, actor="anna", reason="fine")
    for end in (holds.release, holds.discard):
        with pytest.raises(HoldError, match=r"was released at .* by anna"), database.begin() as connection:
            end(connection, hold.id, at=NOW, actor="bo", reason="too")
    with pytest.raises(HoldError, match="no hold 99"), database.begin() as connection:
        holds.release(connection, 99, at=NOW, actor="bo", reason="what")


def test_the_oldest_that_waits_is_what_may_leave_and_has_not(database):
    def oldest(at=NOW):
        with database.connect() as connection:
            return deliveries.oldest_waiting(connection, at)

    assert oldest() is None
    put(database, notice("n2", decided_at=NOW + MINUTE, expires_at=None), notice(), notice("n3", held=True))
    assert oldest() == NOW
    assert oldest(NOW + 2 * DAY) == NOW + MINUTE  # the other has expired, though nobody has marked it yet
    claim(database)
    assert oldest() == NOW
    finish(database, "retry", delivery_id=2, next_at=NOW + DAY)
    assert oldest() == NOW
    for number in (1, 2):
        claim(database, NOW + DAY - MINUTE)
        finish(database, "delivered", delivery_id=number)


def test_deliveries_are_counted_by_status(database):
    put(database, *(notice(f"n{number}") for number in range(1, 5)))
    claim(database, limit=2)
    finish(database, "delivered")
    with database.connect() as connection:
        counts = deliveries.count_by_status(connection)
    assert {status: number for status, number in counts.items() if number} == {
        "queued": 2,
        "claimed": 1,
        "delivered": 1,
    }
    assert set(counts) == set(deliveries.STATUSES)
