"""What a configuration may say and may still surprise: told by `check`, and never refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from config.load import Loaded
from config.models import Config
from config.values import duration_text

_A_MONTH: Final = timedelta(days=32)
"""The longest month, and a day for zones."""


def notes(loaded: Loaded) -> Iterator[str]:
    """Sentences, each naming the entry that it is about."""
    for name in loaded.config.stores:
        yield from _store(loaded.config, name)
    for name in loaded.config.monitors:
        yield from _monitor(loaded, name)


def _store(config: Config, name: str) -> Iterator[str]:
    it = config.stores[name]
    searched = config.elasticsearch_stores.get(name)
    if searched is not None and searched.fields.ingested is None and not searched.lateness:
        yield (
            f"store {name} has neither fields.ingested nor a lateness: what arrives late would never be noticed, and "
            "missing in what was counted before"
        )
    if searched is not None and (searched.api_key or searched.password) and searched.exposed:
        secret = "API key" if searched.api_key else "password"
        yield f"store {name} is asked over http://, so its {secret} can be read on the way"
    users = list(_counting_months(config, name))
    if users and it.retention is not None and it.retention < _A_MONTH:
        yield (
            f"store {name} keeps messages for {duration_text(it.retention)}, and {', '.join(users)} "
            f"{'counts' if len(users) == 1 else 'count'} whole months: a recount at the end of one would lack its "
            "beginning"
        )


def _counting_months(config: Config, store: str) -> Iterator[str]:
    """The monitors and exports that count a month of a store."""
    views = {name for name, view in config.views.items() if view.store == store}
    for name, monitor in config.monitors.items():
        if monitor.view in views and monitor.window in ("billing month", "month"):
            yield f"monitor {name}"
    for name, export in config.exports.items():
        if views & set(export.views):
            yield f"export {name}"


def _monitor(loaded: Loaded, name: str) -> Iterator[str]:
    monitor = loaded.config.monitors[name]
    store = loaded.config.views[monitor.view].store
    if monitor.minima and loaded.config.stores[store].stale_after is None:
        yield (
            f"monitor {name} tells of low counts, and store {store} has no stale_after: a feed that stops would "
            "look like customers who did"
        )
    if not any("customer" in route.to for route in monitor.notify.values()):
        return
    selected = loaded.roster.selected(loaded.config.views[monitor.view])
    mute = sum(not customer.emails for customer in selected)
    if mute:
        have = "has" if mute == 1 else "have"
        yield f"monitor {name} tells customers, and {mute:,} of {len(selected):,} {have} no email address"
