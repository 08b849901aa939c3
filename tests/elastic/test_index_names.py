"""The names of indices that a configuration accepts are those that a real server has, and mean there what is said."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from elasticsearch import ApiError, Elasticsearch

from config.indices import expression, index_name, misplaced, searched

NAMES = (
    "plain", "with.dot", "a+b_c-d", "åäö", "x[1]", "it's", "(1)", "1", "~", "$", "&", "=", ";", "%41", "@",
    "API", "Å", "a b", "a\\b", "a?b", 'a"b', "a<b", "a>b", "a|b", "a#b", "a:b", "a,b", "a*b",
)  # fmt: skip
"""As the rest of a name; whether `/` and control characters are refused, the server is never asked."""


@pytest.fixture
def server(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url) as client:
        yield client


@pytest.fixture
def prefix(server: Elasticsearch) -> Iterator[str]:
    """The beginning of this test's indices."""
    name = f"names-{uuid.uuid4().hex[:8]}-"
    yield name
    for index in server.indices.get(index=f"{name}*"):
        server.indices.delete(index=index)


def accepted(name: str) -> bool:
    try:
        index_name(name)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_accepted_where_the_server_makes_such_an_index(server: Elasticsearch, prefix: str, name: str) -> None:
    try:
        server.indices.create(index=prefix + name, settings={"number_of_replicas": 0})
    except ApiError as error:
        assert "invalid_index_name" in error.error
        made = False
    else:
        made = True
    assert accepted(prefix + name) is made


@pytest.mark.parametrize("first", "_-+")
def test_what_a_name_cannot_begin_with_is_what_the_server_refuses(server: Elasticsearch, first: str) -> None:
    with pytest.raises(ApiError, match="must not start with"):
        server.indices.create(index=f"{first}names")
    assert not accepted(f"{first}names")


@pytest.mark.parametrize(
    "entries",
    [
        ["*"], ["a*"], ["a1"], ["*", "-a*"], ["*", "-a1"], ["a*", "b1", "-b1"], ["*", "-a*", "a1"], ["a1", "a1"],
        ["*", "-*1", "b1", "-b*"], ["a1", "-a1"], ["-a*", "*"], ["b1", "-a*", "a2"],
    ],
)  # fmt: skip
def test_a_list_of_entries_means_what_the_server_searches(
    server: Elasticsearch, prefix: str, entries: list[str]
) -> None:
    names = [prefix + end for end in ("a1", "a2", "b1")]
    for name in names:
        server.indices.create(index=name, settings={"number_of_replicas": 0})
    listed = [f"-{prefix}{entry[1:]}" if entry.startswith("-") else prefix + entry for entry in entries]
    try:
        found = set(server.field_caps(index=",".join(listed), fields="x", allow_no_indices=False)["indices"])
    except ApiError as error:
        assert error.status_code == 404
        assert list(misplaced(listed))
    else:
        assert found == {name for name in names if searched(listed, name)}
        assert not list(misplaced(listed))


def test_where_no_cluster_matches_a_pattern_the_server_searches_everything(server: Elasticsearch, prefix: str) -> None:
    """Why a pattern of clusters is refused."""
    server.indices.create(index=f"{prefix}mine", settings={"number_of_replicas": 0})
    entry = f"nowhere*:{prefix}other-*"
    assert f"{prefix}mine" in server.field_caps(index=entry, fields="x", allow_no_indices=False)["indices"]
    with pytest.raises(ValueError, match="must name the cluster"):
        expression(entry)
