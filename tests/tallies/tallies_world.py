"""A store with seven views of every aggregation, their keepers, and what plain counting of the logs says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from config.models import Aggregation, Config
from config.roster import Roster, RosterCustomer
from ledger import tallies, watermarks
from ledger.database import Database
from ledger.periods import period_containing
from ledger.records import Period
from ledger.tallies import PeriodSum, name_of
from ledger.watermarks import Bucket, Watermark
from logviews.readings import ViewCount, count_total, count_view
from logviews.store import LogStore
from logviews.tallies.buckets import starts
from logviews.tallies.keeper import Keeper
from logviews.tallies.keys import filter_keys
from logviews.tallies.segments import Cut, roster_token
from logviews.tallies.sums import amount_of, together
from logviews.tallies.tallied import Tallied

HOME = "Europe/Stockholm"
VIEWS: dict[Aggregation, Any] = {
    "messages": "messages",
    "distinct": {"distinct": "w"},
    "sum": {"sum": "n", "scale": 2},
    "min": {"min": "n"},
    "max": {"max": "n"},
    "average": {"average": "n"},
    "latest": {"latest": "n"},
}
MONTHLY = Cut("customer", "billing month")
CUTS = frozenset({MONTHLY, Cut("customer", "day"), Cut("customer", "week"), Cut("total", "month")})
ZONES = (HOME, "America/New_York", "UTC", "Pacific/Apia", "Africa/Cairo")
OFF_THE_HOUR = ("Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns")
VALUES = ("A", "a2", "B", "C", "D", "E", "stranger", "другой", None)


def document(**store: Any) -> dict[str, Any]:
    """The configuration, with keys of its store changed."""
    fields = {"time": "t", "customer": "c", "id": "id"}
    return {
        "settings": {"zone": HOME},
        "stores": {"logs": {"type": "embedded", "folder": "events", "fields": fields, **store}},
        "views": {name: {"store": "logs", "count": count} for name, count in VIEWS.items()},
    }


def member(id_: str, **changes: Any) -> RosterCustomer:
    given: dict[str, Any] = {
        "id": id_, "aliases": (), "name": id_, "tier": None, "emails": (), "zone": HOME, "language": "en",
        "billing_day": 1, "valid_from": None, "valid_until": None,
    }  # fmt: skip
    return RosterCustomer(**{**given, **changes})


def roster_of(members: Iterable[RosterCustomer]) -> Roster:
    return Roster({one.id: one for one in sorted(members, key=lambda one: one.id.encode())}, zone=HOME)


def random_roster(dice: Random, at: datetime, zones: Sequence[str] = ZONES) -> Roster:
    """Customers with zones, billing days and contracts of their own; some of `VALUES` stay strangers."""
    if dice.random() < 0.1:
        return Roster({}, open=True, zone=HOME)

    def day() -> date | None:
        return None if dice.random() < 0.6 else (at + timedelta(days=dice.randint(-25, 10))).date()

    found = []
    for id_ in dice.sample(["A", "B", "C", "D", "E"], dice.randint(2, 5)):
        since, until = day(), day()
        if since and until and until <= since:
            since, until = until, since + timedelta(days=1)
        aliases, day_of_month = ("a2",) if id_ == "A" else (), dice.choice([1, 1, 15, 28, 30, 31])
        contract = {"valid_from": since, "valid_until": until}
        found.append(member(id_, aliases=aliases, zone=dice.choice(zones), billing_day=day_of_month, **contract))
    return roster_of(found)


FRACTIONS = ("0", "1", "-1", "2.25", "-0.75", "100", "1e2", "9007199254740993", "[3, 4.5]", "null", "[]")
INTEGERS = ("0", "1", "-1", "7", "100", "123456", "[3, 4]", "null", "[]")
"""What every store can sum."""


def random_line(dice: Random, numbers: Sequence[str] = FRACTIONS) -> str:
    """A message's fields: a word or two, and a number, several, or none."""
    number = dice.choice(numbers)
    word = dice.choice(['"x"', '"y"', '"z"', '["x", "y"]', "null"])
    return f'{{"n": {number}, "w": {word}}}'


