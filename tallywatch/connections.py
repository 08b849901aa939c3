"""The open log stores of the process that keep connections: made when first asked for, and used again after that.

A store in Elasticsearch keeps connections to its cluster, and remembers which mappings it has looked at. An evaluation
asks for its store anew each time, and must not log in and look at everything anew.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from config.models import ElasticsearchStore
    from logviews.elastic.store import Elastic


class Connections:
    """One open store for each name with its settings. May be used from several threads."""

    def __init__(self) -> None:
        self._open: list[Elastic] = []
        self._lock = threading.Lock()

    def of(self, name: str, settings: ElasticsearchStore) -> Elastic:
        """The store that is open under this name with these settings, else one that is opened now, without asking it.

        Raises:
            StoreUnavailable: when what the settings name cannot be used, such as a certificate that cannot be read.
        """
        from logviews.elastic.client import connect  # noqa: PLC0415 (slow; only who has such a store needs it)
        from logviews.elastic.store import Elastic  # noqa: PLC0415 (as above)

        with self._lock:
            for store in self._open:
                if store.name == name and store.store == settings:
                    return store
            self._open.append(Elastic(name, settings, connect(name, settings)))
            return self._open[-1]

    def keep_only(self, stores: Mapping[str, ElasticsearchStore]) -> None:
        """Closes what is open under other names, or with other settings: after a reload, nobody asks for it again."""
        with self._lock:
            gone = [store for store in self._open if stores.get(store.name) != store.store]
            self._open = [store for store in self._open if stores.get(store.name) == store.store]
        for store in gone:
            store.session.close()

    def close(self) -> None:
        """Closes everything."""
        self.keep_only({})


CONNECTIONS: Final = Connections()
"""Those of this process: closed by whoever opened the configuration, the command line or the service."""
