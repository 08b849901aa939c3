"""A month of messages that comes in as time goes on, and our service that watches it."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Final

import common
import loading
import own_config
import rival
from books import OURS
from common import instant, messages
from rival import Rival

FILTER: Final = """\
- term:
    service.name: public-api
- terms:
    http.request.method: [GET, POST]
- range:
    http.response.status_code: {gte: 200, lt: 300}
- prefix:
    url.path: /v1/
- bool:
    must_not:
      term:
        url.path: /v1/health
"""
WHERE: Final = """\
      service.name: public-api
      http.request.method: [GET, POST]
      http.response.status_code: {gte: 200, lt: 300}
      url.path: {prefix: /v1/, not: /v1/health}
"""
"""The filter of `messages.WHERE` in both languages; it finds a quarter of the messages."""


class Month:
    """An index that has all messages up to an instant, and the customers of six tiers who sent them.

    `share` says what is included: so many times the messages that a customer sends in the month.
    """

    def __init__(
        self, stack: ExitStack, url: str, folder: Path, name: str, number: int, customers: int = 450, share: float = 1.0
    ) -> None:
        self.stack, self.url, self.name = stack, url, name
        self.folder = folder / name
        self.folder.mkdir()
        self.index = f"bench-{name}"
        self.client = common.connected(url)
        included = round(number / customers * share)
        self.included = {f"tier-{tier}": included + tier for tier in range(1, 7)}
        self.customers = [(f"customer-{id_:05}", f"tier-{id_ % 6 + 1}") for id_ in range(customers)]
        self._lines = self.folder / "messages.jsonl"
        messages.write(self._lines, number, customers=customers)
        stack.enter_context(loading.index(self.client, self.index))
        self._feed = loading.Feed(self.client, self.index, self._lines)

    def until(self, end: datetime | float) -> datetime:
        """Lets everything before an instant, or a day of the month, come in."""
        at = end if isinstance(end, datetime) else instant(end)
        self._feed.until(at)
        return at

    def ours(self) -> Rival:
        """The service; not started yet."""
        own = own_config.Own(WHERE, self.included, url=self.url, index=self.index)
        path = own_config.write(self.folder / "ours", own, self.customers)
        command = [sys.executable, str(rival.HERE / "own_driver.py"), str(path)]
        found = Rival("tallywatch", command, self.url, OURS, self.folder / "ours.log")
        self.stack.callback(found.kill)
        return found
