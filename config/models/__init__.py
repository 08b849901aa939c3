"""What a configuration may say: one frozen model per section of `tallywatch.yaml`.

The models describe and never act. Values arrive as the text that was written (see `config.values`); references between
sections, and whatever needs more than one model at once, are checked in `config.references` and `config.coherence`.
"""

from __future__ import annotations

from config.models.configuration import Config
from config.models.exports import Export
from config.models.monitors import (
    CONDITIONS,
    LOGS_STALE,
    UNAVAILABLE,
    Monitor,
    Route,
    Severity,
    Side,
    Threshold,
    Window,
)
from config.models.people import Customer, Recipient, RosterFile
from config.models.settings import Email, Settings
from config.models.stores import ElasticsearchFields, ElasticsearchStore, EmbeddedStore, FieldType, Store, StoreFields
from config.models.tiers import MeterPrice, Step, Tier
from config.models.views import Aggregation, FieldAggregation, FieldCount, TierSelection, View

__all__ = [
    "CONDITIONS",
    "LOGS_STALE",
    "UNAVAILABLE",
    "Aggregation",
    "Config",
    "Customer",
    "ElasticsearchFields",
    "ElasticsearchStore",
    "Email",
    "EmbeddedStore",
    "Export",
    "FieldAggregation",
    "FieldCount",
    "FieldType",
    "MeterPrice",
    "Monitor",
    "Recipient",
    "RosterFile",
    "Route",
    "Settings",
    "Severity",
    "Side",
    "Step",
    "Store",
    "StoreFields",
    "Threshold",
    "Tier",
    "TierSelection",
    "View",
    "Window",
]
