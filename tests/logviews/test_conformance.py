"""Every store gives what plain Python gives: the conformance suite, over generated messages and views."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from generated import FIELDS, START, TYPES, datasets, filter_trees
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from stores import Loaded, expected, load, open_ledger, tallies

from config.filters import fields as fields_of
from ledger.database import Database
from logviews.messages import values
from logviews.store import CountQuery, Member, StoreUnavailable

END = START + timedelta(days=5)
VIEWS_PER_DATASET = 12
EXAMPLES = int(os.environ.get("TALLYWATCH_TEST_EXAMPLES", "60"))


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = open_ledger(tmp_path_factory.mktemp("ledger"))
    yield database
    database.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stores")


@st.composite
def queries(draw: st.DrawFn) -> CountQuery:
    """A question: a filter, one of the seven aggregations, and buckets or members."""
    aggregation = draw(st.sampled_from(["messages", "messages", "distinct", "sum", "min", "max", "average", "latest"]))
    numeric = [field for field, type_ in FIELDS.items() if type_ in ("decimal", "integer")]
    field = None
    if aggregation != "messages":
        field = draw(st.sampled_from(sorted(FIELDS) if aggregation == "distinct" else numeric))
    steps = draw(st.lists(st.integers(1, 5 * 86_400_000 - 1), max_size=4, unique=True))
    edges = (START, *sorted(START + timedelta(milliseconds=step) for step in steps), END)
    members = None
    if draw(st.integers(0, 3)) == 0:
        members = [
            Member("A", "one", START, START + timedelta(days=2)),
            Member("B", "one", START, END),
            Member("Ö", "two", START + timedelta(hours=5), END),
        ]
    return CountQuery("view", draw(filter_trees()), aggregation, field, 14, edges, members)


def used(query: CountQuery) -> list[str]:
    return sorted({*fields_of(query.where), *([query.field] if query.field else [])})


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    lines=datasets(), asked=st.lists(queries(), min_size=VIEWS_PER_DATASET, max_size=VIEWS_PER_DATASET), data=st.data()
)
def test_the_embedded_store_counts_what_plain_python_counts(
    ledger: Database, folder: Path, lines: list[str], asked: list[CountQuery], data: st.DataObject
) -> None:
    # columns that are there from the start, columns taken out later, and both
    some = data.draw(st.sampled_from([sorted(FIELDS), [], ["number", "word"]]))
    loaded = load(ledger, folder, lines, fields=some, files=data.draw(st.integers(1, 3)), types=TYPES)
    assert sum(report.new for report in loaded.reports) == len(lines)
    for query in asked:
        compare(loaded, query)


def compare(loaded: Loaded, query: CountQuery) -> None:
    never_seen = [field for field in used(query) if field not in TYPES and not any_has(loaded, field)]
    if never_seen:
        with pytest.raises(StoreUnavailable, match="has ever had the field"):
            list(loaded.store.count(query))
        return
    assert tallies(loaded.store.count(query)) == expected(loaded, query), query


def any_has(loaded: Loaded, field: str) -> bool:
    return any(values(event.message, field) for event in loaded.events)


def test_the_suite_compares_at_least_five_hundred_pairs() -> None:
    limits: Any = test_the_embedded_store_counts_what_plain_python_counts._hypothesis_internal_use_settings  # type: ignore[attr-defined]
    assert limits.max_examples * VIEWS_PER_DATASET >= 500
