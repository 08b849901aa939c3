"""Running the service: APScheduler ticks, a thread delivers, signals stop and reload."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from pathlib import Path
from types import FrameType
from typing import Final

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from config.errors import TallywatchError
from config.load import Loaded
from ledger import clock
from ledger.database import Database
from ledger.lease import LeaseLostError, lease
from tallywatch.service.service import Service

TICK_SECONDS: Final = 5
"""How often the due table is looked at."""

DELIVER_EVERY_SECONDS: Final = 5.0
"""How often the outbox is looked at while nothing says that there is something new."""

GIVE_UP_AFTER: Final = timedelta(minutes=10)
"""How long the ledger may be out of reach before the service ends, so that whoever supervises it sees."""

log = structlog.get_logger("tallywatch.service.run")


def serve(config_path: Path, loaded: Loaded, database: Database) -> None:
    """Works until SIGTERM or Ctrl-C, and finishes what it holds then. SIGHUP reloads the configuration.

    Raises:
        LeaseTakenError: when another service works on the ledger.
        LedgerError: when the ledger stays out of reach, or the lease was lost.
    """
    with lease(database) as held:
        service = Service(config_path, loaded, database, held, clock.now)
        guard = _Guard(service)
        with _signals(service):
            scheduler = BackgroundScheduler(timezone=UTC)
            scheduler.add_job(
                guard.of(service.tick),
                "interval",
                name="tick",
                seconds=TICK_SECONDS,
                next_run_time=clock.now(),
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
            )
            delivery = threading.Thread(target=_delivering, args=(service, guard), name="delivery")
            log.info("started", config=str(config_path), monitors=len(loaded.config.monitors))
            scheduler.start()
            delivery.start()
            try:
                while not service.stopping.wait(timeout=1.0):
                    pass  # a signal is seen between two waits
            finally:
                service.stopping.set()
                service.something_to_deliver.set()
                scheduler.shutdown(wait=True)
                delivery.join()
                service.close()
                log.info("stopped")
        guard.raise_failure()


class _Guard:
    """Lets a failing ledger be tried again for a while; what fails for good stops the service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._failing_since: float | None = None
        self._failure: TallywatchError | None = None

    def of(self, work: Callable[[], object]) -> Callable[[], None]:
        """The work, with its failures told and remembered."""

        def guarded() -> None:
            if self._service.stopping.is_set():
                return
            try:
                work()
            except TallywatchError as error:
                self._failed(error)
            except Exception as error:
                # whatever nobody foresaw must not end a thread that everything depends on
                log.exception("unforeseen")
                self._failed(TallywatchError(f"{type(error).__name__}: {error}"))
            else:
                self._failing_since = None

        return guarded

    def raise_failure(self) -> None:
        """Raises what stopped the service, if anything did."""
        if self._failure is not None:
            raise self._failure

    def _failed(self, error: TallywatchError) -> None:
        now = time.monotonic()
        self._failing_since = now if self._failing_since is None else self._failing_since
        log.error("cannot go on", problem=str(error))
        lost = isinstance(error, LeaseLostError)
        if lost or now - self._failing_since > GIVE_UP_AFTER.total_seconds():
            self._failure = error
            self._service.stopping.set()


def _delivering(service: Service, guard: _Guard) -> None:
    deliver = guard.of(service.deliver)
    while not service.stopping.is_set():
        deliver()
        service.something_to_deliver.wait(timeout=DELIVER_EVERY_SECONDS)


@contextmanager
def _signals(service: Service) -> Iterator[None]:
    def stop(number: int, _frame: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        service.stopping.set()

    def reload(_number: int, _frame: FrameType | None) -> None:
        service.ask_for_reload()

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, reload)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
