"""Channel `smtp`: several connections to one mail server, kept between messages and between batches.

The event loop belongs to the channel and runs only while a batch is delivered, in the thread that delivers it; no
database is used inside. Connections take the next message when they are free, so a slow recipient delays its own
connection for one message's time and nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from email.utils import parseaddr
from typing import Final

from config.models import Email
from ledger.records import Receipt, RenderedNotice
from notifiers.connection import Connection, UnavailableError
from notifiers.replies import Refusal, silent

BATCH_SECONDS: Final = 240.0
"""No message of a batch begins later. With the longest timeout, twice, it ends well before claims are taken over."""
log = logging.getLogger("tallywatch.notifiers.smtp")


class SmtpChannel:
    """Sends messages as `mail` says. Close it when it is not needed any more."""

    def __init__(self, mail: Email, *, batch_seconds: float = BATCH_SECONDS) -> None:
        self._mail = mail
        self._batch_seconds = batch_seconds
        self._seconds = mail.timeout.total_seconds()
        sender = parseaddr(mail.sender)[1]
        self._connections = [Connection(mail, sender) for _ in range(mail.connections)]
        self._context: ssl.SSLContext | None = None
        self._own_name = ""
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def remote(self) -> bool:
        """True: the server is not asked again at once."""
        return True

    def deliver(self, batch: Iterable[RenderedNotice]) -> Iterator[Receipt]:
        """A receipt per message, as soon as each is known. Messages are taken from `batch` when they can leave.

        When the server says no to everybody, all get the reason; when it fails again and again, or time is up, the rest
        gets no receipt.
        """
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        loop = self._loop
        run = _Batch(iter(batch), loop.time() + self._batch_seconds, patience=2 * len(self._connections) + 1)
        task = loop.create_task(self._deliver(run))
        task.add_done_callback(lambda _: run.news.set())
        try:
            while not task.done() or run.receipts:
                if not run.receipts:
                    loop.run_until_complete(run.news.wait())
                    run.news.clear()
                while run.receipts:
                    yield run.receipts.popleft()
            task.result()
        finally:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    loop.run_until_complete(task)

    def close(self) -> None:
        """Says goodbye to the server."""
        if self._loop is not None:
            self._loop.run_until_complete(self._quit())
            self._loop.close()
            self._loop = None

    async def _quit(self) -> None:
        for connection in self._connections:
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await connection.quit()
            connection.abort()
        await asyncio.sleep(0)  # the transports close in the loop's next turn

    async def _deliver(self, run: _Batch) -> None:
        try:
            self._context = self._context or trust(self._mail)
        except UnavailableError as exc:
            run.refused = str(exc)
        self._own_name = self._own_name or await asyncio.to_thread(socket.getfqdn)
        await self._check_kept()
        lanes = [asyncio.ensure_future(self._lane(connection, run)) for connection in self._connections]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
        for connection in self._connections:  # a lane that gave its message back may have been the last to work
            if run.returned and connection.is_open:
                await self._lane(connection, run)
        if run.refused is not None:
            log.warning("%s", run.refused)
            for notice in run.rest():
                run.receive(Receipt(notice.delivery_id, "retry", run.refused))

    async def _check_kept(self) -> None:
        """Closes those connections of the batch before that the server has closed since."""

        async def check(connection: Connection) -> None:
            try:
                async with asyncio.timeout(min(self._seconds, 5)):
                    await connection.answers()
            except TimeoutError:
                connection.abort()

        await asyncio.gather(*(check(connection) for connection in self._connections if connection.is_open))

    async def _lane(self, connection: Connection, run: _Batch) -> None:
        """Sends one message after another over one connection, until there are none or the batch is over."""
        loop = asyncio.get_running_loop()
        while not run.is_over(loop.time()):
            notice = run.next()
            if notice is None:
                return
            if not connection.is_open and not await self._opened(connection, run):
                run.returned.append(notice)
                return
            try:
                async with asyncio.timeout(self._seconds):
                    answer = await connection.send(notice)
            except TimeoutError:
                connection.abort()
                answer = silent(connection.host, connection.verb, self._seconds)
            run.settle(notice, self._meant(answer))

    async def _opened(self, connection: Connection, run: _Batch) -> bool:
        """Opens a connection. Where the first cannot be, others are not tried: a wrong password would lock the account.

        A connection that cannot be opened beside others that work is done without for this batch: servers limit them.
        """
        async with run.opening:
            if run.is_over(asyncio.get_running_loop().time()):
                return False  # it may have waited long for the others
            try:
                async with asyncio.timeout(self._seconds):
                    await connection.open(self._context, self._own_name)
            except TimeoutError:
                reason, final = silent(connection.host, connection.verb, self._seconds).detail, False
            except UnavailableError as exc:
                reason, final = str(exc), exc.final
            else:
                return True
            connection.abort()
            if final or not any(other.is_open for other in self._connections):
                run.refused = reason
            return False

    def _meant(self, answer: Refusal | str) -> Refusal | str:
        """A refusal of the address that everything is redirected to is none of the customer's own address."""
        if self._mail.redirect_to is not None and isinstance(answer, Refusal) and answer.outcome == "suppressed":
            return Refusal("dead", f"settings.email.redirect_to: {answer.detail}", answer.scope)
        return answer


class _Batch:
    """What the connections share while a batch leaves."""

    def __init__(self, messages: Iterator[RenderedNotice], ends: float, *, patience: int) -> None:
        self.receipts: deque[Receipt] = deque()
        self.news = asyncio.Event()
        self.returned: deque[RenderedNotice] = deque()
        self.opening = asyncio.Lock()
        self.refused: str | None = None
        self._messages = messages
        self._ends = ends
        self._patience = patience
        self._failures = 0  # of the server's, in a row

    def next(self) -> RenderedNotice | None:
        """The next message; taking it renders it, which the other connections use to wait for their answers."""
        return self.returned.popleft() if self.returned else next(self._messages, None)

    def rest(self) -> Iterator[RenderedNotice]:
        """Whatever nobody took."""
        yield from self.returned
        yield from self._messages

    def is_over(self, now: float) -> bool:
        """Whether no further message begins: refused, out of time, or a server that fails again and again."""
        return self.refused is not None or now >= self._ends or self._failures >= self._patience

    def receive(self, receipt: Receipt) -> None:
        """A receipt, for whoever reads them."""
        self.receipts.append(receipt)
        self.news.set()

    def settle(self, notice: RenderedNotice, answer: Refusal | str) -> None:
        """What became of a message, and what that means for the others."""
        if isinstance(answer, str):
            self._failures = 0
            self.receive(Receipt(notice.delivery_id, "delivered", answer))
            return
        self._failures = self._failures + 1 if answer.scope == "connection" else 0
        if answer.scope == "server":
            self.refused = answer.detail
        self.receive(Receipt(notice.delivery_id, answer.outcome, answer.detail))


def trust(mail: Email) -> ssl.SSLContext:
    """Which certificates are believed: the system's authorities, or those of `ca_file` alone; host names are checked.

    Raises:
        UnavailableError: the file cannot be read, or is none.
    """
    try:
        return ssl.create_default_context(cafile=None if mail.ca_file is None else str(mail.ca_file))
    except (OSError, ssl.SSLError) as exc:
        reason = exc.strerror or str(exc)
        raise UnavailableError(f"settings.email.ca_file: {mail.ca_file} cannot be used: {reason}", final=True) from exc
