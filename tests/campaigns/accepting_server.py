"""A mail server in a process of its own that accepts everything and writes it down before it says so.

    python tests/campaigns/accepting_server.py JOURNAL

Prints its port. The journal gets a line for each message: recipient, Message-ID and SHA-256 of its bytes. It is quick,
because it is also what benchmarks send to: nothing but the verbs that a client needs.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from pathlib import Path
from typing import TextIO

EXTENSIONS = b"250-mail.test\r\n250-SIZE 33554432\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, journal: TextIO | None) -> None:
        self._journal = journal
        self._buffer = b""
        self._recipient = b""
        self._data = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 mail.test\r\n")

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._buffer += data
        while True:
            end = b"\r\n.\r\n" if self._data else b"\r\n"
            head, found, rest = self._buffer.partition(end)
            if not found:
                return
            self._buffer = rest
            self._transport.write(self._accept(head) if self._data else self._answer(head))

    def _accept(self, message: bytes) -> bytes:
        self._data = False
        if self._journal is not None:
            headers = message.partition(b"\r\n\r\n")[0]
            id_ = headers.partition(b"\r\nMessage-ID: ")[2].partition(b"\r\n")[0]
            digest = hashlib.sha256(message).hexdigest()
            self._journal.write(f"{self._recipient.decode()} {id_.decode()} {digest}\n")
            self._journal.flush()
        return b"250 2.0.0 queued\r\n"

    def _answer(self, line: bytes) -> bytes:
        assert self._transport is not None
        verb = line[:4].upper()
        if verb == b"DATA":
            self._data = True
            return b"354 go on\r\n"
        if verb == b"EHLO":
            return EXTENSIONS
        if verb == b"RCPT":
            self._recipient = line.partition(b"<")[2].partition(b">")[0]
        if verb == b"QUIT":
            self._transport.write(b"221 bye\r\n")
            self._transport.close()
            return b""
        return b"250 ok\r\n"


async def serve(journal: TextIO | None) -> None:
    """Until it is killed."""
    server = await asyncio.get_running_loop().create_server(lambda: Session(journal), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        with Path(sys.argv[1]).open("a", encoding="utf-8") as opened:
            asyncio.run(serve(opened))
    else:
        asyncio.run(serve(None))
