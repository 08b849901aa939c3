"""Whether the keys of an Elasticsearch store go together: its login, its encryption, and the indices that it names."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from config import indices
from config.errors import Problem
from config.models import ElasticsearchStore
from config.overrides import variable
from config.references import Context

_SECRETS = ("api_key", "password")


def check(context: Context) -> Iterator[Problem]:
    """Every contradiction in a store in Elasticsearch."""
    for name, store in context.config.elasticsearch_stores.items():
        yield from _secrets(context, name, store)
        yield from _login(context, name, store)
        yield from _hosts(context, name, store)
        yield from _encryption(context, name, store)
        yield from _indices(context, name, store)


def _secrets(context: Context, name: str, store: ElasticsearchStore) -> Iterator[Problem]:
    for key in _SECRETS:
        place = context.place("stores", name, key)
        if getattr(store, key) is not None and place.line is not None:
            reason = f"stores.{name}.{key}: must not stand in a configuration file"
            yield Problem(place, reason, _set(name, key))


def _set(name: str, key: str) -> str:
    return f"set {variable('stores', name, key)}, or write it into a secret file of that name in lower case"


def _login(context: Context, name: str, store: ElasticsearchStore) -> Iterator[Problem]:
    key = "username" if store.username is not None else "password"
    if store.api_key is not None and (store.username is not None or store.password is not None):
        reason = f"stores.{name}.{key}: there is an API key too, and one login is enough"
        yield Problem(context.place("stores", name, key), reason, "remove one of them")
    elif store.username is not None and store.password is None:
        reason = f"stores.{name}.username: has no password"
        yield Problem(context.place("stores", name, "username"), reason, _set(name, "password"))
    elif store.username is None and store.password is not None:
        reason = f"stores.{name}.password: has no username"
        hint = f"write username: into the store, or set {variable('stores', name, 'username')}"
        yield Problem(context.place("stores", name, "password"), reason, hint)


def _hosts(context: Context, name: str, store: ElasticsearchStore) -> Iterator[Problem]:
    path = ("stores", name, "hosts")
    first, *others = _schemes(store)
    places = [place for _, place in context.each(store.hosts, *path)]
    for scheme, place in zip(others, places[1:], strict=True):
        if scheme != first:
            reason = f"stores.{name}.hosts: one begins with {first}:// and another with {scheme}://"
            yield Problem(place, reason, "a cluster speaks one of them; remove the others")
            return
    yield from context.repeated(store.hosts, *path)


def _schemes(store: ElasticsearchStore) -> tuple[str, ...]:
    """`http` or `https`, of each host."""
    return tuple(urlsplit(host).scheme for host in store.hosts)


def _encryption(context: Context, name: str, store: ElasticsearchStore) -> Iterator[Problem]:
    for key in ("ca_file", "fingerprint"):
        if getattr(store, key) is not None and "https" not in _schemes(store):
            reason = f"stores.{name}.{key}: the hosts begin with http://, which has no certificates"
            yield Problem(context.place("stores", name, key), reason, "write https:// before the hosts, or remove it")
    if store.ca_file is not None and store.fingerprint is not None:
        reason = f"stores.{name}.fingerprint: with it nothing asks ca_file who vouches for the hosts"
        yield Problem(context.place("stores", name, "fingerprint"), reason, "remove one of them")


def _indices(context: Context, name: str, store: ElasticsearchStore) -> Iterator[Problem]:
    listed = list(context.each(store.index, "stores", name, "index"))
    yield from context.repeated(store.index, "stores", name, "index")
    for number in indices.misplaced(store.index):
        entry, place = listed[number]
        reason = f"stores.{name}.index: {entry} leaves indices out, and nothing before it has a *"
        yield Problem(place, reason, "write it after the pattern that it narrows, such as [api-*, -api-old*]")
    if store.write_index is not None and not indices.searched(store.index, store.write_index):
        reason = f"stores.{name}.write_index: {store.write_index} is not in index, so what is written would not count"
        yield Problem(context.place("stores", name, "write_index"), reason, "add it to index, or write to another one")
