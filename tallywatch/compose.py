"""Putting the rooms together for a configuration: the one place where stores, keepers, evaluators and accounts are
made."""

from __future__ import annotations

from datetime import datetime

from config.load import Loaded
from config.models import ElasticsearchStore
from exporters.statements import Accounts
from ledger.database import Database
from logviews.fields import used_fields
from logviews.store import LogStore
from logviews.tallies.keeper import Keeper
from logviews.tallies.keys import filter_keys
from logviews.tallies.segments import Cut, roster_token
from monitors.evaluate import Evaluator
from tallywatch.connections import CONNECTIONS


def store(loaded: Loaded, database: Database, name: str) -> LogStore:
    """A log store of the configuration. One in Elasticsearch is the same each time, as long as its settings are.

    Raises:
        StoreUnavailable: when what the settings name cannot be used; nothing is asked yet.
    """
    settings = loaded.config.stores[name]
    if isinstance(settings, ElasticsearchStore):
        return CONNECTIONS.of(name, settings)
    from logviews.embedded.store import Embedded  # noqa: PLC0415 (slow; only who has such a store needs DuckDB)

    return Embedded(name, settings, used_fields(loaded.config, name), database)


def evaluator(loaded: Loaded, database: Database) -> Evaluator:
    """What evaluates the configuration's monitors."""
    return Evaluator(loaded.config, loaded.roster, lambda name: store(loaded, database, name))


def keeper(loaded: Loaded, database: Database, view: str, token: str | None = None) -> Keeper:
    """The keeper of the tallies of a view, with the cuts of all monitors whose views count the same.

    `token` is the roster's, where it is known already: finding it out costs a look at every customer.

    Raises:
        StoreUnavailable: as `store` does.
    """
    config, roster = loaded.config, loaded.roster
    keys = filter_keys(config, roster)
    key, monitors = keys[view], config.monitors.values()
    cuts = frozenset(Cut(one.per, one.window) for one in monitors if keys[one.view].hash == key.hash)
    zone = config.settings.zone
    return Keeper(
        database=database,
        store=store(loaded, database, key.store),
        key=key,
        roster=roster,
        token=roster_token(roster, zone) if token is None else token,
        zone=zone,
        cuts=cuts,
        lifetime=config.stores[key.store].retention,
    )


def accounts(loaded: Loaded, database: Database, at: datetime, until: datetime | None = None) -> Accounts:
    """The statements that the configuration asks for, as of `at`; `until` cuts the counts of a provisional one."""
    return Accounts(
        loaded.config,
        loaded.roster,
        lambda name: store(loaded, database, name),
        at,
        until,
        lambda view: keeper(loaded, database, view),
    )
