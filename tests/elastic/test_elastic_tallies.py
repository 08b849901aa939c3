"""Tallies of a store in Elasticsearch, where two processes or a clock get in each other's way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from elastic_stores import fill, index, mapping_of, opened, settings
from elasticsearch import Elasticsearch

from config.models import Config
from config.roster import Roster
from ledger import tallies, watermarks
from ledger.database import Database, open_database
from ledger.records import Tally
from logviews.elastic.store import Elastic
from logviews.store import CountQuery
from logviews.tallies import keeper as keepers
from logviews.tallies.keeper import Keeper
from logviews.tallies.keys import filter_keys

FIELDS = {"time": "time", "customer": "customer"}
STAMPED = FIELDS | {"ingested": "arrived"}
CONFIG = Config.model_validate(
    {
        "settings": {"zone": "UTC"},
        "stores": {"logs": {"type": "embedded", "folder": "e", "fields": FIELDS}},
        "views": {"calls": {"store": "logs"}},
    }
)


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 10, 10, hour, minute, tzinfo=UTC)


@pytest.fixture(scope="module")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url) as found:
        yield found


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = open_database(f"sqlite:///{tmp_path / 'ledger.db'}", simulation=False, now=at(0))
    yield found
    found.close()


def keeper_of(database: Database, store: Elastic) -> Keeper:
    roster = Roster({}, open=True, zone="UTC")
    return Keeper(database, store, filter_keys(CONFIG, roster)["calls"], roster, "token", "UTC", frozenset())


def put(client: Elasticsearch, name: str, time: datetime, arrived: datetime) -> None:
    message = {"id": f"{time}-{arrived}", "time": time.isoformat(), "arrived": arrived.isoformat(), "customer": "A"}
    assert fill(client, name, [json.dumps(message)])


def kept(keeper: Keeper) -> dict[int, int]:
    """Hour -> messages, by the tallies."""
    with keeper.database.connect() as connection:
        mark = watermarks.load(connection, keeper.key.hash)
        assert mark is not None
        found = tallies.tallies(connection, mark.id, mark.since, mark.counted_to)
        return {start.hour: amount.messages for start, _, amount in found}


def logged(keeper: Keeper, last: int) -> dict[int, int]:
    """Hour -> messages, by the logs."""
    query = keeper.key.query(tuple(at(hour) for hour in range(6, last + 1)))
    return {tally.start.hour: tally.messages for tally in keeper.store.count(query)}


def test_who_was_outrun_counts_from_what_the_other_one_saw_or_later(
    client: Elasticsearch, elasticsearch_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepers, "AT_ONCE", 0)  # so that it is done piece by piece
    with (
        index(client, mapping_of({"arrived": "time"})) as name,
        opened(settings(elasticsearch_url, name, fields=STAMPED)) as here,
        opened(settings(elasticsearch_url, name, fields=STAMPED)) as there,
    ):
        ours, theirs, count = keeper_of(database, here), keeper_of(database, there), Elastic.count
        assert ours.bring_up(at(11), at(6), lambda: True) is None
        put(client, name, at(7, 30), at(11, 31))

        def count_slowly(self: Elastic, query: CountQuery) -> Iterator[Tally]:
            found = count(self, query)
            if self is here:
                monkeypatch.setattr(Elastic, "count", count)
                put(client, name, at(7, 40), at(12))
                put(client, name, at(9, 40), at(12, 11))
                theirs.catch_up(at(12, 12))
            return found

        monkeypatch.setattr(Elastic, "count", count_slowly)
        with here.at_once():
            assert ours.bring_up(at(12), at(6), lambda: True) is None
        assert ours.bring_up(at(13), at(6), lambda: True) is None
        assert kept(ours) == logged(ours, 13) == {7: 2, 9: 1}


@pytest.mark.parametrize("fields", [STAMPED, FIELDS], ids=["stamped", "without stamps"])
def test_what_comes_after_a_clock_was_set_back_is_found(
    client: Elasticsearch, elasticsearch_url: str, database: Database, fields: dict[str, str]
) -> None:
    with (
        index(client, mapping_of({"arrived": "time"})) as name,
        opened(settings(elasticsearch_url, name, fields=fields, lateness="1h")) as store,
    ):
        keeper = keeper_of(database, store)
        put(client, name, at(9, 50), at(12, 50))
        assert keeper.bring_up(at(13), at(6), lambda: True) is None
        put(client, name, at(10, 5), at(10, 5))  # it is not three hours later, but now
        assert keeper.bring_up(at(12, 30), at(6), lambda: True) is None
        assert keeper.bring_up(at(14), at(6), lambda: True) is None
        assert kept(keeper) == logged(keeper, 14) == {9: 1, 10: 1}
