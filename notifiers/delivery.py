"""The delivery loop: claims what is due, renders it, lets it leave, and records what became of each.

Messages leave in a thread of their own (see `notifiers.stream`); more is claimed and receipts are recorded here, in
groups as they come, so that neither waits for the other. A crash between leaving and recording makes the claim run out;
the message then leaves again, byte for byte, under the same Message-ID (over `files`: into the same file).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from config.models import Settings
from ledger import outbox
from ledger.database import Database, LedgerError
from ledger.outbox import Outgoing
from ledger.records import Receipt
from notifiers.channel import Channel
from notifiers.channels import channel_of
from notifiers.retry import next_attempt
from notifiers.stream import Stream

BATCH: Final = 200
STREAM_SECONDS: Final = 120.0
"""How long one stream is fed. A channel ends one well before claims are taken over; then the next one begins."""

PATIENCE_SECONDS: Final = 120.0
"""How long receipts wait for a database that cannot be written."""


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
    with nullcontext(channel) if channel is not None else closing(channel_of(settings.email)) as used:
        claims = _Claims(database, clock, limit)
        while not stopping.is_set() and (claimed := claims.more()):
            stream = Stream(settings, used, stopping, low=BATCH // 2)
            stream.feed(claimed)
            unattempted = False
            for receipt in _received(database, stream, claims, clock, remote=used.remote):
                unattempted |= receipt.outcome == "unattempted"
                if receipt.outcome == "delivered":
                    delivered.append(receipt.detail)
                else:
                    item = stream.items[receipt.delivery_id]
                    failures.append(Failure(item.notice.id, item.delivery.address, receipt.detail, receipt.outcome))
            if unattempted:
                break  # the channel wants a pause
        paths = () if used.remote else tuple(delivered)
    return Summary(len(delivered), tuple(failures), paths)


class _Claims:
    """Passes through the queue once, a batch at a time."""

    def __init__(self, database: Database, clock: Callable[[], datetime], limit: int | None) -> None:
        self._database, self._clock, self._left = database, clock, limit
        self._after = 0

    def more(self) -> Sequence[Outgoing]:
        """The next deliveries, which are ours now; none at the end."""
        size = BATCH if self._left is None else min(BATCH, self._left)
        if not size:
            return ()
        with self._database.begin() as connection:
            claimed = outbox.claim(connection, at=self._clock(), limit=size, after=self._after)
        if claimed:
            self._after = claimed[-1].delivery.id
            self._left = None if self._left is None else self._left - len(claimed)
        return claimed


def _received(
    database: Database, stream: Stream, claims: _Claims, clock: Callable[[], datetime], *, remote: bool
) -> Iterator[Receipt]:
    """Starts the stream, records its receipts as they come, and feeds it for a while.

    Whatever interrupts this (Ctrl-C, a database that fails) lets no further message begin. What was on its way is
    awaited, and recorded after Ctrl-C.
    """
    until = time.monotonic() + STREAM_SECONDS
    stream.start()
    try:
        for group, asks in stream.groups():
            _record(database, stream, group, clock(), remote=remote)
            yield from group
            if asks:
                yield from _fed(database, stream, claims, clock, until, remote=remote)
    except BaseException as exc:
        stream.halted.set()
        rest = [receipt for group, _ in stream.groups() for receipt in group]
        if isinstance(exc, KeyboardInterrupt):
            _record(database, stream, rest, clock(), remote=remote)
        raise


def _fed(
    database: Database,
    stream: Stream,
    claims: _Claims,
    clock: Callable[[], datetime],
    until: float,
    *,
    remote: bool,
) -> Iterator[Receipt]:
    """Gives the stream more, or closes it; gives receipts only for what came too late for it."""
    claimed = claims.more() if time.monotonic() < until else ()
    if not claimed:
        stream.close()
    elif not stream.feed(claimed):
        late = tuple(Receipt(item.delivery.id, "unattempted", "its turn comes again") for item in claimed)
        stream.items.update((item.delivery.id, item) for item in claimed)
        _record(database, stream, late, clock(), remote=remote)
        yield from late


def _record(database: Database, stream: Stream, group: Sequence[Receipt], at: datetime, *, remote: bool) -> None:
    """Writes receipts, and is patient with a database that is away: what left and is not recorded leaves again."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while group:
        try:
            _write(database, stream, group, at, remote=remote)
        except LedgerError:
            if time.monotonic() > give_up:
                raise
            stream.halted.set()  # nothing more leaves until it is back
            time.sleep(1)
        else:
            return


def _write(database: Database, stream: Stream, group: Sequence[Receipt], at: datetime, *, remote: bool) -> None:
    with database.begin() as connection:
        outbox.finish_delivered(connection, [item for item in group if item.outcome == "delivered"], at)
        for receipt in group:
            if receipt.outcome != "delivered":
                attempts = stream.items[receipt.delivery_id].delivery.attempts
                # a folder of our own is tried again at once, somebody else's server after a while
                again = next_attempt(at, attempts, receipt.delivery_id) if remote else at
                outbox.finish(connection, receipt, at, again)
