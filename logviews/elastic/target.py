"""The index that a store's messages are written to: found or made, and refused where it would not keep them as sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from config import indices
from config.errors import UsageError
from config.models import ElasticsearchStore
from logviews.elastic import template, troubles
from logviews.elastic.mapped import MappedFields, Unsuited
from logviews.elastic.session import Session, SnapshotLost
from logviews.intake.files import IngestPlaceError
from logviews.store import StoreUnavailable

Json = Mapping[str, Any]

_DEEPEST: Final = 20  # index.mapping.depth.limit, where it is not set
_NUMBERS: Final = frozenset({"long", "integer", "short", "byte", "double", "float", "half_float", "scaled_float"})
_SHOWN: Final = 5


class UnsuitedIndexError(IngestPlaceError):
    """An index that messages cannot be written to as they are."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Target:
    """The concrete index, what is known of its fields, and what it changes in messages that others write."""

    index: str
    fields: MappedFields
    warning: str | None


def write_index(name: str, store: ElasticsearchStore) -> str:
    """The name of the index that messages are written to.

    Raises:
        UsageError: when the configuration does not say, or does not say by which field a message is known again.
    """
    if store.fields.id is None:
        raise UsageError(
            f"store {name}: its messages have no id, by which a file that is repeated adds nothing; "
            f"state stores.{name}.fields.id"
        )
    if store.write_index is not None:
        return store.write_index
    only = indices.expression(store.index[0]) if len(store.index) == 1 else None
    if only is None or only.wild or only.cluster is not None or only.excluded:
        raise UsageError(
            f"store {name}: {', '.join(store.index)} is not one index that messages could be written to; "
            f"state stores.{name}.write_index"
        )
    return only.name


def open_target(session: Session, name: str, store: ElasticsearchStore) -> Target:
    """The index as it is now; where there is none it is made, by a template of its own.

    Raises:
        UsageError: see `write_index`.
        UnsuitedIndexError: when it would not keep messages as they are sent.
        StoreUnavailable: when the cluster does not answer, or the user may not do this.
    """
    wanted = write_index(name, store)
    found = _look(session, wanted)
    made = found is None
    if found is None:
        _make(session, name, store, wanted)
        found = _look(session, wanted) or {}
    index, state = _only(name, wanted, found)
    settings = state.get("settings", {}).get("index", {})
    mapping = state.get("mappings", {})
    try:
        _refuse_changing(settings, mapping)
        id_ = {store.fields.id} if store.fields.id else set()
        fields = MappedFields(
            mapping,
            template.stated_fields(store),
            frozenset({store.fields.customer, *id_}),
            int(_at(settings, "mapping.depth.limit") or _DEEPEST),
        )
    except Unsuited as error:
        raise UnsuitedIndexError(f"store {name}: messages cannot be written to the index {index}: {error}") from error
    return Target(index, fields, None if made else _warning(name, index, settings, mapping))


def _look(session: Session, name: str) -> Json | None:
    """The concrete indices behind a name, each with aliases, mappings and settings; None when there are none."""
    try:
        found: Json = session.ask(lambda es: es.indices.get(index=name, allow_no_indices=False))
    except SnapshotLost:
        return None
    return found


def _make(session: Session, name: str, store: ElasticsearchStore, index: str) -> None:
    body = template.index_template(name, store, index)
    try:
        session.ask(lambda es: es.indices.put_index_template(name=template.template_name(name), **_arguments(body)))
        session.ask(lambda es: es.indices.create(index=index))
    except StoreUnavailable as error:
        reason = _refused(error)
        if reason is None:
            raise
        if _look(session, index) is not None:
            return  # another ingest has made it
        raise UnsuitedIndexError(f"store {name}: the index {index} cannot be made: {reason}") from error


def _arguments(body: Json) -> dict[str, Any]:
    return {("meta" if key == "_meta" else key): value for key, value in body.items()}


