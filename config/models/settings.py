"""What holds for the whole installation."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from config.models.section import Section
from config.standards import Currency, DatabaseUrl, EmailAddress, FilePath, Language, MailHost, Sender
from config.values import Duration, Flag, Integer, Zone


def _patience(value: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= value <= timedelta(seconds=120):
        raise ValueError("must be between 1s and 120s")
    return value


class Email(Section):
    """How mail leaves: one .eml file per notice in a folder, or over a mail server."""

    transport: Literal["files", "smtp"] = Field(
        default="files", description="`files`: one .eml per notice in `folder`; `smtp`: over the mail server `host`"
    )
    folder: FilePath = Field(default=Path("mail"), description="where the .eml files go")
    sender: Sender = Field(default="tallywatch <tallywatch@localhost>", description="From address of every notice")
    reply_to: EmailAddress | None = Field(default=None, description="Reply-To address of every notice")
    host: MailHost | None = Field(default=None, description="mail server; `smtp` needs one")
    port: Annotated[Integer, Field(ge=1, le=65_535)] | None = Field(
        default=None, description="port of the mail server; else 465 with `tls`, and 587 without"
    )
    tls: Flag = Field(default=False, description="TLS from the first byte, as on port 465")
    start_tls: Flag | None = Field(
        default=None, description="STARTTLS is required, as on port 587; else `true`, unless `tls` is"
    )
    ca_file: FilePath | None = Field(
        default=None, description="PEM file with the authorities that vouch for the server; else the system's"
    )
    username: str | None = Field(default=None, description="login at the mail server", min_length=1)
    password: SecretStr | None = Field(
        default=None, description="only by environment or as a secret file, never in YAML"
    )
    connections: Integer = Field(default=4, description="connections at the same time", ge=1, le=50)
    timeout: Annotated[Duration, AfterValidator(_patience)] = Field(
        default=timedelta(seconds=60), description="for connecting and login, and again for each message: 1s to 120s"
    )
    redirect_to: EmailAddress | None = Field(
        default=None, description="with `smtp`: every notice goes here instead, for trying out"
    )

    @property
    def server_port(self) -> int:
        """The port, stated or usual."""
        return self.port or (465 if self.tls else 587)

    @property
    def requires_start_tls(self) -> bool:
        """Whether a connection that cannot be upgraded to TLS is given up."""
        return not self.tls if self.start_tls is None else self.start_tls

    @property
    def encrypted(self) -> bool:
        """Whether nothing is sent in the clear."""
        return self.tls or self.requires_start_tls


def _web_address(value: SecretStr) -> SecretStr:
    """Its path is often the only thing that keeps a watchdog's address secret, so it is never repeated."""
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a web address, such as https://hc.example.com/ping/abc")
    return value


def _pulse(value: timedelta) -> timedelta:
    if value < timedelta(seconds=10):
        raise ValueError("must be 10s or more")
    return value


class Heartbeat(Section):
    """A sign of life for somebody else's watchdog: sent only while evaluations succeed and notices leave."""

    url: Annotated[SecretStr, AfterValidator(_web_address)] = Field(description="web address that is fetched")
    every: Annotated[Duration, AfterValidator(_pulse)] = Field(
        default=timedelta(minutes=5), description="how often; 10s or more"
    )


class Settings(Section):
    """What holds for the whole installation."""

    database: DatabaseUrl = Field(default="sqlite:///tallywatch.db", description="SQLAlchemy URL of the ledger")
    zone: Zone = Field(default="UTC", description="zone of customers that state none, of totals and of operations")
    language: Language = Field(default="en", description="language of customers that state none, such as en or sv-SE")
    currency: Currency = Field(default="USD", description="ISO 4217 code of all prices")
    email: Email = Field(default=Email(), description="how mail leaves")
    heartbeat: Heartbeat | None = Field(default=None, description="a sign of life for a watchdog")
    simulation: Flag = Field(
        default=False, description="allow `evaluate --at T --commit`; fixed when the database is created"
    )
