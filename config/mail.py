"""Whether the settings of mail go together, and whether the password stands where nobody reads it by chance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from config.errors import Problem
from config.models import Email
from config.references import Context

PASSWORD: Final = "TALLYWATCH_SETTINGS__EMAIL__PASSWORD"  # noqa: S105 (the variable's name)
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_DEFAULT_SENDER: Final = Email().sender


def check(context: Context) -> Iterator[Problem]:
    """Every contradiction in `settings.email`."""
    email = context.config.settings.email
    path = ("settings", "email")
    if email.password is not None and context.place(*path, "password").line is not None:
        reason = "settings.email.password: must not stand in a configuration file"
        hint = f"set {PASSWORD}, or write it into a secret file of that name in lower case"
        yield Problem(context.place(*path, "password"), reason, hint)
    if email.tls and email.start_tls:
        reason = "settings.email.start_tls: TLS from the first byte (tls: true) leaves nothing to upgrade"
        yield Problem(context.place(*path, "start_tls"), reason, "keep the one that the server expects")
    if email.transport == "smtp":
        yield from _smtp(context, email, path)


def _smtp(context: Context, email: Email, path: tuple[str, ...]) -> Iterator[Problem]:
    transport = context.place(*path, "transport")
    if context.config.settings.simulation:
        reason = (
            "settings.email.transport: smtp is refused with settings.simulation: true, whose notices tell of made-up "
            "times"
        )
        yield Problem(transport, reason, "write transport: files")
    if email.host is None:
        reason = "settings.email.host is missing, which transport: smtp needs"
        yield Problem(transport, reason, "host: the mail server, such as smtp.example.com")
    if email.sender == _DEFAULT_SENDER:
        reason = "settings.email.sender is missing, which transport: smtp needs"
        yield Problem(transport, reason, "sender: From address of every notice, such as Usage <usage@example.com>")
    if email.username is not None and not email.encrypted and email.host not in _LOCAL:
        reason = "settings.email.username: the password would be sent in the clear"
        yield Problem(context.place(*path, "username"), reason, "remove start_tls: false, or set tls: true")