def _only(name: str, wanted: str, found: Json) -> tuple[str, Json]:
    if any("data_stream" in state for state in found.values()):
        what = "a data stream"
    elif len(found) != 1:
        what = f"an alias of {len(found)} indices"
    else:
        ((index, state),) = found.items()
        return index, state
    raise UnsuitedIndexError(
        f"store {name}: {wanted} is {what}, and an id is there once in one index only, so that a file that is repeated "
        f"would count twice; name one index as stores.{name}.write_index"
    )


def _refuse_changing(settings: Json, mapping: Json) -> None:
    """Raises Unsuited for an index that keeps something else than what is sent: it could not be compared later."""
    for key in ("default_pipeline", "final_pipeline"):
        if settings.get(key, "_none") != "_none":
            raise Unsuited(f"its {key} {settings[key]} may change them; remove it, or name another write_index")
    source = mapping.get("_source", {})
    kept = source.get("mode") or _at(settings, "mapping.source.mode") or "stored"
    if settings.get("mode") in ("logsdb", "time_series"):
        kept = "synthetic"
    if source.get("enabled") is False or source.get("includes") or source.get("excludes") or kept != "stored":
        raise Unsuited("it does not keep their text (_source), by which a repeated one is known; name another one")
    if mapping.get("_routing", {}).get("required"):
        raise Unsuited("it wants to be told a routing for each (_routing.required); name another write_index")


def _at(settings: Json, path: str) -> Any:
    """A setting by its dotted name, which the server gives as nested objects."""
    node: Any = settings
    for key in path.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def _warning(name: str, index: str, settings: Json, mapping: Json) -> str | None:
    """What the index changes in messages that others write: ingest itself refuses what would be changed."""
    found: dict[str, list[str]] = {}
    coerced = str(_at(settings, "mapping.coerce") or "true")
    for path, field in _leaves(mapping, ""):
        if field.get("type") in _NUMBERS and str(field.get("coerce", coerced)).lower() == "true":
            found.setdefault("coerce", []).append(path)
        for key in ("ignore_above", "ignore_malformed", "normalizer", "null_value"):
            if field.get(key) not in (None, False, "false"):
                found.setdefault(key, []).append(path)
    if not found:
        return None
    said = [
        f"{key} of {', '.join(paths[:_SHOWN])}" + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")
        for key, paths in found.items()
    ]
    return (
        f"store {name}: the mapping of the index {index} changes or leaves out some values that others may write: "
        f"{'; '.join(said)}"
    )


def _leaves(mapping: Json, path: str) -> Iterator[tuple[str, Json]]:
    for key, field in mapping.get("properties", {}).items():
        below = f"{path}.{key}" if path else key
        if "properties" in field:
            yield from _leaves(field, below)
        else:
            yield below, field


def add_fields(session: Session, target: Target) -> None:
    """Adds to the index's mapping what the messages checked so far need.

    Raises:
        UnsuitedIndexError: when it does not take them: too many fields, or another writer has mapped one otherwise.
        StoreUnavailable: when the cluster does not answer.
    """
    new = target.fields.new()
    if not new:
        return
    try:
        session.ask(lambda es: es.indices.put_mapping(index=target.index, properties=new))
    except StoreUnavailable as error:
        reason = _refused(error)
        if reason is None:
            raise
        raise UnsuitedIndexError(
            f"store {session.name}: the index {target.index} does not take the messages' fields: {reason}"
        ) from error


def _refused(error: StoreUnavailable) -> str | None:
    """The server's reason, where it understood the request and refuses it; None where it may not be asked this."""
    trouble = troubles.of(error.__cause__) if isinstance(error.__cause__, Exception) else None
    return trouble.reason if trouble is not None and trouble.status == 400 else None


def refresh(session: Session, index: str) -> None:
    """Makes what was written visible to the next count, where the user may; else it is after the refresh interval."""
    with suppress(StoreUnavailable):
        session.ask(lambda es: es.indices.refresh(index=index))
