"""The facts of the reference case, and ways to change one of them."""

from __future__ import annotations

import email.policy
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any, cast

from ledger.facts import NEAR_LIMIT, OPS_DIGEST, CustomerFacts, OpsCount, OpsFacts, OpsRow, StepFacts, TierFacts
from ledger.outbox import StoredNotice
from ledger.records import NoticeDue, customer

BASIC = TierFacts(name="basic", title="Basic", fee="500", included="100000", steps=(StepFacts(to=None, price="0.01"),))
PRO = TierFacts(name="pro", title="Pro", fee="2000", included="500000", steps=(StepFacts(to=None, price="0.01"),))

REFERENCE = CustomerFacts(
    customer="acme",
    name="Acme AB",
    monitor="basic_monthly_limit",
    monitor_title="Basic tier, monthly limit",
    view="basic_api_calls",
    view_title="Customer API calls, Basic tier",
    unit="API calls",
    threshold="approaching",
    severity="warning",
    quantity="92340",
    limit="90000",
    limit_percent="90",
    included="100000",
    percent="92.34",
    exceeded=False,
    projected="117652",
    projected_exceeds=True,
    period_start="2026-10-01T00:00:00+02:00",
    period_end="2026-11-01T00:00:00+01:00",
    window="billing month",
    counted_to="2026-10-25T09:00:00+01:00",
    at="2026-10-25T09:00:00+01:00",
    zone="Europe/Stockholm",
    language="en",
    currency="USD",
    tier=BASIC,
    recommended=PRO,
)

OPS = OpsFacts(
    monitor="basic_monthly_limit",
    monitor_title="Basic tier, monthly limit",
    view="basic_api_calls",
    view_title="Customer API calls, Basic tier",
    unit="API calls",
    route="page",
    at="2026-10-25T09:00:00+01:00",
    zone="Europe/Stockholm",
    language="en",
    evaluated=450,
    number=2,
    counts=(OpsCount("well_over", "error", 2),),
    rows=(
        OpsRow("delta", "Delta Ltd", "well_over", "error", "131002", "110000", "100000", "131.00", "165000",
               "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00", "Europe/Stockholm"),
        OpsRow("acme", "Acme AB", "well_over", "error", "127450", "110000", "100000", "127.45", None,
               "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00", "Europe/Stockholm"),
    ),
)  # fmt: skip


def facts(**changes: Any) -> dict[str, Any]:
    """The reference case as the ledger keeps it, with some facts changed."""
    return replace(REFERENCE, **changes).to_json()


def exceeded(**changes: Any) -> dict[str, Any]:
    """The reference case's customer A, who is over the limit."""
    over = {
        "threshold": "well_over", "severity": "error", "quantity": "127450", "limit": "110000", "limit_percent": "110",
        "percent": "127.45", "exceeded": True, "projected": "163000",
    }  # fmt: skip
    return facts(**{**over, **changes})


def stored(
    document: dict[str, Any] | None = None, *, template: str = NEAR_LIMIT, id_: str = "3fa9c1d2e4"
) -> StoredNotice:
    """A notice as the ledger gives it."""
    return StoredNotice(
        id=id_,
        monitor="basic_monthly_limit",
        route="warn",
        kind="ops" if template == OPS_DIGEST else "customer",
        template=template,
        subject=None if template == OPS_DIGEST else customer("acme"),
        language="en",
        zone="Europe/Stockholm",
        decided_at=datetime(2026, 10, 25, 8, 0, tzinfo=UTC),
        facts=facts() if document is None else document,
    )


def due(number: int, *, document: dict[str, Any] | None = None, template: str = NEAR_LIMIT) -> NoticeDue:
    """A decided notice, to be put into an outbox."""
    return NoticeDue(
        id=f"{number:08x}{'0' * 24}",
        monitor="basic_monthly_limit",
        route="warn",
        kind="customer",
        template=template,
        subject=customer(f"customer-{number}"),
        addresses=(f"c{number}@example.com",),
        language="en",
        zone="Europe/Stockholm",
        decided_at=datetime(2026, 10, 25, 8, 0, tzinfo=UTC),
        keys=(f"key-{number}",),
        facts=facts(customer=f"customer-{number}", name=f"Customer {number}") if document is None else document,
    )


def parsed(message: bytes) -> EmailMessage:
    """The message as a mail program reads it."""
    return BytesParser(policy=email.policy.default).parsebytes(message)


def text_of(message: bytes, kind: str = "plain") -> str:
    """The text or HTML part."""
    body = parsed(message).get_body((kind,))
    assert body is not None
    return cast("str", body.get_content()).replace("\r\n", "\n")
