"""A whole configuration: one key per section of `tallywatch.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, Tag

from config.models.exports import Export
from config.models.monitors import Monitor
from config.models.people import Customer, Recipient, RosterFile
from config.models.section import Name, Section, by_shape
from config.models.settings import Settings
from config.models.stores import ElasticsearchStore, EmbeddedStore, Store
from config.models.tiers import Tier
from config.models.views import View


class Config(Section):
    """A whole configuration, references checked."""

    settings: Settings = Field(default=Settings(), description="what holds for the whole installation")
    stores: dict[Name, Store] = Field(default={}, description="where logs live")
    tiers: dict[Name, Tier] = Field(default={}, description="price plans")
    customers: (
        Annotated[
            Annotated[RosterFile, Tag("|mapping")] | Annotated[tuple[Customer, ...], Tag("|list")],
            by_shape("must be {file: customers.csv} or a list of customers"),
        ]
        | None
    ) = Field(
        default=None, description="the roster: a file, or a list; without it every customer value found is a customer"
    )
    recipients: dict[Name, Recipient] = Field(default={}, description="who of operations is told")
    views: dict[Name, View] = Field(default={}, description="saved filters")
    monitors: dict[Name, Monitor] = Field(default={}, description="what is watched")
    exports: dict[Name, Export] = Field(default={}, description="files for finance")

    @property
    def embedded_stores(self) -> Mapping[str, EmbeddedStore]:
        """The log stores of our own, by name."""
        return {name: store for name, store in self.stores.items() if isinstance(store, EmbeddedStore)}

    @property
    def elasticsearch_stores(self) -> Mapping[str, ElasticsearchStore]:
        """The log stores in Elasticsearch, by name."""
        return {name: store for name, store in self.stores.items() if isinstance(store, ElasticsearchStore)}
