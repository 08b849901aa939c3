"""One connection to a mail server: opened, upgraded and logged in, then used for one message after another."""

from __future__ import annotations

import base64
import re
import ssl
from asyncio import WriteTransport
from typing import Final

from aiosmtplib import SMTP, SMTPException, SMTPResponseException
from aiosmtplib.errors import SMTPConnectResponseError

from config.mail import PASSWORD
from config.models import Email
from ledger.records import RenderedNotice
from notifiers.errors import ChannelError
from notifiers.replies import Refusal, Verb, broken, refusal
from notifiers.text import one_line

_HIDDEN: Final = "********"
_NO_ADDRESS: Final = re.compile(r"[\s<>,;\x00-\x1f\x7f]|^$")
"""The library would cut such an address short, and the message would go to somebody else."""


class UnavailableError(ChannelError):
    """No connection can be had, with the reason. `final`: the server, or its certificate, says no to everybody."""

    def __init__(self, sentence: str, *, final: bool) -> None:
        super().__init__(sentence)
        self.final = final


class Connection:
    """A connection as `mail` describes it. Not safe for use by two tasks at once; sets no timeouts of its own."""

    def __init__(self, mail: Email, sender: str) -> None:
        self.host = mail.host or "localhost"
        self.verb: Verb = "CONNECT"
        self.greeting = ""
        self._mail = mail
        self._sender = sender
        self._client: SMTP | None = None

    @property
    def is_open(self) -> bool:
        """Whether a message can be sent without opening it first, as far as is known here."""
        return self._client is not None and self._client.is_connected

    async def open(self, context: ssl.SSLContext | None, own_name: str) -> None:
        """Connects, upgrades to TLS and logs in, whatever of it the settings ask for.

        Raises:
            UnavailableError: any of it failed; the connection is closed then.
        """
        self.abort()
        mail = self._mail
        client = SMTP(
            hostname=self.host,
            port=mail.server_port,
            use_tls=mail.tls,
            start_tls=False,
            tls_context=context,
            local_hostname=own_name,
            timeout=None,
        )
        self._client, opened = client, False
        try:
            await self._open(client, context)
            opened = True
        except SMTPResponseException as exc:
            found = refusal(self.host, self.verb, exc.code, self._scrubbed(exc.message))
            raise UnavailableError(found.detail, final=500 <= exc.code < 600) from exc
        except ssl.SSLError as exc:
            raise self._untrusted(exc) from exc
        except (SMTPException, OSError) as exc:
            raise self._unavailable(exc) from exc
        finally:
            if not opened:
                self.abort()

    async def _open(self, client: SMTP, context: ssl.SSLContext | None) -> None:
        mail = self._mail
        self.verb = "CONNECT"
        self.greeting = (await client.connect()).message
        self.verb = "EHLO"
        await client.ehlo()
        if mail.requires_start_tls:
            self.verb = "STARTTLS"
            if not client.supports_extension("starttls"):
                raise UnavailableError(
                    f"{self.host} offers no STARTTLS, and nothing is sent in the clear; set settings.email.tls: true "
                    "if it expects TLS from the first byte, or start_tls: false if it needs none",
                    final=True,
                )
            await client.starttls(tls_context=context)
            self.verb = "EHLO"
            await client.ehlo()
        if mail.username is not None:
            self.verb = "AUTH"
            await self._login(client, mail.username)

    async def _login(self, client: SMTP, username: str) -> None:
        if self._mail.password is None:
            raise UnavailableError(
                f"settings.email.username is set and its password is not; set {PASSWORD}", final=True
            )
        if not client.supports_extension("auth"):
            raise UnavailableError(f"{self.host} offers no login; remove settings.email.username", final=True)
        await client.login(username, self._mail.password.get_secret_value())

    async def answers(self) -> bool:
        """Whether a connection that was idle still works; it is closed when it does not."""
        try:
            if self._client is not None and (await self._client.noop()).code < 400:
                return True
        except (SMTPException, OSError):
            pass
        self.abort()
        return False

    async def send(self, notice: RenderedNotice) -> Refusal | str:
        """Sends one message, byte for byte; the server's words when it took it, else why not.

        After a refusal that concerns the connection, it is closed.
        """
        client = self._client
        if client is None:
            raise RuntimeError("the connection is not open")
        if _NO_ADDRESS.search(notice.address):
            return Refusal("dead", "the address holds characters that cannot be in one, so nothing was sent")
        # an address beyond ASCII can be spoken of in no other way (RFC 6531)
        utf8 = not (notice.address.isascii() and self._sender.isascii())
        if utf8 and not client.supports_extension("smtputf8"):
            return Refusal("dead", f"{self.host} takes no address with letters beyond ASCII (it offers no SMTPUTF8)")
        try:
            return await self._speak(client, notice, utf8=utf8)
        except SMTPResponseException as exc:
            found = refusal(self.host, self.verb, exc.code, exc.message)
            if found.scope == "connection":
                self.abort()
            else:
                await self._reset(client)
            return found
        except (SMTPException, OSError):
            self.abort()
            return broken(self.host, self.verb)
        except BaseException:
            self.abort()  # nobody knows how far the server is
            raise

    async def _speak(self, client: SMTP, notice: RenderedNotice, *, utf8: bool) -> str:
        encoding = "utf-8" if utf8 else "ascii"
        options = [f"SIZE={len(notice.message)}"] if client.supports_extension("size") else []
        if utf8:
            options += ["SMTPUTF8", "BODY=8BITMIME"]
        self.verb = "MAIL"
        await client.mail(self._sender, options=options, encoding=encoding)
        self.verb = "RCPT"
        await client.rcpt(notice.address, encoding=encoding)
        self.verb = "DATA"
        answer = await client.data(notice.message)
        return one_line(f"{answer.code} {answer.message}")

    async def _reset(self, client: SMTP) -> None:
        """Makes the server forget the message that it refused; a connection on which that fails is closed."""
        try:
            await client.rset()
        except (SMTPException, OSError):
            self.abort()

    async def quit(self) -> None:
        """Says goodbye and closes."""
        try:
            if self._client is not None and self._client.is_connected:
                await self._client.quit()
        except (SMTPException, OSError):
            pass  # it is going anyway
        self.abort()

    def abort(self) -> None:
        """Closes at once: over TLS a polite end takes several turns of a loop that may be about to close."""
        if self._client is not None:
            if isinstance(self._client.transport, WriteTransport):
                self._client.transport.abort()
            self._client.close()
            self._client = None

    def _unavailable(self, exc: Exception) -> UnavailableError:
        cause = exc.__cause__
        if isinstance(cause, ssl.SSLError):
            return self._untrusted(cause)
        if isinstance(cause, SMTPConnectResponseError | SMTPException) or not isinstance(cause, OSError):
            return UnavailableError(broken(self.host, self.verb).detail, final=False)
        reason = cause.strerror or str(cause) or type(cause).__name__
        place = f"{self.host} on port {self._mail.server_port}"
        return UnavailableError(f"{place} cannot be reached: {self._scrubbed(reason)}", final=False)

    def _untrusted(self, exc: ssl.SSLError) -> UnavailableError:
        if isinstance(exc, ssl.SSLCertVerificationError):
            sentence = (
                f"the certificate of {self.host} is not to be trusted: {exc.verify_message}; correct "
                "settings.email.host, or name the authority that signed it in settings.email.ca_file"
            )
        else:
            sentence = (
                f"{self.host} speaks no TLS that we understand: {exc.reason or exc}; look at settings.email.port "
                "and tls"
            )
        return UnavailableError(sentence, final=True)

    def _scrubbed(self, text: str) -> str:
        """The text without the password, should a server repeat it."""
        if self._mail.password is None:
            return text
        secret, username = self._mail.password.get_secret_value(), self._mail.username or ""
        forms = (secret.encode(), f"\0{username}\0{secret}".encode())
        for form in (secret, *(base64.b64encode(form).decode() for form in forms)):
            text = text.replace(form, _HIDDEN)
        return text
