"""Connections to Elasticsearch by the official client, with no judgement of its own: no retries, no sniffing."""

from __future__ import annotations

import logging
import ssl
from dataclasses import replace
from typing import Any, Final

from elastic_transport import HttpHeaders, Urllib3HttpNode
from elasticsearch import Elasticsearch

from config.models import ElasticsearchStore
from logviews.elastic.session import Session
from logviews.store import StoreUnavailable

_LOG: Final = logging.getLogger("tallywatch.logviews.elastic.client")
_TALKATIVE: Final = ("elastic_transport", "elasticsearch", "urllib3")


def connect(name: str, store: ElasticsearchStore) -> Session:
    """A session with a store, without asking it anything yet.

    Raises:
        StoreUnavailable: when the file of authorities cannot be used.
    """
    for talkative in _TALKATIVE:  # they warn of every node that fails once; what matters is raised, and told by us
        logging.getLogger(talkative).setLevel(logging.ERROR)
    return Session(name, store, _client(name, store))


def _client(name: str, store: ElasticsearchStore) -> Elasticsearch:
    options: dict[str, Any] = {}
    if store.api_key is not None:
        options["api_key"] = store.api_key.get_secret_value()
    elif store.username is not None:
        password = "" if store.password is None else store.password.get_secret_value()
        options["basic_auth"] = (store.username, password)
    if store.fingerprint is not None:
        options["ssl_assert_fingerprint"] = store.fingerprint
    elif any(host.startswith("https://") for host in store.hosts):
        options["ssl_context"] = _trust(name, store)
    return Elasticsearch(
        list(dict.fromkeys(host.rstrip("/") for host in store.hosts)),
        node_class=_Node,
        request_timeout=store.timeout.total_seconds(),
        http_compress=store.compress,
        max_retries=0,  # retries are the session's, with pauses between them
        retry_on_timeout=False,
        **options,
    )


def _trust(name: str, store: ElasticsearchStore) -> ssl.SSLContext:
    """Whom to believe: the given authorities alone, or the system's."""
    try:
        context = ssl.create_default_context(cafile=None if store.ca_file is None else str(store.ca_file))
    except OSError as error:  # ssl.SSLError is one
        reason = "holds no certificate in PEM format" if isinstance(error, ssl.SSLError) else error.strerror
        raise StoreUnavailable(f"store {name}: ca_file {store.ca_file}: {reason}") from error
    # newer Pythons insist on extensions that the authorities made by Elasticsearch's own tools do not have
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class _Node(Urllib3HttpNode):
    """A node whose `Warning` headers, about deprecated requests, go to the log and not to whoever reads our output."""

    def perform_request(self, *arguments: Any, **options: Any) -> Any:
        """The node's answer, with its headers."""
        answer = super().perform_request(*arguments, **options)
        headers = answer.meta.headers
        if "warning" in headers:
            _LOG.debug("%s warns: %s", self.base_url, headers["warning"])
            kept = HttpHeaders({key: value for key, value in headers.items() if key.lower() != "warning"})
            return answer._replace(meta=replace(answer.meta, headers=kept))
        return answer
