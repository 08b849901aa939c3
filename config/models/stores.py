"""Where logs live."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, SecretStr, Tag, WithJsonSchema

from config.indices import IndexExpression, IndexName
from config.models.section import SOME_TEXT, FilePatterns, Section, by_type
from config.standards import FieldName, FilePath, TimeFormat
from config.values import Duration, Flag, Zone, one_or_many

FieldType = Literal["string", "integer", "decimal", "boolean", "time", "ip"]


class StoreFields(Section):
    """Which fields of a message carry what the program itself needs."""

    time: FieldName = Field(description="when it happened")
    customer: FieldName = Field(description="who did it")
    id: FieldName | None = Field(default=None, description="the message's own id: an id counts once per store")


class AnyStore(Section):
    """What every kind of log store has."""

    types: dict[FieldName, FieldType] = Field(default={}, description="types enforced when messages enter")
    lateness: Duration = Field(default=timedelta(0), description="how late a message may still arrive")
    stale_after: Duration | None = Field(
        default=None, description="newest message older than this: the reading is a lower bound"
    )
    retention: Duration | None = Field(
        default=None, description="how long messages are kept; what was counted before that is not counted again"
    )


class EmbeddedStore(AnyStore):
    """A log store of our own: immutable Parquet parts in a folder, queried with DuckDB."""

    type: Literal["embedded"] = Field(description="kind of log store")
    folder: FilePath = Field(description="where the parts are kept")
    read: FilePatterns = Field(default=(), description="files that the service picks up as they appear and grow")
    fields: StoreFields = Field(description="fields that carry time, customer and id")
    zone: Zone | None = Field(
        default=None, description="zone of times without an offset; such times are refused without"
    )
    time_format: TimeFormat = Field(
        default="rfc3339", description="`rfc3339`, `epoch_s`, `epoch_ms` or a strptime pattern"
    )


class ElasticsearchFields(StoreFields):
    """The fields of a store in Elasticsearch, where a message's `_id` is its identity."""

    id: FieldName | None = Field(default=None, description="what `ingest` makes the `_id` of; it needs one")
    ingested: FieldName | None = Field(
        default=None,
        description="when it arrived, set by what brings it; without, `lateness` says how far to look back",
    )


_FINGERPRINT: Final = re.compile(r"[0-9A-Fa-f]{64}|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31}")


def _host(value: str) -> str:
    """The value is never repeated: a login that is written into it would be."""
    if re.search(r"[\s\x00-\x1f@]", value):
        raise ValueError("must be a web address without a login, such as https://search-1.example.com:9200")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError("must be a web address, such as https://search-1.example.com:9200") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or "?" in value or "#" in value:
        raise ValueError("must be a web address, such as https://search-1.example.com:9200")
    if port is None:
        raise ValueError("must name its port, which is :9200 unless a proxy stands before Elasticsearch")
    return value


def _encoded(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-9;-~]+", value.get_secret_value()):
        raise ValueError("must be an API key in one word, which Elasticsearch calls `encoded` where it makes one")
    return value


def _fingerprint(value: str) -> str:
    if not _FINGERPRINT.fullmatch(value):
        raise ValueError("must be a SHA-256 fingerprint: 64 hexadecimal digits, with or without colons between pairs")
    return value.replace(":", "").lower()


def _patience(value: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= value <= timedelta(seconds=600):
        raise ValueError("must be between 1s and 600s")
    return value


_THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1")
_HOST: Final = {"type": "string", "examples": ["https://search-1.example.com:9200"]}
Hosts = Annotated[
    tuple[Annotated[str, AfterValidator(_host), WithJsonSchema(_HOST)], ...],
    BeforeValidator(one_or_many),
    Field(min_length=1),
    WithJsonSchema(SOME_TEXT),
]
Indices = Annotated[
    tuple[IndexExpression, ...], BeforeValidator(one_or_many), Field(min_length=1), WithJsonSchema(SOME_TEXT)
]


class ElasticsearchStore(AnyStore):
    """Logs in Elasticsearch, of which nothing is changed unless `ingest` is called."""

    type: Literal["elasticsearch"] = Field(description="kind of log store")
    hosts: Hosts = Field(description="nodes of one cluster; another one is tried when one does not answer")
    index: Indices = Field(
        description="indices, aliases or data streams, such as api-*; `-api-old*` leaves some out again, and "
        "`cluster_one:api-*` are another cluster's"
    )
    fields: ElasticsearchFields = Field(description="fields that carry time, customer and id")
    write_index: IndexName | None = Field(
        default=None, description="index that `ingest` writes to; else `index`, where that is a single plain name"
    )
    api_key: Annotated[SecretStr, AfterValidator(_encoded)] | None = Field(
        default=None, description="only by environment or as a secret file, never in YAML"
    )
    username: str | None = Field(default=None, description="login, where there is no API key", min_length=1)
    password: SecretStr | None = Field(
        default=None, description="only by environment or as a secret file, never in YAML"
    )
    ca_file: FilePath | None = Field(
        default=None, description="PEM file with the authorities that vouch for the hosts; else the system's"
    )
    fingerprint: Annotated[str, AfterValidator(_fingerprint)] | None = Field(
        default=None, description="SHA-256 fingerprint of the hosts' certificate, in place of an authority"
    )
    compress: Flag = Field(default=True, description="compressed requests and answers")
    timeout: Annotated[Duration, AfterValidator(_patience)] = Field(
        default=timedelta(seconds=60), description="for one answer: 1s to 600s"
    )

    @property
    def exposed(self) -> bool:
        """Whether what is sent could be read on its way to a host."""
        ways = map(urlsplit, self.hosts)
        return any(way.scheme == "http" and way.hostname not in _THIS_MACHINE for way in ways)


Store = Annotated[
    Annotated[EmbeddedStore, Tag("|embedded")] | Annotated[ElasticsearchStore, Tag("|elasticsearch")],
    Discriminator(by_type),
]
