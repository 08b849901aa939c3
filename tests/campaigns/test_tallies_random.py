"""A few steps of the campaign `tallies_random.py`, in each database and kind of store, so that it keeps working."""

from __future__ import annotations

from pathlib import Path

import tallies_random
from tallies_random import ElasticsearchSource, EmbeddedSource

from ledger.database import open_database


def test_tallies_are_what_the_logs_are_after_every_random_step(tmp_path: Path, ledger_url: str) -> None:
    database = open_database(ledger_url, simulation=False, now=tallies_random.START)
    source = EmbeddedSource(tmp_path, database)
    done = tallies_random.campaign(source, database, steps=4, seed=4, views=["sum", "distinct", "min", "average"])
    database.close()
    assert done["messages"] and done["duplicates"]


def test_tallies_are_what_elasticsearch_has_after_every_random_step(tmp_path: Path, elasticsearch_url: str) -> None:
    database = open_database(f"sqlite:///{tmp_path}/ledger.db", simulation=False, now=tallies_random.START)
    source = ElasticsearchSource(elasticsearch_url)
    try:
        done = tallies_random.campaign(source, database, steps=4, seed=4, views=["messages", "sum", "latest"])
    finally:
        source.close()
        database.close()
    assert done["messages"] and done["duplicates"]
