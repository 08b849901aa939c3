"""News: what the service tells operations of itself, through the same outbox as everything else, once per affair."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from config.load import Loaded
from config.models import UNAVAILABLE
from config.values import zone_info
from ledger import outbox
from ledger.database import Database
from ledger.facts import OPS_NEWS, NewsFacts
from ledger.outbox import KeyTakenError
from ledger.records import NoticeDue
from monitors.commit import sender_domain
from monitors.keys import notice_id

EXPIRES_AFTER: Final = timedelta(days=3)


def operations(loaded: Loaded) -> tuple[str, ...]:
    """Who is told of the service itself: whoever a route tells that a store is unavailable, else every recipient."""
    recipients = loaded.config.recipients
    named = {
        name
        for monitor in loaded.config.monitors.values()
        for route in monitor.notify.values()
        if UNAVAILABLE in route.when
        for name in route.to
        if name in recipients
    }
    chosen = [recipients[name] for name in recipients if name in named or not named]
    return tuple(dict.fromkeys(address for recipient in chosen for address in recipient.email))


def tell(
    database: Database,
    loaded: Loaded,
    *,
    about: str,
    affair: str,
    headline: str,
    paragraphs: Sequence[str],
    at: datetime,
) -> bool:
    """Puts a notice to operations into the outbox, unless the affair was told before. False when nobody is told.

    `affair` is free text: the same one is told once, whatever the wording.
    """
    addresses = operations(loaded)
    if not addresses:
        return False
    settings = loaded.config.settings
    key = f"news|{about}|{hashlib.sha256(affair.encode()).hexdigest()}"
    local = at.astimezone(zone_info(settings.zone)).isoformat(timespec="seconds")
    notice = NoticeDue(
        id=notice_id((key,)),
        monitor=about[:64],
        route="news",
        kind="ops",
        template=OPS_NEWS,
        subject=None,
        addresses=addresses,
        language=settings.language,
        zone=settings.zone,
        decided_at=at,
        keys=(key,),
        facts=NewsFacts(about, headline, tuple(paragraphs), local, settings.zone, settings.language).to_json(),
        expires_at=at + EXPIRES_AFTER,
    )
    try:
        with database.begin() as connection:
            outbox.insert(
                connection,
                [notice],
                sender_domain=sender_domain(settings.email.sender),
                channel=settings.email.transport,
            )
    except KeyTakenError:
        return False
    return True
