"""The message that carries a notice: headers and both parts, as bytes that are the same each time it is sent."""

from __future__ import annotations

import email.policy
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC
from email.errors import MessageError
from email.headerregistry import Address
from email.parser import BytesParser
from email.utils import format_datetime, parseaddr
from functools import cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

from config.models import Email
from ledger.outbox import StoredNotice
from ledger.records import RenderedNotice
from notifiers.errors import NoticeError
from notifiers.mime import alternatives, header
from notifiers.render import Content, render
from notifiers.text import one_line, slug

_SPECIAL: Final = re.compile(r'[][()<>@,:;"\\=]+')
_DOMAIN: Final = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
Part = Literal["plain", "html"]
ORIGINAL_TO: Final = "X-Tallywatch-Original-To"
_LONGEST_NAME: Final = 80
_ATOMS: Final = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*")


def compose(
    notice: StoredNotice,
    *,
    delivery_id: int,
    address: str,
    message_id: str,
    mail: Email,
    default_language: str,
    copy: int = 0,
) -> RenderedNotice:
    """One notice for one address as a whole message. The same arguments give the same bytes.

    Over `smtp` with `redirect_to` it goes there instead, and says in a header whom it was for.

    Raises:
        NoticeError: the notice cannot be rendered, or an address is none.
    """
    content = render(notice.template, notice.facts, default_language=default_language)
    named = content.name if notice.kind == "customer" else ""
    try:
        to = _address(address, named)
        redirect = mail.redirect_to if mail.transport == "smtp" else None
        if redirect is not None:
            to, original, address = _address(redirect, named), address, redirect
        head = _head(notice, content, to, message_id, mail)
        if redirect is not None:
            head += header(ORIGINAL_TO, original)
    except (MessageError, ValueError, IndexError) as exc:  # Python's address parser raises IndexError at times
        raise NoticeError(f"no message can be made for {one_line(address)!r}: {exc}") from exc
    # chance would make the bytes differ each time, and a repeated delivery a different file
    boundary = "=_" + hashlib.sha256(notice.id.encode()).hexdigest()[:40]
    content_bytes = head + alternatives(content.text, content.html, boundary)
    local_day = notice.decided_at.astimezone(ZoneInfo(notice.zone)).date()
    label = f"{local_day}_{slug(notice.template).replace('-', '_')}_{slug(content.name)}"
    if copy:
        label += f"_copy{copy}"
    return RenderedNotice(delivery_id, notice.id, address, message_id, content_bytes, label)


def headers_of(message: RenderedNotice) -> Iterator[tuple[str, str]]:
    """Name and value of each header that people read, decoded."""
    parsed = BytesParser(policy=email.policy.default).parsebytes(message.message, headersonly=True)
    for name in ("From", "To", "Reply-To", "Subject", "Date", "Message-ID"):
        if parsed[name] is not None:
            yield name, str(parsed[name])


def part_of(message: RenderedNotice, kind: Part) -> str:
    """The text or the HTML part, decoded, with plain line ends."""
    parsed = BytesParser(policy=email.policy.default).parsebytes(message.message)
    body = parsed.get_body((kind,))
    if body is None:
        raise ValueError(f"the message has no {kind} part")
    return str(body.get_content()).replace("\r\n", "\n")


def _head(notice: StoredNotice, content: Content, to: Address, message_id: str, mail: Email) -> bytes:
    """The headers, in the order in which people read them."""
    sender = _written(mail.sender, "sender")
    reply_to = None if mail.reply_to is None else _written(mail.reply_to, "reply_to")
    # a mailbox beyond ASCII can be written in no other way (RFC 6532)
    utf8 = not all(one is None or one.addr_spec.isascii() for one in (to, sender, reply_to))
    return b"".join(
        (
            header("From", sender, utf8=utf8),
            header("To", to, utf8=utf8),
            b"" if reply_to is None else header("Reply-To", reply_to, utf8=utf8),
            header("Subject", content.subject, utf8=utf8),
            header("Date", format_datetime(notice.decided_at.astimezone(UTC))),
            header("Message-ID", message_id, utf8=utf8),
            b"Auto-Submitted: auto-generated\r\n",
        )
    )


def _address(address: str, name: str) -> Address:
    """A recipient: exactly one mailbox. A name with letters beyond ASCII loses what would need quotes as well, because
    Python writes the two together in a form that other programs read as several recipients."""
    name = one_line(name)[:_LONGEST_NAME].strip()
    if not name.isascii() or "=?" in name:
        name = " ".join(_SPECIAL.sub(" ", name).split())
    local, _, domain = address.rpartition("@")
    if not local or not domain:
        raise NoticeError(f"{one_line(address)!r} is no mail address; it needs a name, an @ and a domain")
    if address != one_line(address):
        raise NoticeError(f"{one_line(address)!r} is no mail address; it holds characters that cannot be in one")
    # the parser behind addr_spec knows nothing of letters beyond ASCII, and is slow
    if _ATOMS.fullmatch(local) and (_DOMAIN.fullmatch(domain) or not local.isascii()):
        return Address(display_name=name, username=local, domain=domain)
    return Address(display_name=name, addr_spec=address)


@cache
def _written(text: str, setting: str) -> Address:
    """An address of the settings, such as `Usage <usage@example.com>`."""
    name, address = parseaddr(text)
    try:
        return _address(address, name)
    except (NoticeError, MessageError, ValueError, IndexError) as exc:
        raise NoticeError(f"settings.email.{setting} is no mail address: {text!r}") from exc
