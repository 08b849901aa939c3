"""The notice that an evaluation would send to one customer: decided and written as for real, and recorded nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from config.models import Settings
from config.roster import Roster, RosterCustomer
from ledger.outbox import StoredNotice, message_id
from ledger.quantities import decimal_text
from ledger.records import NoticeDue, RenderedNotice, SubjectKind, Verdict, customer
from monitors.commit import sender_domain
from monitors.decide import decide
from monitors.evaluate import Evaluated
from monitors.gates import is_open
from monitors.scene import CUSTOMER
from monitors.watched import Watched
from notifiers.errors import NothingToSendError
from notifiers.formats import formats
from notifiers.message import compose


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be sent. `open` is False when the route waits for its days and hours before it tells."""

    notice: NoticeDue
    open: bool


def preview(evaluated: Evaluated, roster: Roster, member: RosterCustomer) -> Preview:
    """The notice of the most severe breached threshold, whatever the day and whether or not it was told before.

    Raises:
        NothingToSendError: no route tells the customer, nothing is breached, or there is nobody to tell.
    """
    it = evaluated.watched
    routes = {name: route for name, route in it.monitor.notify.items() if CUSTOMER in route.to}
    if it.monitor.per == "total" or not routes:
        raise NothingToSendError(f"monitor {it.name} has no route to customers; a route to them says `to: customer`")
    verdicts = [found for found in evaluated.verdicts if found.subject == customer(member.id)]
    # of a period that ended and the one that runs, the one that there is something to tell of; else the one that runs
    verdict = next((found for found in reversed(verdicts) if found.state != "ok"), verdicts[-1] if verdicts else None)
    if verdict is None:
        raise NothingToSendError(
            f"monitor {it.name} does not watch customer {member.id}: view {it.view_name} does not select it, or it has "
            "no contract in this period"
        )
    always = {name: route.model_copy(update={"days": None, "hours": None}) for name, route in routes.items()}
    ungated = replace(it, monitor=it.monitor.model_copy(update={"notify": always}))
    decision = decide(ungated, [verdict], standings={}, roster=roster, used_keys={}, at=evaluated.at)
    due = next((found for found in decision.notices if found.kind == SubjectKind.CUSTOMER.value), None)
    if due is None:
        raise NothingToSendError(_why_nothing(it, verdict, member))
    return Preview(due, is_open(routes[due.route], verdict.period, evaluated.at))


def messages(due: NoticeDue, settings: Settings) -> Iterator[RenderedNotice]:
    """The notice as a message for each of its addresses, byte for byte as it would be delivered.

    Raises:
        NoticeError: it cannot be rendered.
    """
    notice = StoredNotice(
        due.id,
        due.monitor,
        due.route,
        due.kind,
        due.template,
        due.subject,
        due.language,
        due.zone,
        due.decided_at,
        due.facts,
    )
    domain = sender_domain(settings.email.sender)
    for number, address in enumerate(due.addresses, start=1):
        yield compose(
            notice,
            delivery_id=number,
            address=address,
            message_id=message_id(due.id, number, domain),
            mail=settings.email,
            default_language=settings.language,
        )


def _why_nothing(it: Watched, verdict: Verdict, member: RosterCustomer) -> str:
    told = {name for route in it.monitor.notify.values() if CUSTOMER in route.to for name in route.when}
    relevant = [result for result in verdict.thresholds if result.name in told]
    if any(result.breached for result in relevant):
        return f"customer {member.id} has no email address, so nobody would be told; add one to the roster"
    written = formats(it.settings.language)
    used = "nothing that can be counted" if verdict.quantity is None else written.number(decimal_text(verdict.quantity))
    limits = ", ".join(
        f"{result.name} is {'above' if result.side == 'max' else 'below'} {written.number(decimal_text(result.limit))}"
        for result in relevant
        if result.limit is not None
    )
    reason = f" ({limits})" if limits else ""
    return (
        f"nothing would be sent: {member.id} has used {used}, and no threshold that it is told of is breached{reason}"
    )
