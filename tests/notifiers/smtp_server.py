"""A real mail server on a socket, which misbehaves as it is told, and the certificates that it shows."""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DROP = "drop"
HANG = "hang"
USERNAME, PASSWORD = "usage", "hunter2"
AFTER_DOT = "AFTER_DOT"


@dataclass(frozen=True)
class Accepted:
    """A message that the server took: over which connection, when, for whom, and its bytes."""

    connection: int
    at: float
    sender: str
    recipient: str
    message: bytes


@dataclass
class Behaviour:
    """What goes wrong: `drop`, `hang`, or a reply, at a verb (CONNECT, EHLO, …, AFTER_DOT) or for a recipient.

    A verb's fault happens `times` times in all, then the server behaves. `slow` are seconds that each message takes.
    """

    at: dict[str, str] = field(default_factory=dict)
    recipients: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)  # the answer to DATA, by recipient
    times: int = 1_000_000
    slow: float = 0.0
    limit: int = 1_000_000  # of connections at the same time
    utf8: bool = True


class MailServer:
    """The server, in a thread of its own. `seen` counts what it was told, by verb."""

    def __init__(
        self, behaviour: Behaviour | None = None, *, context: ssl.SSLContext | None = None, tls: bool = False,
        login: bool = False,
    ) -> None:  # fmt: skip
        self.behaviour = behaviour or Behaviour()
        self.accepted: list[Accepted] = []
        self.seen: dict[str, int] = {}
        self.logins: list[tuple[bytes, bytes]] = []
        self.port = 0
        self.open = 0
        self.most_open = 0
        self._context, self._tls, self._login = context, tls, login
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()
        self._server: asyncio.Server | None = None
        self.clients: set[Any] = set()

    def __enter__(self) -> MailServer:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def drop_everybody(self) -> None:
        """Closes every connection that is open now."""
        done = threading.Event()

        def close() -> None:
            for client in list(self.clients):
                client.abort()
            self._loop.call_later(0.05, done.set)

        self._loop.call_soon_threadsafe(close)
        assert done.wait(10)

    def recipients(self) -> list[str]:
        """To whom messages went, in order."""
        return [message.recipient for message in self.accepted]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(
            self._loop.create_server(
                lambda: _Session(self, self._loop), "127.0.0.1", 0, ssl=self._context if self._tls else None
            )
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        for client in list(self.clients):
            client.abort()
        self._loop.run_until_complete(asyncio.sleep(0.02))
        self._loop.close()

    def starttls(self) -> ssl.SSLContext | None:
        """What STARTTLS is offered with; None where it is not."""
        return None if self._tls else self._context

    @property
    def login(self) -> bool:
        """Whether nobody sends anything without a login."""
        return self._login


class _Session(SMTP):
    """One connection, with the faults of the server's behaviour."""

    def __init__(self, owner: MailServer, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._number = 0
        super().__init__(
            _Handler(owner, self),
            hostname="mail.test",
            enable_SMTPUTF8=owner.behaviour.utf8,
            tls_context=owner.starttls(),
            authenticator=self._check_login,
            auth_required=owner.login,
            auth_require_tls=owner.starttls() is not None,
            auth_exclude_mechanism=["LOGIN"],
            loop=loop,
        )

    def _check_login(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self._owner.logins.append((data.login, data.password))
        good = (data.login, data.password) == (USERNAME.encode(), PASSWORD.encode())
        return AuthResult(success=good, handled=False)

    def connection_made(self, transport: Any) -> None:
        if not self._number:
            self._owner.seen["connection"] = self._owner.seen.get("connection", 0) + 1
            self._number = self._owner.seen["connection"]
            self._owner.open += 1
            self._owner.most_open = max(self._owner.most_open, self._owner.open)
        self._owner.clients.add(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._owner.open -= 1
        self._owner.clients = {client for client in self._owner.clients if not client.is_closing()}
        super().connection_lost(error)

    async def fault(self, verb: str, of: str | None = None) -> bool:
        """Counts a verb, and does what goes wrong at it; whether something did."""
        self._owner.seen[verb] = self._owner.seen.get(verb, 0) + 1
        behaviour = self._owner.behaviour
        what = of
        if what is None and verb in behaviour.at and self._owner.seen[verb] <= behaviour.times:
            what = behaviour.at[verb]
        if what is None:
            return False
        if what == HANG:
            await asyncio.sleep(600)
        elif what == DROP:
            self.transport.abort()
        else:
            await self.push(what)
            if what.startswith("421"):
                self.transport.close()
        return True

    async def _handle_client(self) -> None:
        if self._owner.open > self._owner.behaviour.limit:
            await self.push("421 too many connections")
            self.transport.close()
            return
        # after STARTTLS the session begins again on the same connection, without a greeting
        if self._tls_protocol is None and await self.fault("CONNECT"):
            return
        with suppress(ConnectionError, AttributeError):  # it was us who closed it
            await super()._handle_client()

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802 (aiosmtpd's naming)
        if not await self.fault("EHLO"):
            await super().smtp_EHLO(hostname)

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        if not await self.fault("STARTTLS"):
            await super().smtp_STARTTLS(arg)

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802
        if not await self.fault("AUTH"):
            await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        if not await self.fault("MAIL"):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        address = (arg or "").partition("<")[2].partition(">")[0]
        if not await self.fault("RCPT", self._owner.behaviour.recipients.get(address)):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if not await self.fault("DATA"):
            await super().smtp_DATA(arg)


class _Handler:
    """Takes messages, or does not."""

    def __init__(self, owner: MailServer, session: _Session) -> None:
        self._owner, self._session = owner, session

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        (recipient,) = envelope.rcpt_tos
        behaviour = self._owner.behaviour
        if behaviour.slow:
            await asyncio.sleep(behaviour.slow)
        if recipient in behaviour.messages:
            return behaviour.messages[recipient]
        number = self._session._number
        self._owner.accepted.append(
            Accepted(number, monotonic(), envelope.mail_from or "", recipient, envelope.content)
        )
        if await self._session.fault(AFTER_DOT):
            await asyncio.sleep(600)
        return "250 2.0.0 queued"


@dataclass(frozen=True)
class Certificates:
    """An authority's file, and what a server needs to show one that it signed, for 127.0.0.1 or for somebody else."""

    authority: Path
    right: ssl.SSLContext
    wrong: ssl.SSLContext


def certificates(folder: Path) -> Certificates:
    """A new authority with two certificates, in files."""
    authority = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
    own = _certificate(name, name, authority, authority, None)
    (folder / "authority.pem").write_bytes(own.public_bytes(serialization.Encoding.PEM))
    return Certificates(
        folder / "authority.pem",
        _context(folder, "right", "localhost", authority, name),
        _context(folder, "wrong", "other.example.com", authority, name),
    )


def _context(
    folder: Path, kind: str, host: str, authority: ec.EllipticCurvePrivateKey, issuer: x509.Name
) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    signed = _certificate(subject, issuer, key, authority, host)
    path = folder / f"{kind}.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey,
    host: str | None,
) -> x509.Certificate:  # fmt: skip
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if host is None:
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
             "decipher_only", "digital_signature"), False,
        )  # fmt: skip
        builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return builder.sign(signer, hashes.SHA256())
