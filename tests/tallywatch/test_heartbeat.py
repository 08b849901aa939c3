"""The heartbeat: a request to somebody's watchdog, as long as evaluations succeed and notices leave."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from service_world import CONFIGURATION, START, World
from test_service import break_store

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Watchdog(HTTPServer):
    """A server that counts who asks."""

    beats = 0


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Watchdog)
        self.server.beats += 1
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name that the library gives it)
        pass


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    with Watchdog(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def world(tmp_path, watchdog):
    made = World(tmp_path, "sqlite:///ledger.db")
    port = watchdog.server_address[1]
    heartbeat = f"settings: {{{{heartbeat: {{{{url: 'http://127.0.0.1:{port}/secret', every: 5m}}}}, "
    made.write(CONFIGURATION.replace("settings: {{", heartbeat))
    return made


def test_it_beats_while_all_is_well(world, watchdog):
    world.log("A", START)
    with world.service() as service:
        world.run(service, HOUR)
    assert watchdog.beats == 12


def test_it_stops_with_an_evaluation_that_fails_and_goes_on_with_the_next_good_one(world, watchdog):
    world.log("A", START)
    with world.service() as service:
        world.run(service, 10 * MINUTE)
        break_store(service, world)
        world.run(service, 50 * MINUTE)
        before = watchdog.beats
        world.run(service, HOUR)
        assert watchdog.beats == before
        gone = world.folder / "other-events/parts"
        assert not gone.exists()


def test_it_stops_when_a_notice_waits_for_long(world, watchdog):
    world.log("A", START, 10)
    (world.folder / "mail").write_text("a file where the folder of mail should be")
    with world.service() as service:
        world.run(service, 2 * HOUR)
        beats = watchdog.beats
        assert 1 <= beats <= 7
        (world.folder / "mail").unlink()
        world.run(service, 2 * HOUR)
        assert watchdog.beats > beats


def test_a_watchdog_that_does_not_answer_is_no_failure_of_anything_else(world, watchdog, caplog):
    world.log("A", START, 10)
    watchdog.server_close()
    with world.service() as service:
        world.run(service, 20 * MINUTE)
    assert "2026-10-05_near_limit_a" in world.mails()
    assert "secret" not in caplog.text
