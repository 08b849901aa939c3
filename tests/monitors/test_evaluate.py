"""From log files to what is committed: counted in a real store, judged, decided and written in one transaction."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from building import DOCUMENT, member, roster_of, utc
from sqlalchemy import func, select

from config.models import Config, View
from config.roster import Roster, RosterCustomer
from ledger import outbox, standings, tables
from ledger.database import Database, open_database
from ledger.facts import CustomerFacts
from ledger.outbox import KeyTakenError
from ledger.records import TOTAL, Decision, Reason, customer
from logviews.embedded.store import Embedded
from logviews.fields import used_fields
from logviews.intake.ingest import Ingest
from logviews.store import StoreUnavailable
from monitors.commit import OutdatedEvaluationError, commit, sender_domain, write
from monitors.decide import decide
from monitors.evaluate import Evaluator

AT = utc(2026, 10, 25, 9)


@dataclass
class Installation:
    """A configuration over a real embedded store and ledger."""

    config: Config
    roster: Roster
    database: Database
    folder: Path

    def store(self, name: str) -> Embedded:
        return Embedded(name, self.config.stores[name], used_fields(self.config, name), self.database)

    @property
    def evaluator(self) -> Evaluator:
        return Evaluator(self.config, self.roster, self.store)

    def ingest(self, messages: Sequence[tuple[datetime, str | None]], name: str = "log.jsonl") -> None:
        path = self.folder / name
        lines = [{"@timestamp": at.isoformat(), **({"customer": {"id": who}} if who else {})} for at, who in messages]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        store = self.config.stores["api"]
        Ingest("api", store, used_fields(self.config, "api"), self.database).take(path, AT)

    def use(self, who: str, messages: int) -> None:
        moments = [utc(2026, 10, 2) + n * timedelta(milliseconds=1) for n in range(messages)]
        self.ingest([(at, who) for at in moments], f"{who}-{messages}.jsonl")


@pytest.fixture
def install(tmp_path, ledger_url):
    opened = []

    def make(
        people: Sequence[RosterCustomer] | None, included: int = 100, stale_after: str | None = None, **monitor: Any
    ) -> Installation:
        tiers = {
            "basic": {
                "fee": "500",
                "recommend": "pro",
                "prices": {"api_calls": {"included": str(included), "overage": "0.01"}},
            },
            "pro": {"fee": "2000", "prices": {"api_calls": {"included": str(5 * included), "overage": "0.01"}}},
        }
        store = {**DOCUMENT["stores"]["api"], "folder": str(tmp_path / "events"), "stale_after": stale_after}
        monitors = {"monthly": {**DOCUMENT["monitors"]["monthly"], **monitor}}
        config = Config.model_validate({**DOCUMENT, "tiers": tiers, "stores": {"api": store}, "monitors": monitors})
        settings = config.settings
        roster = (
            Roster({}, open=True, zone=settings.zone, language=settings.language)
            if people is None
            else roster_of(settings, people)
        )
        database = open_database(ledger_url, simulation=True, now=AT)
        opened.append(database)
        return Installation(config, roster, database, tmp_path)

    yield make
    for database in opened:
        database.close()


def quantities(found) -> dict[str, object]:
    return {verdict.subject.id: verdict.quantity for verdict in found.verdicts}


def test_every_customer_of_the_roster_is_judged_also_at_0(install):
    it = install((member("A", aliases=("alpha",)), member("B"), member("C")))
    it.use("A", 60)
    it.use("alpha", 35)
    it.use("B", 111)
    it.use("stranger", 5)
    found = it.evaluator.evaluate("monthly", AT)
    assert {verdict.subject.id: (verdict.quantity, verdict.state) for verdict in found.verdicts} == {
        "A": (95, "warning"),
        "B": (111, "error"),
        "C": (0, "ok"),
    }
    assert found.figures["integrity"]["unknown"] == 5
    assert found.figures["integrity"]["total"] == 211
    json.dumps(found.figures)


def test_only_what_happened_before_the_instant_counts_and_in_the_customers_own_month(install):
    it = install((member("S"), member("T", zone="Asia/Tokyo"), member("Q", billing_day=15)))
    moments = [utc(2026, 9, 30, 15), utc(2026, 9, 30, 22), utc(2026, 10, 14, 22), utc(2026, 10, 25, 8, 59, 59), AT]
    it.ingest([(at, who) for at in moments for who in "STQ"])
    assert quantities(it.evaluator.evaluate("monthly", AT)) == {"S": 3, "T": 4, "Q": 2}
    assert quantities(it.evaluator.evaluate("monthly", AT + timedelta(milliseconds=1))) == {"S": 4, "T": 5, "Q": 3}


def test_who_has_no_contract_in_the_period_is_not_judged(install):
    gone = member("G", valid_until=date(2026, 10, 1))
    coming = member("N", valid_from=date(2026, 11, 1))
    half = member("H", valid_from=date(2026, 10, 16))
    it = install((gone, coming, half))
    it.ingest([(utc(2026, 10, day), who) for day in range(2, 25) for who in "GNH"])
    found = it.evaluator.evaluate("monthly", AT)
    assert quantities(found) == {"H": 9}
    (verdict,) = found.verdicts
    # 16 to 31 October in Stockholm are 385 hours, of which 9 days and 12 hours are over
    assert verdict.projected == pytest.approx(9 * 385 / 228, abs=1)


def test_with_an_open_roster_whoever_is_found_is_judged(install):
    many = {"many": {"severity": "error", "max": "10"}}
    it = install(None, thresholds=many, notify={"page": {"when": "many", "to": "ops"}})
    it.use("x", 11)
    it.use("y", 10)
    found = it.evaluator.evaluate("monthly", AT)
    assert {verdict.subject.id: verdict.state for verdict in found.verdicts} == {"x": "error", "y": "ok"}
    assert len(commit(it.database, found, it.roster).notices) == 1


def test_the_total_is_judged_once_for_all(install):
    it = install(
        (member("A"), member("B", "pro")),
        per="total",
        thresholds={"many": {"severity": "error", "max": "99"}},
        notify={"page": {"when": "many", "to": "ops"}},
    )
    it.use("A", 60)
    it.use("B", 40)
    it.use("stranger", 40)
    found = it.evaluator.evaluate("monthly", AT)
    (verdict,) = found.verdicts
    assert (verdict.subject, verdict.quantity, verdict.state, verdict.included) == (TOTAL, 100, "error", None)
    (digest,) = commit(it.database, found, it.roster).notices
    assert digest.facts["rows"][0]["customer"] is None


def lost(_: str) -> Embedded:
    raise StoreUnavailable("store api: a part is missing")


def test_a_store_that_cannot_answer_makes_verdicts_unavailable_and_freezes_standings(install):
    it = install((member("A"), member("G", valid_until=date(2026, 10, 1))))
    it.use("A", 95)
    commit(it.database, it.evaluator.evaluate("monthly", AT), it.roster)
    with it.database.connect() as connection:
        before = standings.load(connection, "monthly")
    found = Evaluator(it.config, it.roster, lost).evaluate("monthly", AT + timedelta(minutes=15))
    (verdict,) = found.verdicts
    assert (verdict.state, verdict.reason, verdict.quantity) == ("unavailable", Reason.STORE_UNAVAILABLE, None)
    assert found.problem == "store api: a part is missing"
    assert commit(it.database, found, it.roster).notices == ()
    with it.database.connect() as connection:
        assert standings.load(connection, "monthly") == before
        assert [item.outcome for item in standings.evaluations(connection, "monthly")] == ["unavailable", "done"]


def test_a_missing_part_is_noticed(install):
    it = install((member("A"),))
    it.use("A", 95)
    for part in (it.folder / "events").rglob("*.parquet"):
        part.unlink()
    assert [verdict.state for verdict in it.evaluator.evaluate("monthly", AT).verdicts] == ["unavailable"]


def test_a_commit_writes_the_whole_decision_and_a_repetition_decides_nothing(install):
    it = install((member("A"), member("B"), member("C")))
    it.use("A", 95)
    it.use("B", 111)
    first = commit(it.database, it.evaluator.evaluate("monthly", AT), it.roster)
    assert [(notice.kind, notice.route) for notice in first.notices] == [
        ("customer", "warn"),
        ("customer", "over"),
        ("ops", "page"),
    ]
    with it.database.connect() as connection:
        outgoing = outbox.list_deliveries(connection)
        kept = [outbox.show(connection, notice.id) for notice in first.notices]
        assert len(standings.history(connection, "monthly")) == 3
        assert standings.evaluations(connection, "monthly")[0].figures["error"] == 1
    assert {item.delivery.address for item in outgoing} == {
        "a@example.com",
        "b@example.com",
        "ops@example.com",
        "night@example.com",
    }
    assert {item.delivery.message_id.rpartition("@")[2] for item in outgoing} == {"example.com>"}
    facts = CustomerFacts.from_json(kept[0].notice.facts)
    assert (facts.customer, facts.quantity, facts.percent) == ("A", "95", "95.00")
    again = commit(it.database, it.evaluator.evaluate("monthly", AT), it.roster)
    assert (again.notices, again.transitions, again.standings) == ((), (), ())


def test_evaluations_that_commit_at_once_tell_everybody_once(install):
    it = install(tuple(member(f"C{number}") for number in range(10)))
    for number in range(10):
        it.use(f"C{number}", 91 + number)
    found = it.evaluator.evaluate("monthly", AT)
    decisions: list[Decision] = []
    threads = [
        threading.Thread(target=lambda: decisions.append(commit(it.database, found, it.roster))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(decision.notices) for decision in decisions) == [0, 0, 0, 11]
    with it.database.connect() as connection:
        assert connection.execute(select(func.count()).select_from(tables.transition)).scalar() == 10


def test_a_decision_made_on_what_is_no_longer_so_is_rolled_back_as_a_whole(install):
    it = install((member("A"), member("B")))
    it.use("A", 95)
    found = it.evaluator.evaluate("monthly", AT)
    stale = decide(found.watched, found.verdicts, standings={}, roster=it.roster, used_keys={}, at=AT)
    commit(it.database, found, it.roster)
    with pytest.raises(KeyTakenError), it.database.begin() as connection:
        write(connection, stale, it.config.settings.email)
    with it.database.connect() as connection:
        assert len(standings.evaluations(connection, "monthly")) == 1
        assert len(standings.history(connection, "monthly")) == 1


def test_standings_do_not_go_back_in_time(install):
    it = install((member("A"),))
    commit(it.database, it.evaluator.evaluate("monthly", AT), it.roster)
    with pytest.raises(OutdatedEvaluationError, match="do not go back in time"):
        commit(it.database, it.evaluator.evaluate("monthly", AT - timedelta(hours=1)), it.roster)


def test_a_month_is_told_at_its_days_and_closed_at_its_end(install):
    it = install((member("A"),))
    it.use("A", 95)
    told = {}
    for day in range(29):
        at = utc(2026, 10, 5, 12) + timedelta(days=day)
        decision = commit(it.database, it.evaluator.evaluate("monthly", at), it.roster)
        told[at.date()] = [notice.route for notice in decision.notices]
    assert {day: routes for day, routes in told.items() if routes} == {
        date(2026, 10, 5): ["page"],
        date(2026, 10, 25): ["warn"],
    }
    with it.database.connect() as connection:
        assert standings.load(connection, "monthly") == {}
        assert [item.breached for item in standings.history(connection, "monthly", customer("A"))] == [True]


def judged(it: Installation, at: datetime) -> tuple[dict[str, str], Decision]:
    """The state of everybody's period that ended last, and what was decided."""
    with it.database.connect() as connection:
        through = standings.judged_through(connection, "monthly")
    found = it.evaluator.evaluate("monthly", at, through)
    ended = {verdict.subject.id: verdict.reason.value for verdict in found.verdicts if verdict.period.end <= at}
    return ended, commit(it.database, found, it.roster)


