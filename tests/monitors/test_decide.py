"""Whom an evaluation obliges us to tell: compared with a plain model over random histories, and case by case."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from building import STOCKHOLM, member, monthly, reading, roster_of, utc, verdict
from hypothesis import given, settings
from hypothesis import strategies as st

from config.roster import Roster, RosterCustomer
from ledger.facts import CustomerFacts, OpsFacts
from ledger.periods import period_of_month
from ledger.records import TOTAL, Decision, NoticeDue, Standing, Verdict, customer
from ledger.standings import StandingKey
from monitors.decide import decide
from monitors.episodes import move
from monitors.judge import judge, unavailable
from monitors.watched import Watched

OCTOBER = period_of_month("2026-10", STOCKHOLM)
AT = utc(2026, 10, 25, 9)


@dataclass
class Ledger:
    """What the database would remember, in memory."""

    it: Watched
    people: tuple[RosterCustomer, ...]
    standings: dict[StandingKey, Standing] = field(default_factory=dict)
    used: dict[str, datetime] = field(default_factory=dict)
    notices: list[NoticeDue] = field(default_factory=list)

    @property
    def roster(self) -> Roster:
        return roster_of(self.it.settings, self.people)

    def evaluate(self, quantities: Mapping[str, int | None], at: datetime) -> Decision:
        return self.decide([verdict(self.it, who, quantities[who.id], at) for who in self.people], at)

    def decide(self, verdicts: list[Verdict], at: datetime) -> Decision:
        decision = decide(
            self.it, verdicts, standings=self.standings, roster=self.roster, used_keys=dict(self.used), at=at
        )
        for standing in decision.closed:
            del self.standings[standing.subject, standing.period_start, standing.threshold]
        for standing in decision.standings:
            self.standings[standing.subject, standing.period_start, standing.threshold] = standing
        for notice in decision.notices:
            for key in (*notice.keys, *notice.superseded_keys):
                assert key not in self.used, "a key was used twice"
                self.used[key] = notice.decided_at
        self.notices += decision.notices
        return decision


def only(decision: Decision, kind: str) -> list[NoticeDue]:
    return [notice for notice in decision.notices if notice.kind == kind]


def told(decision: Decision) -> list[tuple[str, str, str]]:
    return [(n.subject.id, n.route, n.facts["threshold"]) for n in only(decision, "customer")]


# --- the model -------------------------------------------------------------------------------------------------------

# an error whose limit lies below a warning's: later breaches may be the milder ones
THRESHOLDS = {"near": ("warning", 90_000), "over": ("error", 95_000), "full": ("warning", 100_000)}
ROUTES = {
    "late": (("near", "full"), lambda day, hour: 25 <= day <= 28),
    "soon": (("near",), lambda day, hour: 10 <= day <= 26),
    "day": (("over",), lambda day, hour: 8 <= hour < 18),
}
PEOPLE = (
    member("A"),
    member("B", zone="Pacific/Auckland", billing_day=15),
    member("C", emails=()),
    member("D", zone="America/Santiago", emails=("d@example.com", "d@example.com", "e@example.com")),
)


def modelled() -> Watched:
    return monthly(
        thresholds={name: {"severity": severity, "max": str(limit)} for name, (severity, limit) in THRESHOLDS.items()},
        notify={
            "late": {"when": ["near", "full"], "to": "customer", "days": "25-28"},
            "soon": {"when": "near", "to": ["customer"], "days": "10-26"},
            "day": {"when": "over", "to": "customer", "hours": "08:00-18:00"},
            "page": {"when": ["near", "over"], "to": "ops"},
        },
    )


def rank(threshold: str) -> tuple[bool, int]:
    severity, limit = THRESHOLDS[threshold]
    return severity == "error", limit


@dataclass
class Model:
    """The rules again, from histories of plain numbers, without standings or keys."""

    handled: dict[tuple[str, datetime], set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))
    seen: dict[tuple[str, datetime, str], list[bool]] = field(default_factory=lambda: defaultdict(list))
    paged: set[tuple[str, datetime, str, int]] = field(default_factory=set)

    def customer_notice(self, who: RosterCustomer, start: datetime, quantity: int, at: datetime):
        """(route, threshold, superseded pairs) of the notice that is due, or None."""
        zone = ZoneInfo(who.zone)
        day = (at.astimezone(zone).date() - start.astimezone(zone).date()).days + 1
        hour = at.astimezone(zone).hour
        handled = self.handled[who.id, start]
        worst = max((rank(threshold) for _, threshold in handled), default=(False, 0))
        waiting = [
            (route, threshold, opens(day, hour))
            for route, (when, opens) in ROUTES.items()
            for threshold in when
            if quantity > THRESHOLDS[threshold][1] and (route, threshold) not in handled
        ]
        due = [(route, threshold) for route, threshold, is_open in waiting if is_open and rank(threshold) >= worst]
        if not due or not who.emails:
            return None
        best = max(rank(threshold) for _, threshold in due)
        sent = next(pair for pair in due if rank(pair[1]) == best)
        others = {(r, t) for r, t, _ in waiting if (r, t) in due or rank(t) < best} - {sent}
        handled |= others | {sent}
        return (*sent, others)

    def breached(self, who: str, start: datetime, threshold: str) -> tuple[bool, int]:
        """Whether it stands breached after all that was seen, and in which episode: from the start, each time."""
        standing, episode, in_range = False, 0, 0
        for breach in self.seen[who, start, threshold]:
            in_range = 0 if breach else in_range + 1
            if breach and not standing:
                standing, episode = True, episode + 1
            elif standing and in_range >= 2:
                standing = False
        return standing, episode


evaluations = st.lists(
    st.tuples(
        st.sampled_from([1, 5, 13, 49, 73]),  # hours since the last one
        st.tuples(*[st.sampled_from([0, 90_000, 90_001, 90_002, 95_001, 100_000, 100_001, 10**12])] * len(PEOPLE)),
    ),
    min_size=10,
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(history=evaluations)
def test_random_histories_are_decided_as_the_model_says(history):
    ledger, model, at = Ledger(modelled(), PEOPLE), Model(), utc(2026, 9, 20, 3)
    for hours, used in history:
        at += timedelta(hours=hours)
        quantities = dict(zip((who.id for who in PEOPLE), used, strict=True))
        decision = ledger.evaluate(quantities, at)
        expected, new = [], {}
        for who in PEOPLE:
            start = verdict(ledger.it, who, 0, at).period.start
            for threshold, (_, limit) in THRESHOLDS.items():
                model.seen[who.id, start, threshold].append(quantities[who.id] > limit)
            notice = model.customer_notice(who, start, quantities[who.id], at)
            if notice is not None:
                expected.append((who.id, start, *notice))
            for threshold in ("near", "over"):
                standing, episode = model.breached(who.id, start, threshold)
                key = (who.id, start, threshold, episode)
                if standing and quantities[who.id] > THRESHOLDS[threshold][1] and key not in model.paged:
                    model.paged.add(key)
                    new[who.id] = threshold  # the more severe comes last
        assert [described(notice) for notice in only(decision, "customer")] == expected
        paged = {row["customer"]: row["threshold"] for n in only(decision, "ops") for row in n.facts["rows"]}
        assert paged == new
        assert len(only(decision, "ops")) == (1 if new else 0)
        check_standings(ledger, model, at)
    for notice in ledger.notices:
        check_facts(notice)


def described(notice: NoticeDue):
    start = datetime.fromisoformat(notice.facts["period_start"])
    superseded = {(key.split("|")[2], key.split("|")[3]) for key in notice.superseded_keys}
    return (notice.subject.id, start, notice.route, notice.facts["threshold"], superseded)


def check_standings(ledger: Ledger, model: Model, at: datetime) -> None:
    current = {(who.id, verdict(ledger.it, who, 0, at).period.start) for who in PEOPLE}
    assert {(key[0].id, key[1]) for key in ledger.standings} <= current  # a period's end closes its standings
    for who, start in current:
        for threshold in THRESHOLDS:
            standing = ledger.standings.get((customer(who), start, threshold))
            breached, episode = model.breached(who, start, threshold)
            assert (breached, episode) == ((False, 0) if standing is None else (standing.breached, standing.episode))


def check_facts(notice: NoticeDue) -> None:
    """What is said is true, whatever the route was called."""
    if notice.kind == "ops":
        facts = OpsFacts.from_json(notice.facts)
        assert facts.number == sum(count.number for count in facts.counts) == len(facts.rows)
        return
    facts = CustomerFacts.from_json(notice.facts)
    assert facts.to_json() == notice.facts
    assert facts.exceeded == (int(facts.quantity) > 100_000)
    if facts.projected is not None:
        assert int(facts.projected) >= int(facts.quantity)
        assert facts.projected_exceeds or int(facts.projected) <= 100_000


@settings(max_examples=100, deadline=None)
@given(st.lists(st.booleans(), max_size=30))
def test_transitions_alternate_and_clearing_takes_two_in_range(breaches):
    it, who, standings, transitions = monthly(), member("A"), {}, []
    for step, breach in enumerate(breaches):
        movement = move([verdict(it, who, 95_000 if breach else 5, AT + step * timedelta(minutes=15))], standings)
        standings = dict(movement.now)
        transitions += movement.transitions
    assert [item.breached for item in transitions] == [index % 2 == 0 for index in range(len(transitions))]
    assert all(later.at > earlier.at for earlier, later in pairwise(transitions))
    for item in transitions:
        index = (item.at - AT) // timedelta(minutes=15)
        assert breaches[index] if item.breached else not (breaches[index] or breaches[index - 1])


# --- case by case ----------------------------------------------------------------------------------------------------


def test_a_limit_crossed_on_day_12_is_told_on_day_25_and_once():
    ledger = Ledger(monthly(), (member("A"),))
    assert told(ledger.evaluate({"A": 91_000}, utc(2026, 10, 12, 9))) == []
    assert told(ledger.evaluate({"A": 92_000}, utc(2026, 10, 24, 21, 59))) == []
    assert told(ledger.evaluate({"A": 92_340}, utc(2026, 10, 24, 22))) == [("A", "warn", "approaching")]
    assert told(ledger.evaluate({"A": 93_000}, AT)) == []
    assert told(ledger.evaluate({"A": 95_000}, utc(2026, 11, 26, 9))) == [("A", "warn", "approaching")]


def test_the_most_severe_is_sent_and_the_others_are_superseded():
    ledger = Ledger(monthly(), (member("A"),))
    decision = ledger.evaluate({"A": 127_450}, AT)
    assert told(decision) == [("A", "over", "well_over")]
    (notice,) = only(decision, "customer")
    assert notice.template == "over_limit"
    assert [key.split("|")[2:4] for key in notice.superseded_keys] == [["warn", "approaching"]]
    assert told(ledger.evaluate({"A": 128_000}, AT + timedelta(days=1))) == []


def test_a_less_severe_warning_does_not_follow_the_worse_news():
    ledger = Ledger(monthly(), (member("A"),))
    assert told(ledger.evaluate({"A": 115_000}, utc(2026, 10, 12, 9))) == [("A", "over", "well_over")]
    assert told(ledger.evaluate({"A": 116_000}, AT)) == []


def test_a_milder_threshold_that_is_breached_after_a_worse_one_was_told_is_not_told():
    it = monthly(
        thresholds={"early": {"severity": "error", "max": "50%"}, "late": {"severity": "warning", "max": "90%"}},
        notify={"tell": {"when": ["early", "late"], "to": "customer"}},
    )
    ledger = Ledger(it, (member("A"),))
    assert told(ledger.evaluate({"A": 60_000}, utc(2026, 10, 12))) == [("A", "tell", "early")]
    assert told(ledger.evaluate({"A": 95_000}, AT)) == []


def test_two_routes_tell_the_same_threshold_on_their_own_days_but_not_both_at_once():
    it = monthly(
        notify={
            "first": {"when": "approaching", "to": "customer", "days": "10-12"},
            "second": {"when": "approaching", "to": "customer", "days": "12-28"},
        }
    )
    apart, together = Ledger(it, (member("A"),)), Ledger(it, (member("A"),))
    assert told(apart.evaluate({"A": 95_000}, utc(2026, 10, 11))) == [("A", "first", "approaching")]
    assert told(apart.evaluate({"A": 95_000}, AT)) == [("A", "second", "approaching")]
    assert told(together.evaluate({"A": 95_000}, utc(2026, 10, 12))) == [("A", "first", "approaching")]
    assert told(together.evaluate({"A": 95_000}, AT)) == []


def test_worse_news_follows_a_warning():
    ledger = Ledger(monthly(), (member("A"),))
    assert told(ledger.evaluate({"A": 95_000}, AT)) == [("A", "warn", "approaching")]
    assert told(ledger.evaluate({"A": 115_000}, AT + timedelta(hours=1))) == [("A", "over", "well_over")]


def test_a_less_severe_notice_goes_out_while_the_worse_waits_for_its_gate():
    it = monthly(
        notify={
            "warn": {"when": "approaching", "to": "customer"},
            "over": {"when": "well_over", "to": "customer", "hours": "20:00-22:00"},
        }
    )
    ledger = Ledger(it, (member("A"),))
    assert told(ledger.evaluate({"A": 115_000}, AT)) == [("A", "warn", "approaching")]
    assert told(ledger.evaluate({"A": 115_000}, utc(2026, 10, 25, 19))) == [("A", "over", "well_over")]


def test_whoever_has_no_address_is_counted_and_told_once_there_is_one():
    ledger = Ledger(monthly(), (member("A", emails=()), member("B")))
    decision = ledger.evaluate({"A": 95_000, "B": 95_000}, AT)
    assert told(decision) == [("B", "warn", "approaching")]
    assert decision.evaluation.figures["without_address"] == 1
    ledger.people = (member("A"), member("B"))
    decision = ledger.evaluate({"A": 95_000, "B": 95_000}, AT + timedelta(hours=1))
    assert told(decision) == [("A", "warn", "approaching")]
    assert "without_address" not in decision.evaluation.figures


def test_operations_get_one_notice_for_an_evaluation_however_many_breach():
    people = tuple(member(f"C{number:03}") for number in range(120))
    ledger = Ledger(monthly(), people)
    used = {who.id: 90_001 + 500 * number for number, who in enumerate(people)}
    decision = ledger.evaluate(used, AT)
    digest, hold = only(decision, "ops")
    assert hold.template == "ops_held"
    facts = OpsFacts.from_json(digest.facts)
    assert digest.addresses == ("ops@example.com", "night@example.com")
    assert (digest.template, digest.subject) == ("ops_digest", None)
    assert (facts.number, facts.evaluated, len(facts.rows)) == (120, 120, 50)
    assert [(count.threshold, count.number) for count in facts.counts] == [("approaching", 40), ("well_over", 80)]
    assert [row.customer for row in facts.rows] == [f"C{number:03}" for number in range(119, 69, -1)]
    assert facts.rows[0].name == "C119 Ltd"
    assert only(ledger.evaluate(used, AT + timedelta(minutes=15)), "ops") == []


def test_operations_are_told_again_when_it_breaks_again_and_of_nobody_else():
    ledger = Ledger(monthly(), (member("A"), member("B")))
    steps = [(95_000, 5), (5, 5), (95_000, 5), (5, 95_000), (5, 95_000), (95_000, 95_000)]
    rows = []
    for step, (a, b) in enumerate(steps):
        decision = ledger.evaluate({"A": a, "B": b}, utc(2026, 10, 2) + step * timedelta(minutes=15))
        rows.append([row["customer"] for notice in only(decision, "ops") for row in notice.facts["rows"]])
    assert rows == [["A"], [], [], ["B"], [], ["A"]]


def test_the_total_is_told_to_operations_without_a_customer():
    it = monthly(
        per="total",
        thresholds={"many": {"severity": "error", "max": "1000"}},
        notify={"page": {"when": "many", "to": "ops"}},
    )
    found = judge(it.name, it.monitor, reading(TOTAL, OCTOBER, 1001, AT), plan=None, projected=None, at=AT)
    ledger = Ledger(it, ())
    (digest,) = ledger.decide([found], AT).notices
    (row,) = OpsFacts.from_json(digest.facts).rows
    assert (row.customer, row.name, row.quantity, row.limit, row.percent) == (None, "total", "1001", "1000", None)
    assert ledger.decide([found], AT).notices == ()


def test_an_unavailable_store_freezes_everything():
    ledger = Ledger(monthly(), (member("A"),))
    ledger.evaluate({"A": 95_000}, utc(2026, 10, 12))
    before = dict(ledger.standings)
    lost = unavailable("monthly", ledger.it.monitor, customer("A"), OCTOBER, plan=None, at=AT)
    decision = ledger.decide([lost], AT)
    assert decision == Decision(decision.evaluation)
    assert decision.evaluation.outcome == "unavailable"
    assert ledger.standings == before
    nobody = decide(ledger.it, [], standings=before, roster=ledger.roster, used_keys={}, at=AT, problem="no answer")
    assert (nobody.evaluation.outcome, nobody.closed) == ("unavailable", ())


def test_a_customer_that_is_watched_no_more_loses_its_standing():
    ledger = Ledger(monthly(), (member("A"), member("B")))
    ledger.evaluate({"A": 95_000, "B": 95_000}, AT)
    ledger.people = (member("A"),)
    decision = ledger.evaluate({"A": 95_000}, AT + timedelta(minutes=15))
    assert [standing.subject for standing in decision.closed] == [customer("B")]
    assert decision.transitions == ()


def test_the_same_decision_gets_the_same_id_and_another_key_another_one():
    first, second = Ledger(monthly(), (member("A"),)), Ledger(monthly(), (member("A"),))
    assert first.evaluate({"A": 127_450}, AT) == second.evaluate({"A": 127_450}, AT)
    assert len({notice.id for notice in first.notices}) == len(first.notices) == 2


def test_the_reference_customer_is_told_what_is_true():
    """DESIGN.md: 92,340 calls, 92.3 % of 100,000, projected to exceed, consider Pro."""
    ledger = Ledger(monthly(), (member("B", name="Beta AB", language="sv-SE"),))
    (notice,) = only(ledger.evaluate({"B": 92_340}, AT), "customer")
    facts = CustomerFacts.from_json(notice.facts)
    assert (facts.quantity, facts.included, facts.percent, facts.limit, facts.limit_percent) == (
        "92340",
        "100000",
        "92.34",
        "90000",
        "90",
    )
    assert (facts.name, facts.unit, facts.window, facts.threshold, facts.severity) == (
        "Beta AB",
        "API calls",
        "billing month",
        "approaching",
        "warning",
    )
    assert (facts.projected, facts.projected_exceeds, facts.exceeded) == ("117194", True, False)
    assert (facts.period_start, facts.period_end) == ("2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00")
    assert (facts.currency, facts.language, facts.zone) == ("USD", "sv-SE", STOCKHOLM)
    assert (facts.tier.title, facts.tier.fee, facts.tier.included) == ("Basic", "500", "100000")
    assert (facts.recommended.title, facts.recommended.fee, facts.recommended.included) == ("Pro", "2000", "500000")
    assert [(step.to, step.price) for step in facts.tier.steps] == [(None, "0.01")]
    assert (notice.template, notice.addresses, notice.language) == ("near_limit", ("b@example.com",), "sv-SE")


@pytest.mark.parametrize(
    ("quantity", "exceeds", "exceeded"),
    [(78_000, False, False), (85_000, True, False), (100_000, True, False), (100_001, True, True)],
)
def test_projected_to_exceed_is_said_only_when_it_is(quantity, exceeds, exceeded):
    it = monthly(
        thresholds={"low": {"severity": "warning", "max": "10%"}}, notify={"warn": {"when": "low", "to": "customer"}}
    )
    (notice,) = Ledger(it, (member("A"),)).evaluate({"A": quantity}, AT).notices
    facts = CustomerFacts.from_json(notice.facts)
    assert (facts.projected_exceeds, facts.exceeded) == (exceeds, exceeded)


def test_ids_with_separators_do_not_meet():
    people = (member("A|1", emails=("a@example.com",)), member("A", emails=("b@example.com",)))
    ledger = Ledger(monthly(), people)
    assert len(told(ledger.evaluate({"A|1": 95_000, "A": 95_000}, AT))) == 2
