"""A stream of claimed deliveries: a thread renders and sends them, while whoever made it claims more and records.

Messages are rendered when a channel can take them, and more is asked for in time, so that neither the mail server nor
the database waits for the other.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Final, Literal

from config.models import Settings
from ledger.outbox import Outgoing
from ledger.records import Receipt, RenderedNotice
from notifiers.channel import Channel
from notifiers.errors import NoticeError
from notifiers.message import compose

GROUP_SECONDS: Final = 0.02
"""How long a receipt waits for company before it is recorded."""

_STOP_SECONDS: Final = 0.05  # how often a sender that waits for more looks whether it is to stop
_UNATTEMPTED: Final = "not tried, because the mail server kept failing or time was up; its turn comes again"
log = logging.getLogger("tallywatch.notifiers.stream")


class Stream:
    """Feed it, `start` it, take its `groups` of receipts until they end; feed it more, or `close` it, when it asks."""

    def __init__(self, settings: Settings, channel: Channel, stopping: threading.Event, *, low: int) -> None:
        self.items: dict[int, Outgoing] = {}
        self.halted = threading.Event()
        self._settings, self._channel, self._stopping, self._low = settings, channel, stopping, low
        self._feed: SimpleQueue[Outgoing | None] = SimpleQueue()
        self._news: SimpleQueue[Receipt | Literal["hungry"] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: set[int] = set()  # without a receipt
        self._hungry = False
        self._sent_all = False
        self._thread = threading.Thread(target=self._run, name="delivery")
        self._group: list[Receipt] = []
        self._asks = False
        self._over = threading.Event()
        self._ended = False

    def feed(self, claimed: Sequence[Outgoing]) -> bool:
        """Adds deliveries to what leaves. False when the sender has ended meanwhile, and took none of them."""
        with self._lock:
            if self._sent_all:
                return False
            self._hungry = False
            for item in claimed:
                self.items[item.delivery.id] = item
                self._waiting.add(item.delivery.id)
                self._feed.put(item)
        return True

    def close(self) -> None:
        """There is no more to feed."""
        self._feed.put(None)

    def start(self) -> None:
        """Lets the first message leave."""
        self._thread.start()

    def groups(self) -> Iterator[tuple[tuple[Receipt, ...], bool]]:
        """The receipts, as many together as come within a moment, and whether more is asked for.

        Each delivery has a receipt in the end. Asked again after an interruption, it begins with the group that was not
        asked past.
        """
        while self._group or not self._ended:
            if not self._ended:
                self._gather()
            asks, self._asks = self._asks, False
            yield tuple(self._group), asks
            self._group = []
        self._thread.join()

    def _gather(self) -> None:
        """Waits for a receipt, and a moment for others: so many are lost to a crash at most.

        It sleeps meanwhile, because waking for each would keep the thread that sends from working.
        """
        news = self._news.get()
        if isinstance(news, Receipt):
            self._over.wait(GROUP_SECONDS)
        while news is not None:
            if isinstance(news, Receipt):
                self._group.append(news)
            else:
                self._asks = True
            try:
                news = self._news.get_nowait()
            except Empty:
                return
        self._ended = True

    def _run(self) -> None:
        """The channel's receipts, and one of our own for whatever it gave none: no claim is left without an answer."""
        reason: Receipt | None = None
        try:
            for receipt in self._channel.deliver(self._rendered()):
                self._receive(receipt)
        except Exception as exc:
            # what had left by then has its receipt, and that must be recorded
            log.debug("the channel failed", exc_info=True)
            reason = Receipt(0, "retry", f"the channel failed: {exc!r}")
        finally:
            with self._lock:
                self._sent_all = True
            for delivery_id in sorted(self._waiting):
                outcome = reason.outcome if reason else "unattempted"
                self._receive(Receipt(delivery_id, outcome, reason.detail if reason else _UNATTEMPTED))
            self._news.put(None)
            self._over.set()

    def _receive(self, receipt: Receipt) -> None:
        self._waiting.discard(receipt.delivery_id)
        self._news.put(receipt)

    def _rendered(self) -> Iterator[RenderedNotice]:
        """Each message when it is asked for. One that cannot be made is dead, and the others go on."""
        while (item := self._next()) is not None:
            delivery = item.delivery
            try:
                yield compose(
                    item.notice,
                    delivery_id=delivery.id,
                    address=delivery.address,
                    message_id=delivery.message_id,
                    mail=self._settings.email,
                    default_language=self._settings.language,
                    copy=delivery.copy,
                )
            except NoticeError as exc:
                self._receive(Receipt(delivery.id, "dead", str(exc)))
            except Exception as exc:
                # a notice that nobody foresaw must not hold up all the others
                log.debug("notice %s could not be rendered", item.notice.id, exc_info=True)
                self._receive(Receipt(delivery.id, "dead", f"the notice could not be rendered: {exc!r}"))

    def _next(self) -> Outgoing | None:
        """What leaves next; None when there is no more, or nothing more may leave."""
        while not self._stopping.is_set() and not self.halted.is_set():
            if self._feed.qsize() < self._low and not self._hungry:
                self._hungry = True
                self._news.put("hungry")
            try:
                return self._feed.get(timeout=_STOP_SECONDS)
            except Empty:
                continue
        return None