def test_a_min_is_judged_from_real_logs_once_they_are_known_to_be_fresh(install):
    """A stopped feed is no little usage; what ended meanwhile is judged when messages arrive again, late ones too."""
    low = {"low": {"severity": "warning", "min": "3", "grace": "1h"}}
    notify = {"tell": {"when": "low", "to": "customer"}, "page": {"when": "logs_stale", "to": "ops"}}
    people = (member("A"), member("B"), member("C"))
    it = install(people, stale_after="2h", window="day", thresholds=low, notify=notify)
    it.ingest([(utc(2026, 10, 17, 12), "nobody")], "begin.jsonl")
    midnight = utc(2026, 10, 19, 22)
    it.ingest([(midnight - timedelta(hours=5, minutes=n), who) for n in range(2) for who in "AB"], "first.jsonl")
    ended, decision = judged(it, midnight - timedelta(hours=4))
    assert (ended, len(decision.notices)) == (dict.fromkeys("ABC", "below_min"), 3)  # of the 18th, when nobody used it
    ended, decision = judged(it, midnight + timedelta(hours=1))
    assert ended == dict.fromkeys("ABC", "logs_stale")
    assert [(notice.template, notice.facts["condition"]) for notice in decision.notices] == [
        ("ops_store", "logs_stale")
    ]
    it.ingest([(midnight - timedelta(hours=4), "A"), (midnight + timedelta(hours=2), "A")], "second.jsonl")
    ended, decision = judged(it, midnight + timedelta(hours=3))
    assert ended == {"A": "within_limits", "B": "below_min", "C": "below_min"}
    told = {notice.subject.id: CustomerFacts.from_json(notice.facts) for notice in decision.notices}
    assert {id_: (facts.quantity, facts.limit, facts.side) for id_, facts in told.items()} == {
        "B": ("2", "3", "min"),
        "C": ("0", "3", "min"),
    }
    assert judged(it, midnight + timedelta(hours=4))[1].notices == ()
    with it.database.connect() as connection:
        assert standings.judged_through(connection, "monthly") == midnight + timedelta(hours=3)
        assert [item.outcome for item in standings.evaluations(connection, "monthly")] == [
            "done",
            "done",
            "stale",
            "done",
        ]


