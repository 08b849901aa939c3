"""Some faults of the campaign `elastic_faults.py`, each once: what only two nodes can have, and a few others."""

from __future__ import annotations

import random
from pathlib import Path

import elastic_faults
from elasticsearch_wanted import or_left_out
from fault_world import world

NAMES = (
    "a storm of everything", "an answer that is not whole", "an expired point in time", "an index deleted",
    "an index closed", "late messages", "an alias switched", "an alias switched and its index deleted",
    "a shard moved", "a copy of a shard lost", "a data node killed",
)  # fmt: skip


def test_no_fault_makes_a_wrong_number(tmp_path: Path) -> None:
    with or_left_out(world(7)) as there:
        outcomes = elastic_faults.strikes(there, tmp_path, NAMES, random.Random(7))
    assert [outcome.kind for outcome in outcomes] == list(NAMES)
    assert sum(outcome.reason is None for outcome in outcomes) > len(NAMES) // 2
