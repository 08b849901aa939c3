"""A real mail server on a socket that keeps what it is given, and refuses some addresses."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope
from common import free_port

REFUSAL: Final = "550 5.1.1 no such user here"


@dataclass
class Mailbox:
    """What came in: (recipient, subject) in order, and how often a refused address was tried."""

    refused: Collection[str]
    port: int
    mails: list[tuple[str, str]] = field(default_factory=list)
    attempts: int = 0

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's naming)
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accepts a recipient or refuses it for good."""
        if address in self.refused:
            self.attempts += 1
            return REFUSAL
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        """Keeps a message."""
        assert isinstance(envelope.content, bytes)
        subject = email.message_from_bytes(envelope.content, policy=email.policy.default)["subject"]
        self.mails += [(address, str(subject)) for address in envelope.rcpt_tos]
        return "250 OK"


@contextmanager
def mail_server(refused: Collection[str] = ()) -> Iterator[Mailbox]:
    """A mail server for the block."""
    found = Mailbox(refused, free_port())
    server = Controller(found, hostname="127.0.0.1", port=found.port)
    server.start()
    try:
        yield found
    finally:
        server.stop()
