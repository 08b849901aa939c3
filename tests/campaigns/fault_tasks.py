"""What is asked while something goes wrong: a count, an evaluation that is committed, tallies that are stored."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from fault_world import CUSTOMERS, START, Plain, State

from config.models import Config
from config.roster import Roster, RosterCustomer
from ledger import tallies, watermarks
from ledger.database import Database, open_database
from ledger.periods import period_containing
from ledger.records import Decision, Period
from ledger.tallies import Amount, name_of
from logviews.readings import count_view
from logviews.store import LogStore, StoreUnavailable
from logviews.tallies.keeper import Keeper
from logviews.tallies.keys import filter_keys
from logviews.tallies.segments import Cut, roster_token
from logviews.tallies.sums import amount_of
from monitors.commit import commit
from monitors.evaluate import Evaluator

AT: Final = START + timedelta(days=1, hours=17, minutes=20)
VIEWS: Final[Mapping[str, Mapping[str, Any]]] = {
    "messages": {},
    "some": {"where": {"word": ["a", "b"], "size": {"gte": "500"}}},
    "distinct": {"count": {"distinct": "word"}},
    "sum": {"count": {"sum": "size"}},
    "average": {"count": {"average": "size"}, "where": {"word": {"not": "c"}}},
    "latest": {"count": {"latest": "size"}},
}
_STORE: Final = {
    "type": "elasticsearch",
    "hosts": ["http://127.0.0.1:9200"],
    "index": "api-*",
    "fields": {"time": "time", "customer": "customer", "id": "id"},
}
_MONITOR: Final = {
    "view": "messages",
    "window": "month",
    "schedule": {"every": "15m"},
    "thresholds": {"much": {"severity": "warning", "max": "7"}, "lots": {"severity": "error", "max": "11"}},
    "notify": {
        "tell": {"when": ["much", "lots"], "to": "customer"},
        "page": {"when": ["lots", "unavailable"], "to": "ops"},
    },
}
CONFIG: Final = Config.model_validate({
    "settings": {"zone": "UTC", "currency": "USD", "email": {"sender": "Usage <usage@example.com>"}},
    "stores": {"logs": _STORE},
    "recipients": {"ops": {"email": ["ops@example.com"]}},
    "views": {name: {"title": name, "store": "logs", **view} for name, view in VIEWS.items()},
    "monitors": {"monthly": {"title": "Monthly", **_MONITOR}},
})  # fmt: skip


def _customer(number: int) -> RosterCustomer:
    id_ = f"c{number:02}"
    return RosterCustomer(
        id_, ("alias of c00",) if number == 0 else (), id_, None, (f"{id_}@example.com",),
        ("UTC", "Europe/Stockholm", "America/New_York")[number % 3], "en", 1, None, None,
    )  # fmt: skip


ROSTER: Final = Roster({one.id: one for one in map(_customer, range(CUSTOMERS))}, zone="UTC")
_CUT: Final = Cut("customer", "month")


def _month(one: RosterCustomer) -> Period:
    return period_containing("month", AT, one.zone, one.billing_day)


@dataclass(frozen=True)
class Found:
    """What came of a question: an answer that can be compared, or why there is none."""

    answer: object = None
    problem: str | None = None


Legitimate = Sequence[State]
"""What the store could rightly say: as it was before, as it is after."""


@dataclass(frozen=True)
class Task:
    """Something that is asked. `ask` gives what was found, `right` says whether it may be."""

    name: str
    ask: Callable[[LogStore], Found]
    right: Callable[[Found, Legitimate], bool]


def tasks(dice: random.Random, folder: Path) -> Task:
    """One of the three, by chance."""
    make = dice.choices([_counting, _deciding, _tallying], [6, 3, 3])[0]
    return make(dice, folder)


def _counting(dice: random.Random, _folder: Path) -> Task:
    name = dice.choice(list(VIEWS))

    def counted(store: LogStore) -> object:
        found = count_view(store, name, CONFIG.views[name], ROSTER, _month, AT, default_zone="UTC")
        return found.readings, found.unknown, found.integrity

    def ask(store: LogStore) -> Found:
        try:
            return Found(counted(store))
        except StoreUnavailable as error:
            return Found(problem=str(error))

    def right(found: Found, legitimate: Legitimate) -> bool:
        return any(found.answer == counted(Plain(state)) for state in legitimate)

    return Task(f"count {name}", ask, right)


def _deciding(dice: random.Random, folder: Path) -> Task:
    """An evaluation, committed: who is told must follow from a right number, and without one nobody is told."""

    def decided(store: LogStore, name: str) -> tuple[Decision, str | None]:
        with closing(_ledger(folder / f"{name}-{dice.randrange(10**9)}.db")) as database:
            evaluated = Evaluator(CONFIG, ROSTER, lambda _: store).evaluate("monthly", AT)
            return commit(database, evaluated, ROSTER), evaluated.problem

    def ask(store: LogStore) -> Found:
        decision, problem = decided(store, "asked")
        if problem is not None:
            assert not any(notice.kind == "customer" for notice in decision.notices)
            assert not decision.transitions
            assert not any(one.breached for one in decision.standings if one.subject.id)
        return Found(_said(decision), problem)

    def right(found: Found, legitimate: Legitimate) -> bool:
        return any(found.answer == _said(decided(Plain(state), "right")[0]) for state in legitimate)

    return Task("evaluate and commit", ask, right)


def _said(decision: Decision) -> object:
    """What was decided, without the names that the ledger gives to what it writes."""
    notices = sorted(
        (notice.kind, notice.route, notice.keys, notice.addresses, repr(sorted(notice.facts.items())))
        for notice in decision.notices
    )
    return notices, set(decision.standings), set(decision.transitions), decision.watched


def _tallying(dice: random.Random, folder: Path) -> Task:
    """Tallies brought up to an instant, in two steps; each bucket that is stored must be right, after a failure too."""
    name = dice.choice(list(VIEWS))
    key = filter_keys(CONFIG, ROSTER)[name]
    path = folder / f"tallies-{dice.randrange(10**9)}.db"

    def keeper(database: Database, store: LogStore) -> Keeper:
        return Keeper(database, store, key, ROSTER, roster_token(ROSTER, "UTC"), "UTC", frozenset({_CUT}))

    def ask(store: LogStore) -> Found:
        problem = None
        with closing(_ledger(path)) as database:
            for at in (AT - timedelta(hours=9), AT):
                try:
                    keeper(database, store).bring_up(at, START, lambda: True)
                except StoreUnavailable as error:
                    problem = str(error)
            return Found(_stored(database, key.hash), problem)

    def right(found: Found, legitimate: Legitimate) -> bool:
        assert isinstance(found.answer, dict)
        return all(
            any(amounts == _plain_bucket(key, state, start, end) for state in legitimate)
            for (start, end), amounts in found.answer.items()
        )

    return Task(f"tallies of {name}", ask, right)


def _stored(database: Database, hash_: str) -> dict[tuple[datetime, datetime], dict[str, object]]:
    """What the ledger holds: bucket -> subject -> amount, of buckets that wait for nothing."""
    with database.connect() as connection:
        mark = watermarks.load(connection, hash_)
        if mark is None:
            return {}
        kept = list(tallies.tallies(connection, mark.id, mark.since, mark.counted_to))
        buckets = watermarks.buckets(connection, mark.id, mark.since, mark.counted_to)
    return {
        (one.start, one.counted_to): {who: _of(who, amount) for start, who, amount in kept if start == one.start}
        for one in buckets
        if not one.changed
    }


def _plain_bucket(key: Any, state: State, start: datetime, end: datetime) -> dict[str, object]:
    found = Plain(state).count(key.query((start, end)))
    amounts = ((name_of(tally.subject), amount_of(tally)) for tally in found)
    return {who: _of(who, amount) for who, amount in amounts}


def _of(who: str, amount: Amount) -> object:
    """What is compared of an amount: of messages that are nobody's, only how many they are."""
    return amount if who else amount.messages


def _ledger(path: Path) -> Database:
    return open_database(f"sqlite:///{path}", simulation=False, now=START)
