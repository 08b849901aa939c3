"""A configuration with an embedded store and one in Elasticsearch: each is treated as what it is, and opened once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from service_world import CONFIGURATION, World

from config.load import Loaded, load
from ledger.database import Database, open_database
from logviews.elastic.store import Elastic
from logviews.embedded.store import Embedded
from logviews.store import LogStore
from tallywatch import compose
from tallywatch.connections import CONNECTIONS
from tallywatch.doctor import machine, stores
from tallywatch.service.picking import merging, picking

NOW = datetime(2026, 10, 5, 12, tzinfo=UTC)
API = "{type: elasticsearch, hosts: http://127.0.0.1:9, index: api, fields: {time: t, customer: c}}"
TEXT = f"""\
stores:
  web: {{type: embedded, folder: events, read: logs/*.jsonl, fields: {{time: t, customer: c}}}}
  api: {API}
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    return configured(tmp_path)


def configured(folder: Path, **env: str) -> Loaded:
    (folder / "tallywatch.yaml").write_text(TEXT, encoding="utf-8")
    return load(folder / "tallywatch.yaml", {f"TALLYWATCH_STORES__API__{name}": value for name, value in env.items()})


@pytest.fixture
def database(loaded: Loaded) -> Iterator[Database]:
    opened = open_database(loaded.config.settings.database, simulation=False, now=NOW)
    yield opened
    CONNECTIONS.close()
    opened.close()


def closed(store: LogStore) -> bool:
    """Whether the connections of a store in Elasticsearch are given up."""
    assert isinstance(store, Elastic)
    return all(node.pool.pool is None for node in store.session.client.transport.node_pool.all())


def test_files_folders_and_parts_are_what_embedded_stores_have(loaded: Loaded, database: Database) -> None:
    assert [job.name for job in picking(loaded, database)] == ["pick up web"]
    assert [job.name for job in merging(loaded, database)] == ["merge web"]
    assert {finding.about for finding in stores.places(loaded)} == {"store web"}
    assert {finding.about for finding in stores.contents(loaded, database, NOW)} == {"store web"}
    assert list(machine.disk(loaded, database))


def test_each_store_is_opened_as_what_it_is(loaded: Loaded, database: Database) -> None:
    assert isinstance(compose.store(loaded, database, "web"), Embedded)
    assert isinstance(compose.store(loaded, database, "api"), Elastic)


def test_a_store_in_elasticsearch_is_opened_once_for_its_settings(tmp_path: Path, database: Database) -> None:
    first = compose.store(configured(tmp_path), database, "api")
    assert compose.store(configured(tmp_path), database, "api") is first
    another = compose.store(configured(tmp_path, API_KEY="one"), database, "api")
    assert another is not first
    assert compose.store(configured(tmp_path, API_KEY="two"), database, "api") is not another
    assert compose.store(configured(tmp_path, API_KEY="one"), database, "api") is another


def test_what_a_reload_leaves_is_kept_and_the_rest_is_closed(tmp_path: Path, database: Database) -> None:
    before, after = configured(tmp_path), configured(tmp_path, API_KEY="one")
    gone, kept = compose.store(before, database, "api"), compose.store(after, database, "api")
    CONNECTIONS.keep_only(after.config.elasticsearch_stores)
    assert (closed(gone), closed(kept)) == (True, False)
    assert compose.store(after, database, "api") is kept
    assert compose.store(before, database, "api") is not gone


def test_everything_is_closed_in_the_end_and_can_be_opened_again(loaded: Loaded, database: Database) -> None:
    store = compose.store(loaded, database, "api")
    CONNECTIONS.close()
    assert closed(store)
    assert not closed(compose.store(loaded, database, "api"))


def test_the_service_closes_what_its_new_configuration_does_not_have_and_all_when_it_stops(tmp_path: Path) -> None:
    world = World(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}")
    both = CONFIGURATION.replace("tiers:", "  api: {}\ntiers:".format(API.replace("{", "{{").replace("}", "}}")), 1)
    world.write(both)
    with world.service() as service:
        first = compose.store(service.loaded, service.database, "api")
        service.ask_for_reload()
        service.tick()
        assert not closed(first)
        world.write(both.replace(":9,", ":10,"))
        service.ask_for_reload()
        service.tick()
        assert closed(first)
        second = compose.store(service.loaded, service.database, "api")
    assert closed(second)


def test_who_has_embedded_stores_alone_does_not_wait_for_the_client(tmp_path: Path) -> None:
    text = TEXT.replace(f"  api: {API}\n", "views: {calls: {store: web}}\n")
    (tmp_path / "tallywatch.yaml").write_text(text, encoding="utf-8")
    program = (
        "import sys\n"
        "from tallywatch.cli import cli\n"
        "cli.main(['count', 'calls'], standalone_mode=False)\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('elasticsearch', 'elastic_transport')])\n"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
