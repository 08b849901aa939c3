"""Why a store in Elasticsearch could not answer, in sentences that say what to do; no secret is ever in one."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, replace
from typing import Final

from config.models import ElasticsearchStore
from config.overrides import variable
from logviews.elastic.troubles import Trouble

_NO_INDEX: Final = re.compile(r"no such index \[([^\]]*)\]")
_MISSING_SHARDS: Final = re.compile(r"missing shards \[(.*?)\]\.")
_SECRET_LENGTH: Final = 4
"""Characters: a shorter password would be found in words that have nothing to do with it."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """The sentences of one store."""

    name: str
    store: ElasticsearchStore

    def sentence(self, trouble: Trouble) -> str:
        """What an operator reads of a request that failed for good."""
        told = replace(trouble, reason=self._scrubbed(trouble.reason))
        return self._of(self._by_type(told) or self._by_status(told) or told.reason)

    def _of(self, reason: str) -> str:
        return f"store {self.name}: {reason}"

    def hidden(self, patterns: list[str]) -> str:
        """What an operator reads when the login may read only some of what a pattern names."""
        return self._of(
            f"{self._login or 'the login'} may not read everything that {', '.join(patterns)} can match, and "
            "Elasticsearch leaves out without a word what it may not read; give it the privileges read and "
            f"view_index_metadata on {', '.join(patterns)}, or name in stores.{self.name}.index what it may read"
        )

    def left_out(self, reason: str) -> str:
        """What an operator reads when the answer was not whole, each time."""
        return self._of(f"it does not answer in full: {self._scrubbed(reason)}")

    @property
    def _hosts(self) -> str:
        return " or ".join(self.store.hosts)

    @property
    def _login(self) -> str | None:
        if self.store.api_key is not None:
            return "the API key"
        return None if self.store.username is None else f"the user {self.store.username}"

    def _by_type(self, trouble: Trouble) -> str | None:
        if "index_not_found_exception" in trouble.types and (found := _NO_INDEX.search(trouble.reason)):
            return self._not_there(found[1])
        for type_, (what, advice) in _BY_TYPE.items():
            if type_ in trouble.types:
                said = what.format(hosts=self._hosts, reason=trouble.reason)
                return f"{said}; {advice.format(name=self.name, scheme=self._other_scheme)}" if advice else said
        if found := _MISSING_SHARDS.search(trouble.reason):
            return (
                f"no node that runs has the shards {found[1]}; start the nodes that are down, or restore what they held"
            )
        if "search.allow_expensive_queries" in trouble.reason:
            return (
                f"the cluster forbids expensive queries ({trouble.reason}); set search.allow_expensive_queries to "
                "true there, or use no prefix, wildcard, contains or field in nested objects in the view"
            )
        return None

    def _not_there(self, index: str) -> str:
        named = [entry for entry in self.store.index if entry.rpartition(":")[2] == index]
        if not named:
            return f"the index {index} went while it was counted; try again"
        matches = f"no index matches {named[0]}" if "*" in index else f"there is no index {named[0]}"
        hidden = "" if self._login is None else f", or {self._login} may not read any"
        return f"{matches}{hidden}; correct stores.{self.name}.index"

    @property
    def _other_scheme(self) -> str:
        return "https" if self.store.hosts[0].startswith("http://") else "http"

    def _by_status(self, trouble: Trouble) -> str | None:
        match trouble.status:
            case 401:
                return self._not_logged_in()
            case 403:
                return self._not_allowed(trouble)
            case 413:
                advice = "raise http.max_content_length there, or the limit of a proxy"
                return f"a request was too large ({trouble.reason}); {advice}"
            case 429:
                said = f"({trouble.reason})" if trouble.types else "and answers with status 429"
                return f"the cluster is overloaded {said}; try again when it has less to do"
            case int(status) if 300 <= status < 400:
                return f"{self._hosts} sends us to another address; name that one in stores.{self.name}.hosts"
            case int(status) if status >= 500:
                return f"the cluster has trouble of its own, with status {status}: {trouble.reason}"
            case int(status) if status >= 400:
                return f"the cluster refuses the request, with status {status}: {trouble.reason}"
        return None

    def _not_logged_in(self) -> str:
        if self._login is None:
            key, password = (variable("stores", self.name, secret) for secret in ("api_key", "password"))
            return f"a login is wanted at {self._hosts}; set {key}, or stores.{self.name}.username and {password}"
        secret, wrong = ("password", "its password is wrong") if self.store.api_key is None else ("api_key", "is wrong")
        return (
            f"{self._login} is not known at {self._hosts}, or {wrong} or has expired; "
            f"correct {variable('stores', self.name, secret)}"
        )

    def _not_allowed(self, trouble: Trouble) -> str:
        granted = re.search(r"granted by the (index|cluster) privileges \[([a-z_]+)", trouble.reason)
        where = re.search(r"on indices \[([^\]]*)\]", trouble.reason)
        who = self._login or "whoever has not logged in"
        if granted is None:
            return f"{who} may not do this: {trouble.reason}"
        on = f" on {where[1].replace(',', ', ')}" if where else ""
        return f"{who} lacks the {granted[1]} privilege {granted[2]}{on}; grant it"

    def _scrubbed(self, text: str) -> str:
        """Text that came from outside, without what we sent to be let in: whatever answers may repeat it."""
        secrets = [found.get_secret_value() for found in (self.store.api_key, self.store.password) if found is not None]
        if self.store.username is not None and self.store.password is not None:
            secrets.append(
                b64encode(f"{self.store.username}:{self.store.password.get_secret_value()}".encode()).decode()
            )
        for secret in secrets:
            if len(secret) >= _SECRET_LENGTH:
                text = text.replace(secret, "***")
        return text


_CERTIFICATE: Final = (
    "name the right authorities in stores.{name}.ca_file, or the certificate in stores.{name}.fingerprint"
)
_RUNS: Final = "see that it runs and can be reached from here, and that stores.{name}.hosts is right"

_BY_TYPE: Final[dict[str, tuple[str, str]]] = {
    "unsupported_product": (
        "what answers at {hosts} is not Elasticsearch ({reason})",
        "name Elasticsearch 9 in stores.{name}.hosts: OpenSearch and others count differently, and a proxy must pass "
        "the header X-Elastic-Product on",
    ),
    "media_type_header_exception": (
        "what answers at {hosts} is an Elasticsearch older than 9, or a proxy that changes headers ({reason})",
        "upgrade it to 9",
    ),
    "garbled": ("no usable answer came from {hosts}: {reason}", "look at what stands between here and Elasticsearch"),
    "tls_authority": ("the certificate of {hosts} is not vouched for ({reason})", _CERTIFICATE),
    "tls_name": (
        "the certificate of {hosts} was made for another name ({reason})",
        "use in stores.{name}.hosts the name that is in it",
    ),
    "tls_expired": ("the certificate of {hosts} is out of date ({reason})", "renew it, or set the clock right"),
    "tls_fingerprint": (
        "the certificate of {hosts} has another fingerprint than the one that is configured",
        "if it was renewed, write down the new one's fingerprint; if not, somebody else answers",
    ),
    "tls_none": ("no TLS is spoken at {hosts}", "write {scheme}:// in stores.{name}.hosts, or correct the port"),
    "tls": ("no encrypted connection to {hosts}: {reason}", _RUNS),
    "closed": ("its connections were closed, because the configuration changed", "try again"),
    "name": ("nobody knows a machine of the name in {hosts}", "correct stores.{name}.hosts"),
    "refused": ("no answer from {hosts}: nobody listens there", _RUNS),
    "cut": (
        "every connection to {hosts} breaks off",
        "see that it runs, and that stores.{name}.hosts has the right port and {scheme}:// where that is spoken",
    ),
    "timeout": ("no answer came in time from {hosts}", "see what it is busy with, or raise stores.{name}.timeout"),
    "connection": ("no answer from {hosts}: {reason}", _RUNS),
    "circuit_breaking_exception": (
        "the cluster has not enough memory for this just now ({reason})",
        "give its nodes more heap, or try again when it has less to do",
    ),
    "too_many_buckets_exception": (
        "the cluster allows fewer buckets in an answer than counting needs ({reason})",
        "set search.max_buckets there to 65536, which is its default, or remove the setting",
    ),
    "index_closed_exception": (
        "an index that belongs to it is closed, and what is in it would not be counted ({reason})",
        "open it, or leave it out in stores.{name}.index, as -NAME after the pattern",
    ),
    "no_such_remote_cluster_exception": (
        "{reason}",
        "make that cluster known to the one in stores.{name}.hosts, or correct stores.{name}.index",
    ),
    "search_context_missing_exception": ("the snapshot that was counted is gone ({reason})", ""),
    "search_context_missing_nodes_exception": ("a node with a part of the snapshot that was counted is gone", ""),
}
"""What happened, by Elasticsearch's own name for it or ours, as a sentence and what to do."""