@dataclass
class World:
    """One store and the keepers of its views, in a ledger; `logs` is what the store holds, in plain Python."""

    database: Database
    store: LogStore
    logs: LogStore
    config: Config = field(default_factory=lambda: Config.model_validate(document()))
    roster: Roster = field(default_factory=lambda: roster_of([member("A", aliases=("a2",)), member("B")]))
    cuts: frozenset[Cut] = CUTS

    def keeper(self, name: str, **changes: Any) -> Keeper:
        given: dict[str, Any] = {
            "database": self.database, "store": self.store, "key": filter_keys(self.config, self.roster)[name],
            "roster": self.roster, "token": roster_token(self.roster, HOME), "zone": HOME, "cuts": self.cuts,
        }  # fmt: skip
        return Keeper(**{**given, **changes})

    def tallied(self, keeper: Keeper, cut: Cut, at: datetime) -> Tallied:
        return Tallied(self.store, self.database, keeper.key, cut, keeper.token, at)

    def compare(self, name: str, at: datetime, *, before: int = 1) -> None:
        """Every reading from the tallies is that from the logs: of the periods of `at`, and of so many before them."""
        keeper, view = self.keeper(name), self.config.views[name]
        for cut in sorted(self.cuts):
            for back in range(before + 1):
                source = self.tallied(keeper, cut, at)
                if cut.per == "total":
                    period = earlier(period_containing(cut.window, at, HOME), cut, 1, back)
                    expected = count_total(self.logs, name, view, self.roster, period, at)
                    found = count_total(source, name, view, self.roster, period, at)
                    assert found == expected, (name, cut, back)
                    if name == "distinct":
                        bound = count_total(source, name, view, self.roster, period, at, doubted=lambda _: False)
                        assert (bound.quantity or 0) >= (expected.quantity or 0)
                    continue
                period_of = periods(cut, at, back)
                logs = count_view(self.logs, name, view, self.roster, period_of, at, default_zone=HOME)
                sums = count_view(source, name, view, self.roster, period_of, at, default_zone=HOME)
                assert plain(sums) == plain(logs), (name, cut, back)
                if name == "distinct":
                    bounds = count_view(
                        source, name, view, self.roster, period_of, at, default_zone=HOME, doubted=lambda *_: False
                    )
                    for id_, reading in bounds.readings.items():
                        assert (reading.quantity or 0) >= (logs.readings[id_].quantity or 0)

    def sound(self, keeper: Keeper, *, logs: bool = True) -> None:
        """The tables agree with each other, and with the logs: tallies, buckets, and the sums of every cut."""
        with self.database.connect() as connection:
            mark = watermarks.load(connection, keeper.key.hash)
            if mark is None:
                return
            kept = list(tallies.tallies(connection, mark.id, mark.since, mark.counted_to))
            buckets = watermarks.buckets(connection, mark.id, mark.since, mark.counted_to)
            sums = {by: list(tallies.sums(connection, mark.id, by.cut.name, *EVER)) for by in keeper.segments}
            assert len(list(tallies.tallies(connection, mark.id, *EVER))) == len(kept)
        width = keeper.key.width
        assert [bucket.start for bucket in buckets] == starts(mark.since, mark.counted_to, width)
        assert not logs or mark.cuts == {by.cut.name: keeper.token for by in keeper.segments}
        for by, found in sums.items():
            if mark.cuts.get(by.cut.name) != keeper.token:
                continue  # they are still of another roster
            groups: dict[tuple[str, datetime, datetime], list[Any]] = {}
            for start, name, amount in kept:
                groups.setdefault((name, *by.of(name, start)), []).append(amount)
            expected = {PeriodSum(*key, together(keeper.key.aggregation, of)) for key, of in groups.items()}
            assert set(found) == expected and len(found) == len(expected), by.cut
        if logs and not any(bucket.changed for bucket in buckets):
            self._as_the_logs(keeper, mark, kept, buckets)

    def _as_the_logs(self, keeper: Keeper, mark: Watermark, kept: Sequence[Any], buckets: Sequence[Bucket]) -> None:
        logs = {
            (bucket.start, name_of(tally.subject)): amount_of(tally)
            for bucket in buckets
            for tally in self.logs.count(keeper.key.query((bucket.start, bucket.counted_to)))
        }
        assert {(start, name): amount for start, name, amount in kept} == logs
        for bucket in buckets:
            assert bucket.counted_to == min(bucket.start + keeper.key.width, mark.counted_to)
        heads = {bucket.start: (bucket.messages, bucket.customers, bucket.unattributed) for bucket in buckets}
        found_heads = dict.fromkeys(heads, (0, 0, 0))
        for (start, name), amount in logs.items():
            all_, customers, nobody = found_heads[start]
            found_heads[start] = (all_ + amount.messages, customers + 1, nobody + (amount.messages if not name else 0))
        assert heads == found_heads


EVER = (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))


def earlier(period: Period, cut: Cut, billing_day: int, number: int) -> Period:
    """The period so many before."""
    for _ in range(number):
        just_before = period.start - timedelta(milliseconds=1)
        period = period_containing(cut.window, just_before, period.zone, billing_day)
    return period


def periods(cut: Cut, at: datetime, back: int) -> Callable[[RosterCustomer], Period]:
    """Each customer's period that `at` lies in, or one of those before it."""

    def period_of(one: RosterCustomer) -> Period:
        running = period_containing(cut.window, at, one.zone, one.billing_day)
        return earlier(running, cut, one.billing_day, back)

    return period_of


def plain(counted: ViewCount) -> ViewCount:
    """Without what tallies do not know."""
    return replace(counted, integrity=replace(counted.integrity, duplicates=None))


def needed(world: World, at: datetime, *, before: int = 1) -> datetime:
    """The start of the earliest period that `World.compare` looks at."""
    found = [period_containing("day", at, HOME).start]
    for cut in world.cuts:
        for one in (member(""), *world.roster.customers.values()):
            zone = HOME if cut.per == "total" else one.zone
            running = period_containing(cut.window, at, zone, one.billing_day)
            found.append(earlier(running, cut, one.billing_day, before).start)
    return min(found)
