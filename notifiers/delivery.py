"""The delivery loop: claims what is due, renders it, lets it leave, and records what became of each.

Messages leave in a thread of their own, which renders each when a channel can take it; receipts are recorded here, in
groups as they come, so that neither waits for the other. A crash between leaving and recording makes the claim run out;
the message then leaves again, byte for byte, under the same Message-ID (over `files`: into the same file).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Final

from config.models import Settings
from ledger import outbox
from ledger.database import Database, LedgerError
from ledger.outbox import Outgoing
from ledger.records import Receipt, RenderedNotice
from notifiers.channel import Channel
from notifiers.channels import channel_of
from notifiers.errors import NoticeError
from notifiers.message import compose
from notifiers.retry import next_attempt

BATCH: Final = 200
PATIENCE_SECONDS: Final = 120.0
"""How long receipts wait for a database that cannot be written."""

GROUP_SECONDS: Final = 0.02
"""How long a receipt waits for company before it is recorded, and so how much a crash makes leave twice."""
log = logging.getLogger("tallywatch.notifiers.delivery")


@dataclass(frozen=True, slots=True)
class Failure:
    """A delivery that was not made, and the sentence why; `outcome` says whether it is tried again."""

    notice_id: str
    address: str
    reason: str
    outcome: str = "retry"


@dataclass(frozen=True, slots=True)
class Summary:
    """What one run delivered. `paths` are the files that were written."""

    delivered: int
    failures: tuple[Failure, ...]
    paths: tuple[str, ...]


def deliver_due(
    database: Database,
    settings: Settings,
    at: datetime | Callable[[], datetime],
    *,
    limit: int | None = None,
    channel: Channel | None = None,
    stopping: threading.Event | None = None,
) -> Summary:
    """Passes through the queue once, in batches, and delivers at most `limit` messages.

    `at` is an instant, or the clock to ask. A `channel` that is given stays open. Once `stopping` is set no further
    message begins, and what has begun is finished and recorded. A notice that cannot be rendered is dead, one that
    cannot be delivered now waits; neither stops another. Each batch costs a write transaction, and each group of
    receipts; none is open while messages leave.

    Raises:
        LedgerError: the database cannot be read or written. What was claimed by then is taken over later.
    """
    clock = at if callable(at) else lambda: at
    stopping = stopping or threading.Event()
    delivered: list[str] = []
    failures: list[Failure] = []
    seen = after = 0
    with nullcontext(channel) if channel is not None else closing(channel_of(settings.email)) as used:
        while not stopping.is_set() and (limit is None or seen < limit):
            size = BATCH if limit is None else min(BATCH, limit - seen)
            with database.begin() as connection:
                claimed = outbox.claim(connection, at=clock(), limit=size, after=after)
            if not claimed:
                break
            seen, after = seen + len(claimed), claimed[-1].delivery.id
            batch = _Batch(claimed, settings, used, stopping)
            receipts = list(_recorded(database, batch, clock))
            delivered += [receipt.detail for receipt in receipts if receipt.outcome == "delivered"]
            failures += batch.failures(receipts)
            if any(receipt.outcome == "unattempted" for receipt in receipts):
                break  # the channel wants a pause
        paths = () if used.remote else tuple(delivered)
    return Summary(len(delivered), tuple(failures), paths)


def _recorded(database: Database, batch: _Batch, clock: Callable[[], datetime]) -> Iterator[Receipt]:
    """Starts the batch, and records its receipts as they come.

    Whatever interrupts this (Ctrl-C, a database that fails) lets no further message begin. What was on its way is
    awaited, and recorded after Ctrl-C.
    """
    batch.start()
    try:
        for group in batch.groups():
            _record(database, batch, group, clock())
            yield from group
    except BaseException as exc:
        batch.halted.set()
        rest = [receipt for group in batch.groups() for receipt in group]
        if isinstance(exc, KeyboardInterrupt):
            _record(database, batch, rest, clock())
        raise


def _record(database: Database, batch: _Batch, group: Sequence[Receipt], at: datetime) -> None:
    """Writes receipts, and is patient with a database that is away: what left and is not recorded leaves again."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            _write(database, batch, group, at)
        except LedgerError:
            if time.monotonic() > give_up:
                raise
            batch.halted.set()  # nothing more leaves until it is back
            time.sleep(1)
        else:
            return