def test_a_min_of_distinct_values_is_counted_exactly(install, tmp_path):
    low = {"low": {"severity": "warning", "min": "3"}}
    notify = {"tell": {"when": "low", "to": "customer"}}
    people = (member("A", aliases=("alpha",)), member("B"))
    it = install(people, stale_after="2h", window="day", thresholds=low, notify=notify)
    it.ingest([(utc(2026, 10, 17, 12), "nobody")], "begin.jsonl")
    sessions = View.model_validate({"store": "api", "count": {"distinct": "session"}})
    it.config = it.config.model_copy(update={"views": {**it.config.views, "calls": sessions}})
    midnight = utc(2026, 10, 19, 22)
    used = [("A", "s1"), ("alpha", "s1"), ("alpha", "s2"), ("B", "s1"), ("B", "s2"), ("B", "s3")]
    lines = [
        {"@timestamp": (midnight - timedelta(hours=n + 1)).isoformat(), "customer": {"id": who}, "session": session}
        for n, (who, session) in enumerate(used)
    ]
    path = tmp_path / "sessions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    Ingest("api", it.config.stores["api"], used_fields(it.config, "api"), it.database).take(path, AT)
    ended, decision = judged(it, midnight + timedelta(minutes=5))
    assert ended == {"A": "below_min", "B": "within_limits"}
    assert [(notice.subject.id, notice.facts["quantity"]) for notice in decision.notices] == [("A", "2")]


@pytest.mark.parametrize(
    ("sender", "domain"),
    [
        ("Usage <usage@example.com>", "example.com"),
        ("usage@mail.example.com", "mail.example.com"),
        ("nobody", "localhost"),
    ],
)
def test_message_ids_end_with_the_senders_domain(sender, domain):
    assert sender_domain(sender) == domain
