"""Elasticsearch, the embedded store and plain Python give one answer, over generated messages and views.

Where Elasticsearch cannot give it, it refuses; the test says from the messages alone where that has to be so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import elastic_stores
import pytest
import stores
from elastic_stores import Loaded
from elasticsearch import Elasticsearch
from generated import FIELDS, TYPES, datasets
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from test_conformance import any_has, queries, used

from ledger.database import Database
from ledger.records import UNATTRIBUTED
from logviews import reference
from logviews.messages import Number, values
from logviews.reference import Event
from logviews.store import CountQuery, StoreUnavailable

VIEWS_PER_DATASET = 60
EXAMPLES = int(os.environ.get("TALLYWATCH_TEST_EXAMPLES", "17"))
SHARDS = (1, 3)
BEYOND = 2**53


@pytest.fixture(scope="module")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url) as found:
        yield found


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = stores.open_ledger(tmp_path_factory.mktemp("ledger"))
    yield database
    database.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stores")


@pytest.mark.parametrize("shards", SHARDS)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    lines=datasets(),
    page=st.sampled_from([1, 2, 30_000]),
    data=st.data(),
)
def test_both_stores_count_what_plain_python_counts(
    elasticsearch_url: str,
    client: Elasticsearch,
    ledger: Database,
    folder: Path,
    lines: list[str],
    page: int,
    shards: int,
    data: st.DataObject,
) -> None:
    with elastic_stores.load(
        client, elasticsearch_url, lines, FIELDS, page=page, shards=shards, types=TYPES
    ) as elastic:
        embedded = stores.load(ledger, folder, [line for line in lines if taken(elastic, line)], types=TYPES)
        assert len(embedded.events) == len(elastic.events)
        with elastic.store.at_once():  # the messages stay as they are, so that one snapshot does for all views
            for _ in range(VIEWS_PER_DATASET):
                compare(elastic, embedded, data.draw(queries()))


def taken(loaded: Loaded, line: str) -> bool:
    return any(f'"{event.id}"' in line for event in loaded.events)


def compare(elastic: Loaded, embedded: stores.Loaded, query: CountQuery) -> None:
    expected = comparable(reference.count(elastic.events, query, TYPES), query)
    if all(field in TYPES or any_has(embedded, field) for field in used(query)):
        assert comparable(embedded.store.count(query), query) == expected, query
    try:
        found = comparable(elastic.store.count(query), query)
    except StoreUnavailable as error:
        assert refused(elastic.events, query), error
    else:
        assert not refused(elastic.events, query), query
        assert found == expected, query


def comparable(tallies: Any, query: CountQuery) -> dict[object, object]:
    """Tallies without what only one store says: of the unattributed rest the messages alone are promised."""
    found = {}
    for tally in tallies:
        key = tally.subject, tally.start
        assert key not in found
        if tally.subject == UNATTRIBUTED:
            found[key] = tally.messages
        else:
            values_ = bool(tally.values) if query.aggregation == "distinct" else tally.values
            found[key] = tally.quantity, tally.messages, values_, tally.newest, tally.newest_id
    return found


def refused(events: list[Event], query: CountQuery) -> bool:
    """Whether Elasticsearch cannot answer exactly: decimals are added, or numbers are too large for doubles."""
    first, last = query.edges[0], query.edges[-1]
    within = [event for event in events if first <= event.time < last]
    if query.aggregation in ("sum", "average") and FIELDS[query.field or ""] == "decimal":
        return True
    decimals = [field for field in used(query) if FIELDS[field] == "decimal"]
    if any(large(event, field) for field in decimals for event in within):
        return True
    if query.field is None or FIELDS[query.field] != "integer" or query.aggregation in ("distinct", "latest"):
        return False
    matching = [event for event in within if reference.matches(query.where, event.message, TYPES) and event.customer]
    named = None if query.members is None else {member.value for member in query.members}
    cuts = (
        query.edges
        if query.members is None
        else sorted(
            {
                first,
                last,
                *(edge for member in query.members for edge in (member.start, member.end) if first < edge < last),
            }
        )
    )
    groups: dict[object, list[Event]] = {}
    for event in matching:
        if named is None or event.customer in named:
            groups.setdefault((event.customer, max(cut for cut in cuts if cut <= event.time)), []).append(event)
    if query.aggregation in ("sum", "average"):
        return any(large(event, query.field) for found in groups.values() for event in found)
    chosen = min if query.aggregation == "min" else max
    extremes = [[number(v) for event in found for v in values(event.message, query.field)] for found in groups.values()]
    return any(abs(chosen(found)) >= BEYOND for found in extremes if found)


def large(event: Event, field: str) -> bool:
    return any(abs(number(value)) >= BEYOND for value in values(event.message, field))


def number(value: object) -> Decimal:
    assert isinstance(value, Number)
    return Decimal(value)


def test_the_suite_compares_at_least_two_thousand_pairs() -> None:
    limits: Any = test_both_stores_count_what_plain_python_counts._hypothesis_internal_use_settings  # type: ignore[attr-defined]
    assert limits.max_examples * VIEWS_PER_DATASET * len(SHARDS) >= 2_000