def _write(database: Database, batch: _Batch, group: Sequence[Receipt], at: datetime) -> None:
    with database.begin() as connection:
        outbox.finish_delivered(connection, [item for item in group if item.outcome == "delivered"], at)
        for receipt in group:
            if receipt.outcome != "delivered":
                outbox.finish(connection, receipt, at, batch.next_attempt(receipt, at))


class _Batch:
    """Claimed deliveries on their way: rendered and sent by a thread, received here."""

    def __init__(
        self, claimed: Sequence[Outgoing], settings: Settings, channel: Channel, stopping: threading.Event
    ) -> None:
        self.halted = threading.Event()
        self._stopping = stopping
        self._items = {item.delivery.id: item for item in claimed}
        self._settings = settings
        self._channel = channel
        self._queue: SimpleQueue[Receipt | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="delivery")
        self._group: list[Receipt] = []
        self._over = threading.Event()
        self._ended = False

    def start(self) -> None:
        """Lets the first message leave."""
        self._thread.start()

    def groups(self) -> Iterator[tuple[Receipt, ...]]:
        """The receipts, as many together as come within a moment; each delivery has one in the end.

        Asked again after an interruption, it begins with the group that was not asked past.
        """
        while self._group or not self._ended:
            if not self._ended:
                self._gather()
            yield tuple(self._group)
            self._group = []
        self._thread.join()

    def _gather(self) -> None:
        """Waits for a receipt, and a moment for others: so many are lost to a crash at most.

        It sleeps meanwhile, because waking for each would keep the thread that sends from working.
        """
        receipt = self._queue.get()
        if receipt is not None:
            self._over.wait(GROUP_SECONDS)
        while receipt is not None:
            self._group.append(receipt)
            try:
                receipt = self._queue.get_nowait()
            except Empty:
                return
        self._ended = True

    def next_attempt(self, receipt: Receipt, at: datetime) -> datetime:
        """When a delivery that failed for now is tried again; a folder of our own, at once."""
        if not self._channel.remote:
            return at
        return next_attempt(at, self._items[receipt.delivery_id].delivery.attempts, receipt.delivery_id)

    def failures(self, receipts: Sequence[Receipt]) -> Iterator[Failure]:
        """What did not leave."""
        for receipt in receipts:
            if receipt.outcome != "delivered":
                item = self._items[receipt.delivery_id]
                yield Failure(item.notice.id, item.delivery.address, receipt.detail, receipt.outcome)

    def _run(self) -> None:
        """The channel's receipts, and one of our own for whatever it gave none: no claim is left without an answer."""
        waiting = set(self._items)
        rest = "not tried, because the mail server kept failing or time was up; its turn comes again"
        try:
            for receipt in self._channel.deliver(self._rendered(waiting)):
                waiting.discard(receipt.delivery_id)
                self._queue.put(receipt)
        except Exception as exc:
            # what had left by then has its receipt, and that must be recorded
            log.debug("the channel failed", exc_info=True)
            for delivery_id in sorted(waiting):
                self._queue.put(Receipt(delivery_id, "retry", f"the channel failed: {exc!r}"))
        else:
            for delivery_id in sorted(waiting):
                self._queue.put(Receipt(delivery_id, "unattempted", rest))
        finally:
            self._queue.put(None)
            self._over.set()

    def _rendered(self, waiting: set[int]) -> Iterator[RenderedNotice]:
        """Each message when it is asked for. One that cannot be made is dead, and the others go on."""
        for item in self._items.values():
            if self._stopping.is_set() or self.halted.is_set():
                return
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
                waiting.discard(delivery.id)
                self._queue.put(Receipt(delivery.id, "dead", str(exc)))
            except Exception as exc:
                # a notice that nobody foresaw must not hold up all the others
                log.debug("notice %s could not be rendered", item.notice.id, exc_info=True)
                waiting.discard(delivery.id)
                self._queue.put(Receipt(delivery.id, "dead", f"the notice could not be rendered: {exc!r}"))
