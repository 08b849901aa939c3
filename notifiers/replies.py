"""What a mail server's answer means for a delivery, and in which words it is told.

Codes: RFC 5321 section 4.2; enhanced status codes: RFC 3463.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from notifiers.text import one_line

Verb = Literal["CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA"]
Outcome = Literal["retry", "suppressed", "dead"]
Scope = Literal["message", "connection", "server"]
_ENHANCED: Final = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})\b")
_NO_SUCH_ADDRESS: Final = (550, 551, 553)
_CLOSING: Final = 421
_ASKS_FOR_LOGIN: Final = (530, 535, 538)
_TOO_LARGE: Final = 552
_OUT_OF_STEP: Final = 503


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message did not leave. `scope` says what it concerns: this message alone, the connection, or everybody."""

    outcome: Outcome
    detail: str
    scope: Scope = "message"


def refusal(host: str, verb: Verb, code: int, text: str) -> Refusal:
    """What a reply other than the hoped-for one means: of the codes a mail server uses, and of any it should not."""
    said = f"{code} {one_line(text)}".strip()
    if code == _CLOSING:
        return Refusal("retry", f"{host} closes the connection at {verb}: {said}", "connection")
    if 400 <= code < 500:
        return Refusal("retry", f"{host} cannot take {_WHAT[verb]} now: {said}")
    if not 500 <= code < 600 or code == _OUT_OF_STEP:
        return Refusal("retry", f"{host} gave no answer that belongs to {verb}: {said}", "connection")
    if code in _ASKS_FOR_LOGIN or (verb == "MAIL" and code != _TOO_LARGE):
        return Refusal("retry", f"{host} takes no message from us, at {verb}: {said}", "server")
    if verb == "RCPT" and _is_of_the_address(code, text):
        return Refusal("suppressed", f"{host} refuses the address: {said}")
    return Refusal("dead", f"{host} refuses {_WHAT[verb]}: {said}")


def broken(host: str, verb: Verb) -> Refusal:
    """The connection ended in the middle. After DATA the message may have been accepted all the same."""
    return Refusal("retry", f"{host} closed the connection at {verb}", "connection")


def silent(host: str, verb: Verb, seconds: float) -> Refusal:
    """Nothing was answered in time."""
    return Refusal("retry", f"{host} did not answer within {seconds:g} seconds, at {verb}", "connection")


_WHAT: Final[dict[Verb, str]] = {
    "CONNECT": "a connection",
    "EHLO": "our greeting",
    "STARTTLS": "TLS",
    "AUTH": "the login",
    "MAIL": "the message",
    "RCPT": "the address",
    "DATA": "the message",
}


def _is_of_the_address(code: int, text: str) -> bool:
    """Whether the mailbox is not there or closed (5.1.x, 5.2.1). A policy (5.7.1 is told to whoever is on a block list)
    or a full mailbox says nothing about the address; without an enhanced code the reply's own has to do."""
    enhanced = _ENHANCED.match(text)
    if enhanced is None:
        return code in _NO_SUCH_ADDRESS
    return enhanced[2] == "1" or (enhanced[2], enhanced[3]) == ("2", "1")
