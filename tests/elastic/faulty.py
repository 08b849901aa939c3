"""Asking a store in Elasticsearch through a proxy with faults, with time that passes only where somebody waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from elastic_stores import opened, settings
from fault_proxy import FaultProxy, Plan

from config import filters
from logviews.elastic.store import Elastic
from logviews.store import CountQuery

START = datetime(2026, 10, 1, tzinfo=UTC)
HOURS = 4
CUSTOMERS = 30
PAGE = 7


@dataclass
class Waiting:
    """Pauses that take no time, and the clock that they move."""

    pauses: list[float] = field(default_factory=list)

    def pause(self, seconds: float) -> None:
        """Notes the pause."""
        self.pauses.append(seconds)

    def clock(self) -> float:
        """How long was waited in all."""
        return sum(self.pauses)


@dataclass
class Asked:
    """A store behind a proxy, and how long it was waited for."""

    store: Elastic
    proxy: FaultProxy
    waiting: Waiting

    def count(self) -> dict[str, int]:
        """Messages by customer, counted in many pages."""
        found: dict[str, int] = {}
        for tally in self.store.count(QUESTION):
            found[str(tally.subject)] = found.get(str(tally.subject), 0) + tally.messages
        return found


QUESTION = CountQuery(
    "calls", filters.EVERYTHING, "messages", None, 0, tuple(START + timedelta(hours=hour) for hour in range(HOURS + 1))
)


def messages(number: int, prefix: str = "m") -> list[dict[str, Any]]:
    """So many messages of the customers in turn, spread over the hours."""
    return [
        {
            "time": (START + timedelta(minutes=n * 7 % (60 * HOURS))).isoformat(),
            "id": f"{prefix}{n}",
            "customer": f"c{n % CUSTOMERS:02}",
        }
        for n in range(number)
    ]


def counted(number: int) -> dict[str, int]:
    """What is to be counted in so many messages."""
    found: dict[str, int] = {}
    for n in range(number):
        found[f"c{n % CUSTOMERS:02}"] = found.get(f"c{n % CUSTOMERS:02}", 0) + 1
    return found


@contextmanager
def asked(server: str, index: str | list[str], plan: Plan = lambda _: None, **changes: Any) -> Iterator[Asked]:
    """The store of an index of a server, behind a proxy with this plan."""
    with FaultProxy(server, plan) as proxy, opened(settings(proxy.url, index, **changes), page=PAGE) as store:
        waiting = Waiting()
        store.session.pause, store.session.clock = waiting.pause, waiting.clock
        yield Asked(store, proxy, waiting)
