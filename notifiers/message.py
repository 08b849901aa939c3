"""The message that carries a notice: headers and both parts, as bytes that are the same each time it is sent."""

from __future__ import annotations

import email.policy
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr
from typing import Final, Literal
from zoneinfo import ZoneInfo

from config.models import Email
from ledger.outbox import StoredNotice
from ledger.records import RenderedNotice
from notifiers.errors import NoticeError
from notifiers.render import Content, render
from notifiers.text import one_line, slug

# bodies in seven bits and short lines, so that no relay has to change them (a signature would break)
_BODIES: Final = email.policy.SMTP.clone(cte_type="7bit")
# the usual folding at 78 columns encodes long addresses of links, which mail clients then do not recognise
_WIRE: Final = email.policy.SMTP.clone(max_line_length=998, cte_type="7bit")
_SPECIAL: Final = re.compile(r'[][()<>@,:;"\\=]+')
Part = Literal["plain", "html"]
_LONGEST_NAME: Final = 80
_ATOMS: Final = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*")


def compose(
    notice: StoredNotice, *, delivery_id: int, address: str, message_id: str, mail: Email, default_language: str
) -> RenderedNotice:
    """One notice for one address as a whole message. The same arguments give the same bytes.

    Raises:
        NoticeError: the notice cannot be rendered, or an address is none.
    """
    content = render(notice.template, notice.facts, default_language=default_language)
    named = content.name if notice.kind == "customer" else ""
    try:
        message = _message(notice, content, _address(address, named), message_id, mail)
        # a mailbox beyond ASCII can be written in no other way (RFC 6532)
        spoken = (address, mail.sender, mail.reply_to or "")
        utf8 = not all(parseaddr(one)[1].isascii() for one in spoken)
        content_bytes = message.as_bytes(policy=_WIRE.clone(utf8=utf8))
    except (MessageError, ValueError, IndexError) as exc:  # Python's address parser raises IndexError at times
        raise NoticeError(f"no message can be made for {one_line(address)!r}: {exc}") from exc
    local_day = notice.decided_at.astimezone(ZoneInfo(notice.zone)).date()
    label = f"{local_day}_{slug(notice.template).replace('-', '_')}_{slug(content.name)}"
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


def _message(notice: StoredNotice, content: Content, to: Address, message_id: str, mail: Email) -> EmailMessage:
    message = EmailMessage(policy=_BODIES)
    message["From"] = _written(mail.sender, "sender")
    message["To"] = to
    if mail.reply_to is not None:
        message["Reply-To"] = _written(mail.reply_to, "reply_to")
    message["Subject"] = content.subject
    message["Date"] = notice.decided_at.astimezone(UTC)
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(content.text)
    message.add_alternative(content.html, subtype="html")
    # chance would make the bytes differ each time, and a repeated delivery a different file
    message.set_boundary("=_" + hashlib.sha256(notice.id.encode()).hexdigest()[:40])
    return message


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
    if not local.isascii() and _ATOMS.fullmatch(local):  # which the parser behind addr_spec knows nothing of
        return Address(display_name=name, username=local, domain=domain)
    return Address(display_name=name, addr_spec=address)


def _written(text: str, setting: str) -> Address:
    """An address of the settings, such as `Usage <usage@example.com>`."""
    name, address = parseaddr(text)
    try:
        return _address(address, name)
    except (NoticeError, MessageError, ValueError, IndexError) as exc:
        raise NoticeError(f"settings.email.{setting} is no mail address: {text!r}") from exc
