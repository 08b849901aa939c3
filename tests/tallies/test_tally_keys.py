"""Which views share their tallies, and how time is cut up for whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from tallies_world import HOME, MONTHLY, document, member, random_roster, roster_of

from config.models import Config
from config.roster import Roster
from ledger.periods import period_containing
from logviews.store import StoreUnavailable
from logviews.tallies.keys import HOUR, QUARTER, filter_keys
from logviews.tallies.segments import Cut, Segments, roster_token

AT = datetime(2026, 10, 25, 9, tzinfo=UTC)
EVERYBODY = Roster({}, open=True, zone=HOME)


def hash_of(view: dict[str, Any], roster: Roster = EVERYBODY, **store: Any) -> str:
    given = document(**store)
    given["views"] = {"v": {"store": "logs", **view}}
    return filter_keys(Config.model_validate(given), roster)["v"].hash


def test_views_that_differ_in_whom_they_select_and_how_they_are_called_share_their_tallies() -> None:
    plain = {"where": {"a": 1}}
    for other in ({"title": "Calls"}, {"unit": "calls"}, {"meter": "m"}, {"customers": ["A"]}):
        assert hash_of({**plain, **other}) == hash_of(plain)


def test_whatever_tallies_depend_on_makes_another_filter() -> None:
    plain = {"where": {"a": 1}}
    found = [
        hash_of(plain),
        hash_of({}),
        hash_of({"where": {"a": "x"}}),
        hash_of({"where": {"b": 1}}),
        hash_of({**plain, "count": {"sum": "n"}}),
        hash_of({**plain, "count": {"sum": "n", "scale": 2}}),
        hash_of({**plain, "count": {"max": "n"}}),
        hash_of({**plain, "count": {"max": "m"}}),
        hash_of(plain, folder="elsewhere"),
        hash_of(plain, types={"a": "integer"}),
        hash_of(plain, roster_of([member("A", zone="Asia/Kathmandu")])),
    ]
    assert len(set(found)) == len(found)


def test_what_tallies_do_not_depend_on_makes_no_other_filter() -> None:
    plain = {"where": {"a": 1}}
    for other in ({"lateness": "3h"}, {"stale_after": "1h"}, {"retention": "9d"}, {"types": {"z": "string"}}):
        assert hash_of(plain, **other) == hash_of(plain)


def test_a_store_in_elasticsearch_is_known_by_its_hosts_index_and_fields() -> None:
    def of(**changes: Any) -> str:
        store = {
            "type": "elasticsearch", "hosts": ["https://a:9200", "https://b:9200"], "index": "logs-*",
            "fields": {"time": "t", "customer": "c"},
        }  # fmt: skip
        given = {"stores": {"logs": {**store, **changes}}, "views": {"v": {"store": "logs"}}}
        return filter_keys(Config.model_validate(given), EVERYBODY)["v"].hash

    assert of(hosts=["https://b:9200", "https://a:9200"]) == of(timeout="9s") == of()
    others = [of(), of(index="other-*"), of(hosts=["https://a:9200"]), of(fields={"time": "t", "customer": "d"})]
    assert len(set(others)) == 4


@pytest.mark.parametrize("seed", range(6))
def test_segments_tile_time_and_end_where_periods_and_contracts_do(seed: int) -> None:
    dice = Random(seed)
    roster = random_roster(dice, AT, (HOME, "America/New_York", "Asia/Kathmandu"))
    for cut in (MONTHLY, Cut("customer", "day"), Cut("customer", "week"), Cut("total", "month")):
        segments = Segments(roster, cut, HOME, QUARTER)
        for name in ("A", "a2", "C", "stranger", ""):
            at = AT - timedelta(days=40)
            while at < AT:
                start, end = segments.of(name, at)
                assert start <= at < end
                assert segments.of(name, start) == segments.of(name, end - timedelta(milliseconds=1)) == (start, end)
                found = roster.find(name) if name else None
                zone, day = (HOME, 1) if found is None or cut.per == "total" else (found.zone, found.billing_day)
                period = period_containing(cut.window, at, zone, day)
                assert period.start <= start and end <= period.end
                at = end


def test_a_contract_cuts_a_segment_at_its_first_day_and_after_its_last() -> None:
    who = member("A", valid_from=date(2026, 10, 5), valid_until=date(2026, 10, 20))
    segments = Segments(roster_of([who]), MONTHLY, HOME, HOUR)
    month = period_containing("month", AT, HOME)
    first, last = datetime(2026, 10, 4, 22, tzinfo=UTC), datetime(2026, 10, 19, 22, tzinfo=UTC)
    assert segments.of("A", month.start) == (month.start, first)
    assert segments.of("A", first) == (first, last)
    assert segments.of("A", last) == (last, month.end)
    assert segments.of("stranger", first) == (month.start, month.end)


def test_a_segment_that_ends_within_a_bucket_is_refused() -> None:
    segments = Segments(roster_of([member("A", zone="Asia/Kathmandu")]), MONTHLY, HOME, HOUR)
    with pytest.raises(StoreUnavailable, match="Asia/Kathmandu"):
        segments.of("A", AT)


def test_the_token_of_a_roster_is_of_what_cuts_time_alone() -> None:
    who = member("A", aliases=("a2",))
    token = roster_token(roster_of([who]), HOME)
    for same in ({"name": "Other"}, {"emails": ("a@b.c",)}, {"tier": "pro"}, {"language": "sv"}):
        assert roster_token(roster_of([replace(who, **same)]), HOME) == token
    for other in ({"zone": "UTC"}, {"billing_day": 2}, {"valid_from": date(2026, 1, 1)}, {"aliases": ()}, {"id": "B"}):
        assert roster_token(roster_of([replace(who, **other)]), HOME) != token
    assert roster_token(roster_of([who]), "UTC") != token
    assert roster_token(EVERYBODY, HOME) != roster_token(roster_of([]), HOME)
