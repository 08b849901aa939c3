"""Where logs live."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from config.models.section import FilePatterns, Section
from config.standards import FieldName, FilePath, TimeFormat
from config.values import Duration, Zone

FieldType = Literal["string", "integer", "decimal", "boolean", "time", "ip"]


class StoreFields(Section):
    """Which fields of a message carry what the program itself needs."""

    time: FieldName = Field(description="when it happened")
    customer: FieldName = Field(description="who did it")
    id: FieldName | None = Field(default=None, description="the message's own id: an id counts once per store")


class EmbeddedStore(Section):
    """A log store of our own: immutable Parquet parts in a folder, queried with DuckDB."""

    type: Literal["embedded"] = Field(description="kind of log store")
    folder: FilePath = Field(description="where the parts are kept")
    read: FilePatterns = Field(default=(), description="files that the service picks up as they appear and grow")
    fields: StoreFields = Field(description="fields that carry time, customer and id")
    types: dict[FieldName, FieldType] = Field(default={}, description="types enforced when messages enter")
    zone: Zone | None = Field(
        default=None, description="zone of times without an offset; such times are refused without"
    )
    time_format: TimeFormat = Field(
        default="rfc3339", description="`rfc3339`, `epoch_s`, `epoch_ms` or a strptime pattern"
    )
    lateness: Duration = Field(default=timedelta(0), description="how late a message may still arrive")
    stale_after: Duration | None = Field(
        default=None, description="newest message older than this: the reading is a lower bound"
    )


Store = EmbeddedStore  # `type` tells stores apart once there is a second one
