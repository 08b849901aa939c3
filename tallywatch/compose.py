"""Putting the rooms together for a configuration: the one place where a store, an evaluator and accounts are made."""

from __future__ import annotations

from datetime import datetime

from config.load import Loaded
from exporters.statements import Accounts
from ledger.database import Database
from logviews.embedded.store import Embedded
from logviews.fields import used_fields
from monitors.evaluate import Evaluator


def store(loaded: Loaded, database: Database, name: str) -> Embedded:
    """A log store of the configuration."""
    return Embedded(name, loaded.config.stores[name], used_fields(loaded.config, name), database)


def evaluator(loaded: Loaded, database: Database) -> Evaluator:
    """What evaluates the configuration's monitors."""
    return Evaluator(loaded.config, loaded.roster, lambda name: store(loaded, database, name))


def accounts(loaded: Loaded, database: Database, at: datetime, until: datetime | None = None) -> Accounts:
    """The statements that the configuration asks for, as of `at`; `until` cuts the counts of a provisional one."""
    return Accounts(loaded.config, loaded.roster, lambda name: store(loaded, database, name), at, until)
