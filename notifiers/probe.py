"""Asking the mail server whether it would take messages: connecting, TLS and login, and no message."""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parseaddr, parsedate_to_datetime
from typing import Final

from config.models import Email
from notifiers.connection import Connection, UnavailableError
from notifiers.replies import silent
from notifiers.smtp import trust

# as Exim greets: 220 mail.example.com ESMTP Exim 4.98 Fri, 20 Nov 2026 12:00:00 +0000
_DATE: Final = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), +\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}")


@dataclass(frozen=True, slots=True)
class Probe:
    """A server that would take messages. `time` is what it says of the time, which few servers do."""

    place: str
    time: datetime | None


def probe(mail: Email) -> Probe:
    """Connects as for a message, within the timeout of one, and says goodbye.

    Raises:
        UnavailableError: no message could leave now, with the reason.
    """
    return asyncio.run(_probe(mail))


async def _probe(mail: Email) -> Probe:
    connection = Connection(mail, parseaddr(mail.sender)[1])
    seconds = mail.timeout.total_seconds()
    context = trust(mail)
    own_name = await asyncio.to_thread(socket.getfqdn)
    try:
        async with asyncio.timeout(seconds):
            await connection.open(context, own_name)
            await connection.quit()
    except TimeoutError as exc:
        raise UnavailableError(silent(connection.host, connection.verb, seconds).detail, final=False) from exc
    finally:
        connection.abort()
        await asyncio.sleep(0)  # the transport closes in the loop's next turn
    return Probe(f"{connection.host} on port {mail.server_port}", time_in(connection.greeting))


def time_in(greeting: str) -> datetime | None:
    """The instant that a greeting names; None where it names none."""
    found = _DATE.search(greeting)
    if found is None:
        return None
    try:
        return parsedate_to_datetime(found[0]).astimezone(UTC)
    except ValueError:
        return None
