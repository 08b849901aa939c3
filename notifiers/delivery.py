"""The delivery loop: claims what is due, renders it, lets it leave, and records what became of each.

A crash between leaving and recording makes the claim run out; the message then leaves again, byte for byte, under the
same Message-ID (over `files`: into the same file).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from config.models import Settings
from ledger import outbox
from ledger.database import Database
from ledger.outbox import Outgoing
from ledger.records import Receipt, RenderedNotice
from notifiers.errors import NoticeError
from notifiers.files import Channel, FilesChannel
from notifiers.message import compose

BATCH: Final = 100
log = logging.getLogger("tallywatch.notifiers.delivery")


@dataclass(frozen=True, slots=True)
class Failure:
    """A delivery that stays queued, and the sentence why."""

    notice_id: str
    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What one run delivered. `paths` are the files that were written, in the order of the queue."""

    delivered: int
    failures: tuple[Failure, ...]
    paths: tuple[str, ...]


def deliver_due(
    database: Database,
    settings: Settings,
    at: datetime,
    *,
    limit: int | None = None,
    channel: Channel | None = None,
) -> Summary:
    """Passes through the queue once, in batches, and delivers at most `limit` messages.

    A notice that cannot be rendered or delivered stays queued with the reason and stops no other. Each batch costs two
    write transactions; none is open while messages leave.

    Raises:
        LedgerError: the database cannot be read or written. What was claimed by then is taken over later.
    """
    channel = channel or FilesChannel(settings.email.folder)
    receipts: list[Receipt] = []
    failures: list[Failure] = []
    after = 0
    while limit is None or len(receipts) < limit:
        size = BATCH if limit is None else min(BATCH, limit - len(receipts))
        with database.begin() as connection:
            claimed = outbox.claim(connection, at=at, limit=size, after=after)
        if not claimed:
            break
        after = claimed[-1].delivery.id
        batch = list(_deliver(claimed, settings, channel))
        with database.begin() as connection:
            for receipt in batch:
                outbox.finish(connection, receipt, at)
        receipts += batch
        failures += _failures(claimed, batch)
    delivered = [receipt for receipt in receipts if receipt.outcome == "delivered"]
    return Summary(len(delivered), tuple(failures), tuple(receipt.detail for receipt in delivered))


def _deliver(claimed: Sequence[Outgoing], settings: Settings, channel: Channel) -> Iterator[Receipt]:
    rendered: list[RenderedNotice] = []
    for item in claimed:
        delivery = item.delivery
        try:
            message = compose(
                item.notice,
                delivery_id=delivery.id,
                address=delivery.address,
                message_id=delivery.message_id,
                mail=settings.email,
                default_language=settings.language,
            )
        except NoticeError as exc:
            yield Receipt(delivery.id, "failed", str(exc))
        except Exception as exc:
            # a notice that nobody foresaw must not hold up all the others
            log.debug("notice %s could not be rendered", item.notice.id, exc_info=True)
            yield Receipt(delivery.id, "failed", f"the notice could not be rendered: {exc!r}")
        else:
            rendered.append(message)
    yield from _leave(rendered, channel)


def _leave(rendered: Sequence[RenderedNotice], channel: Channel) -> Iterator[Receipt]:
    """The channel's receipts, and for whatever it gave none a failure: a claim is never left without an answer."""
    waiting = {message.delivery_id for message in rendered}
    reason = "the channel gave no receipt"
    try:
        for receipt in channel.deliver(rendered) if rendered else ():
            waiting.discard(receipt.delivery_id)
            yield receipt
    except Exception as exc:
        # what had left by then has its receipt, and that must be recorded
        log.debug("the channel failed", exc_info=True)
        reason = f"the channel failed: {exc!r}"
    for delivery_id in sorted(waiting):
        yield Receipt(delivery_id, "failed", reason)


def _failures(claimed: Sequence[Outgoing], receipts: Sequence[Receipt]) -> Iterator[Failure]:
    items = {item.delivery.id: item for item in claimed}
    for receipt in receipts:
        if receipt.outcome == "failed":
            item = items[receipt.delivery_id]
            yield Failure(item.notice.id, item.delivery.address, receipt.detail)
