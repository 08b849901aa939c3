"""Mail: whether a message could leave now, and test messages to operations. Nothing is recorded in the outbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from config.load import Loaded
from config.models import Email
from config.values import zone_info
from ledger.deliveries import StoredNotice
from ledger.facts import OPS_NEWS, NewsFacts
from ledger.outbox import message_id
from ledger.records import RenderedNotice
from monitors.commit import sender_domain
from monitors.keys import notice_id
from notifiers.channels import Channels
from notifiers.connection import UnavailableError
from notifiers.message import compose
from notifiers.probe import Probe, probe
from tallywatch.doctor.finding import Check, Finding, failed, ok, warning
from tallywatch.doctor.machine import folder


def channel(mail: Email, server: Probe | UnavailableError | None) -> Finding:
    """Whether a message could leave: the folder, or what the mail server answered."""
    if server is None:
        return folder(Check.MAIL, "", mail.folder)
    if isinstance(server, UnavailableError):
        return failed(
            Check.MAIL, "", str(server), "notices wait in the outbox meanwhile, and leave when this is mended"
        )
    how = "TLS" if mail.tls else "STARTTLS" if mail.requires_start_tls else "without encryption"
    login = "without a login" if mail.username is None else f"logged in as {mail.username}"
    told = f"{server.place} would take messages: {how}, {login}"
    if mail.redirect_to is not None:
        found = f"{told}; every notice goes to {mail.redirect_to} instead"
        return warning(Check.MAIL, "", found, "remove settings.email.redirect_to when you have tried enough")
    return ok(Check.MAIL, "", told)


def server_of(mail: Email) -> Probe | UnavailableError | None:
    """What the mail server answers; None where mail goes into a folder. Takes as long as one message may."""
    if mail.transport == "files":
        return None
    try:
        return probe(mail)
    except UnavailableError as error:
        return error


def send_test(loaded: Loaded, at: datetime) -> Iterator[Finding]:
    """Sends one test message to each address of `recipients`, and tells what became of it.

    Raises:
        NoticeError: when the message cannot be made.
    """
    addresses = tuple(dict.fromkeys(address for one in loaded.config.recipients.values() for address in one.email))
    if not addresses:
        remedy = "add recipients: {ops: {email: ops@example.com}}"
        yield warning(Check.TEST_MESSAGE, "", "there are no recipients to send one to", remedy)
        return
    batch = {number: message(loaded, address, number, at) for number, address in enumerate(addresses, start=1)}
    channels = Channels()
    try:
        receipts = {
            receipt.delivery_id: receipt
            for receipt in channels.of(loaded.config.settings.email).deliver(iter(batch.values()))
        }
    finally:
        channels.close()
    for number, address in enumerate(addresses, start=1):
        receipt, sent = receipts.get(number), batch[number]
        about = address if sent.address == address else f"{address}, sent to {sent.address} instead"
        if receipt is not None and receipt.outcome == "delivered":
            yield ok(Check.TEST_MESSAGE, about, f"accepted: {receipt.detail}")
        else:
            reason = "its turn did not come" if receipt is None or not receipt.detail else receipt.detail
            yield failed(Check.TEST_MESSAGE, about, f"did not leave: {reason}", "mend that, and try again")


def message(loaded: Loaded, address: str, number: int, at: datetime) -> RenderedNotice:
    """The test message for the `number`th address."""
    settings = loaded.config.settings
    local = at.astimezone(zone_info(settings.zone)).isoformat(timespec="seconds")
    facts = NewsFacts(
        monitor="test message",
        headline="this is a test message",
        paragraphs=(
            "It was sent by tallywatch doctor --send-test, to everybody whom tallywatch tells of its operation.",
            "If you can read it, mail arrives. There is nothing to do.",
        ),
        at=local,
        zone=settings.zone,
        language=settings.language,
    )
    id_ = notice_id((f"test|{at.isoformat()}",))
    notice = StoredNotice(
        id_, facts.monitor, "test", "ops", OPS_NEWS, None, settings.language, settings.zone, at, facts.to_json()
    )
    return compose(
        notice,
        delivery_id=number,
        address=address,
        message_id=message_id(id_, number, sender_domain(settings.email.sender)),
        mail=settings.email,
        default_language=settings.language,
    )
