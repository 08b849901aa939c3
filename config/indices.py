"""Names of indices in Elasticsearch, as a store states them: plain, as patterns, left out, of other clusters.

The rules are Elasticsearch's (https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-indices-create and
https://www.elastic.co/docs/reference/elasticsearch/rest-apis/api-conventions), tried on a 9.2 server. Two things that
it takes are refused here: date math, because a search has the bounds that a period says and `*` finds every index that
holds some of it; and `*` in the name of a cluster, because where no cluster matches, every index here is searched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

_FORBIDDEN: Final = re.compile(r'[\\/?"<>|,#:\s\x00-\x1f\x7f]')
_CLUSTER: Final = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_BYTES: Final = 255


@dataclass(frozen=True, slots=True)
class Expression:
    """What one entry of `index` says: these indices are searched, or `excluded` from what entries before it name."""

    name: str
    cluster: str | None
    excluded: bool

    @property
    def wild(self) -> bool:
        """Whether it names whatever matches it."""
        return "*" in self.name

    def covers(self, name: str) -> bool:
        """Whether an index of the store's own cluster that has this name is meant."""
        pattern = re.escape(self.name).replace(r"\*", ".*")
        return self.cluster is None and re.fullmatch(pattern, name) is not None


def expression(text: str) -> Expression:
    """What an entry means.

    Raises:
        ValueError: with a sentence, when Elasticsearch would refuse it or take it for something else.
    """
    if text.startswith(("<", "-<")):
        raise ValueError(
            "is date math; write a pattern such as api-*, because the program itself says from when to when"
        )
    cluster, colon, name = text.rpartition(":")
    if colon and cluster.startswith("-"):
        raise ValueError("must have its - after the cluster's name, as in cluster_one:-api-old*")
    if colon and "*" in cluster:
        raise ValueError("must name the cluster: where no cluster matches a *, Elasticsearch searches every index here")
    if colon and not _CLUSTER.fullmatch(cluster):
        raise ValueError("must name one cluster before one colon, as in cluster_one:api-*")
    plain = name.removeprefix("-")
    _refuse_name(plain, wild=True)
    return Expression(plain, cluster if colon else None, excluded=plain != name)


def index_name(value: str) -> str:
    """The name of one index, alias or data stream of the store's own cluster. ValueError says what is wrong with it."""
    if "*" in value:
        raise ValueError("must be the name of one index, and no pattern")
    if ":" in value:
        raise ValueError("must be an index of the store's own cluster, in whose name there is no colon")
    _refuse_name(value, wild=False)
    return value


def _refuse_name(name: str, *, wild: bool) -> None:
    found = _FORBIDDEN.search(name)
    if found and found[0] == "," and wild:
        raise ValueError("must be one name; write several as a list, such as [api-*, web-*]")
    if found:
        shown = "a blank" if found[0].isspace() else found[0] if found[0].isprintable() else "a control character"
        raise ValueError(f"cannot hold {shown}, because no index in Elasticsearch has such a name")
    if name in ("", ".", ".."):
        raise ValueError("must be the name of an index, such as api-2026" + (", or a pattern, such as api-*" * wild))
    if name == "_all":
        raise ValueError("must be written *, in quotes, where every index is meant")
    if name[0] in "_-+":
        raise ValueError(f"cannot begin with {name[0]}, because no index in Elasticsearch has such a name")
    if name != name.lower():
        raise ValueError("must be in lower case, as every index in Elasticsearch is")
    if len(name.encode()) > _LONGEST_BYTES:
        raise ValueError(f"is longer than {_LONGEST_BYTES} bytes, which no index in Elasticsearch is")


def misplaced(entries: Sequence[str]) -> Iterator[int]:
    """The numbers of exclusions before which nothing with a * stands: Elasticsearch looks for an index called -name."""
    wild: set[str | None] = set()
    for number, entry in enumerate(entries):
        it = expression(entry)
        if it.excluded and it.cluster not in wild:
            yield number
        elif it.wild:
            wild.add(it.cluster)


def searched(entries: Sequence[str], name: str) -> bool:
    """Whether an index of the store's own cluster that has this name is among what the entries name."""
    found = False
    for entry in entries:
        it = expression(entry)
        if it.covers(name):
            found = not it.excluded
    return found


def _entry(value: str) -> str:
    expression(value)
    return value


IndexExpression = Annotated[str, AfterValidator(_entry), WithJsonSchema({"type": "string", "examples": ["api-*"]})]
IndexName = Annotated[str, AfterValidator(index_name), WithJsonSchema({"type": "string", "examples": ["api-2026"]})]
