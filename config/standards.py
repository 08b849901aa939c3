"""Values that a standard defines: email addresses, currencies, languages, database URLs, field names, time formats."""

from __future__ import annotations

import re
from email.headerregistry import Address
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

_SIMPLE_ADDRESS: Final = re.compile(r"([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@([A-Za-z0-9.-]+)")


def email_address(value: str) -> str:
    """A bare email address, such as ops@example.com, normalised. ValueError says what is wrong with it."""
    if "<" in value or ">" in value:
        raise ValueError("must be a bare address such as ops@example.com, without a name and angle brackets")
    simple = _SIMPLE_ADDRESS.fullmatch(value)
    if simple and len(simple[1]) <= 64 and len(value) <= 254:
        return f"{simple[1]}@{_domain(simple[2])}"  # 100,000 customers share few domains
    return _checked_address(value)


@lru_cache(maxsize=10_000)
def _domain(domain: str) -> str:
    return _checked_address(f"x@{domain}").partition("@")[2]


def _checked_address(value: str) -> str:
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 (slow; only configurations need it)

    # names that are real inside a company only are refused by the library, so it sees them with a public end
    end = ".example.com" if value.endswith(_INTERNAL) else ""
    try:
        found = validate_email(value + end, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        detail = str(error).rstrip(".")
        raise ValueError(f"is no email address: {detail[:1].lower()}{detail[1:]}") from error
    domain = found.domain.removesuffix(end)
    if "." not in domain and domain != "localhost":
        raise ValueError("is no email address: the part after @ needs a dot, such as example.com")
    return f"{found.local_part}@{domain}"


_INTERNAL: Final = ("@localhost", ".localhost", ".local", ".internal", ".lan", ".test")
_NAMED_ADDRESS: Final = re.compile(r'(?:"(?P<quoted>[^"\\]*)"|(?P<name>[^"<>]*?))\s*<(?P<address>[^<>]+)>')


def sender(value: str) -> str:
    """`Usage <usage@example.com>` or a bare address, fit for a From header."""
    if any(character in value for character in "\r\n\0"):
        raise ValueError("must be one line")
    named = _NAMED_ADDRESS.fullmatch(value.strip())
    address = named["address"] if named else value.strip()
    if "@" not in address:
        raise ValueError("must be an address, such as usage@example.com or Usage <usage@example.com>")
    checked = email_address(address)
    name = (named["quoted"] or named["name"] or "") if named else ""
    return str(Address(name.strip(), addr_spec=checked)) if name.strip() else checked


_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


def mail_host(value: str) -> str:
    """A host name or IP address, without a scheme or port."""
    if not _HOST.fullmatch(value) or len(value) > 253:
        raise ValueError("must be a host name or an IP address, such as smtp.example.com, without a scheme and port")
    return value


@lru_cache(maxsize=1_000)
def language(value: str) -> str:
    """A language tag that numbers and dates can be formatted for, such as en or sv-SE."""
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415 (slow; only configurations need it)

    try:
        locale = Locale.parse(value.replace("_", "-"), sep="-")
    except (UnknownLocaleError, ValueError, TypeError) as error:
        raise ValueError("is no known language; write a tag such as en, en-GB or sv-SE") from error
    return str(locale).replace("_", "-")


def currency(value: str) -> str:
    """An ISO 4217 code of a currency with a smallest unit, such as USD."""
    from iso4217 import Currency  # noqa: PLC0415 (parses its table on import)

    try:
        found = Currency(value)
    except ValueError as error:
        raise ValueError("is no ISO 4217 currency code; write one such as USD, EUR or SEK") from error
    if found.exponent is None:
        raise ValueError("has no smallest unit, so amounts in it cannot be rounded; write a currency such as USD")
    return str(found.value)


def database_url(value: str) -> str:
    """A database URL of a kind that works. Never repeats the value: it may hold a password."""
    from sqlalchemy.engine import make_url  # noqa: PLC0415 (slow; only configurations need it)
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 (as above)

    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError("must be a database URL, such as sqlite:///tallywatch.db") from None  # the cause repeats it
    dialect = url.get_backend_name()
    if dialect == "postgresql":
        if not url.database:
            raise ValueError("must name a database, as in postgresql://tallywatch@db.example.com/tallywatch")
        return value
    if dialect == "postgres":
        raise ValueError("must begin with postgresql://, as in postgresql://tallywatch@db.example.com/tallywatch")
    if url.drivername != "sqlite":
        raise ValueError("must be SQLite (sqlite:///tallywatch.db) or PostgreSQL (postgresql://USER@HOST/DATABASE)")
    if url.host:
        raise ValueError(
            "needs three slashes before a relative path and four before an absolute one, as in sqlite:///tallywatch.db"
        )
    if not url.database or url.database == ":memory:":
        raise ValueError("must name a file, such as sqlite:///tallywatch.db: what is decided has to survive a restart")
    if url.query or url.database.startswith("file:"):
        raise ValueError("must be a plain path without options, such as sqlite:///tallywatch.db")
    return value


def absolute_database_url(value: str, base: Path) -> str:
    """The same database; a file with an absolute path, a relative one being relative to `base`."""
    from sqlalchemy.engine import URL, make_url  # noqa: PLC0415 (slow; only configurations need it)

    url = make_url(value)
    if url.get_backend_name() != "sqlite":
        return value
    path = base / Path(url.database or "").expanduser()
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def field_name(value: str) -> str:
    """A dotted field name, such as http.request.method."""
    if not value or any(not segment for segment in value.split(".")):
        raise ValueError("must be a field name, such as customer.id")
    return value


def path(value: object) -> object:
    """A path that can exist."""
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        raise ValueError("must be a path")
    return str(value) if isinstance(value, str) else value


DIRECTIVES: Final = "YymdjHIpMSfzbBaA"
"""The strptime directives that DuckDB 2.0 and Python read alike; %T, %e, %Z and others are read by one of them only."""


def time_format(value: str) -> str:
    """`rfc3339`, `epoch_s`, `epoch_ms`, or a strptime pattern that states a whole date and a time of day."""
    if value in ("rfc3339", "epoch_s", "epoch_ms"):
        return value
    if "%" not in value:
        raise ValueError("must be rfc3339, epoch_s, epoch_ms, or a strptime pattern such as %d/%b/%Y:%H:%M:%S %z")
    found = re.findall(r"%(.?)", value.replace("%%", ""), flags=re.DOTALL)
    for directive in found:
        if directive not in DIRECTIVES or not directive:
            known = " ".join(f"%{letter}" for letter in DIRECTIVES)
            raise ValueError(f"cannot read %{directive}; the directives are {known}")
        if found.count(directive) > 1:
            raise ValueError(f"has %{directive} twice")
    has = set(found)
    if not (has & {"Y", "y"} and (("d" in has and has & {"m", "b", "B"}) or "j" in has)):
        raise ValueError("must hold a whole date: a year, and a month and day")
    if not (("H" in has or has >= {"I", "p"}) and "M" in has):
        raise ValueError("must hold a time of day: %H or %I with %p, and %M")
    return value


def _text(example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": [example]})


EmailAddress = Annotated[str, AfterValidator(email_address), _text("ops@example.com")]
Sender = Annotated[str, AfterValidator(sender), _text("Usage <usage@example.com>")]
MailHost = Annotated[str, AfterValidator(mail_host), _text("smtp.example.com")]
Language = Annotated[str, AfterValidator(language), _text("sv-SE")]
Currency = Annotated[str, AfterValidator(currency), _text("USD")]
DatabaseUrl = Annotated[str, AfterValidator(database_url), _text("sqlite:///tallywatch.db")]
FieldName = Annotated[str, AfterValidator(field_name), _text("http.request.method")]
TimeFormat = Annotated[str, AfterValidator(time_format), _text("%d/%b/%Y:%H:%M:%S %z")]
FilePath = Annotated[Path, BeforeValidator(path), WithJsonSchema({"type": "string", "format": "path"})]
