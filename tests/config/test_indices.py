"""Names of indices: which of a list's entries mean an index, and which names there can be."""

from __future__ import annotations

import pytest

from config.indices import expression, index_name, misplaced, searched


@pytest.mark.parametrize(
    ("entry", "name", "cluster", "excluded"),
    [
        ("api-2026.10", "api-2026.10", None, False),
        ("*", "*", None, False),
        (".ds-api-*", ".ds-api-*", None, False),
        ("-api-old*", "api-old*", None, True),
        ("-api-2025", "api-2025", None, True),
        ("Cluster_1:api-*", "api-*", "Cluster_1", False),
        ("eu-west:-api-old*", "api-old*", "eu-west", True),
        ("a+b_c-", "a+b_c-", None, False),
    ],
)
def test_an_entry_names_indices_of_a_cluster_or_leaves_them_out(
    entry: str, name: str, cluster: str | None, excluded: bool
) -> None:
    found = expression(entry)
    assert (found.name, found.cluster, found.excluded) == (name, cluster, excluded)


@pytest.mark.parametrize(
    "entry",
    [
        "", "-", ".", "..", "-..", "_x", "+x", "--x", "-_x", "API", "a b", "a\tb", "a,b", "a/b", "a\\b", "a?b", 'a"b',
        "a<b", "a>b", "a|b", "a#b", "a:b:c", ":a", "a:", "a:_x", "c*:a", "*:a", "-c:a", "-c:*", "c d:a", "_all",
        "<a-{now/d}>", "-<a-{now/d}>", "Å", "x" * 256, "å" * 128, "a\0b", "a::data",
    ],
)  # fmt: skip
def test_what_elasticsearch_refuses_or_misunderstands_is_refused_with_a_sentence(entry: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|cannot|is) [^*]") as caught:
        expression(entry)
    assert not entry[3:] or entry not in str(caught.value) or entry == "_all"


@pytest.mark.parametrize("name", ["api-*", "c:api", "-api", "_api", "API", "", "a,b"])
def test_one_index_is_a_plain_name_of_its_own_cluster(name: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|cannot)"):
        index_name(name)


@pytest.mark.parametrize(
    ("entries", "numbers"),
    [
        (["api-*", "-api-old*"], []),
        (["-api-old*"], [0]),
        (["api", "-api-old"], [1]),
        (["-api-old*", "api-*", "-api-new*"], [0]),
        (["api-*", "c:-api-old*"], [1]),
        (["c:api-*", "c:-api-old*", "-x", "d:-x"], [2, 3]),
    ],
)
def test_an_exclusion_needs_a_pattern_of_its_own_cluster_before_it(entries: list[str], numbers: list[int]) -> None:
    assert list(misplaced(entries)) == numbers


@pytest.mark.parametrize(
    ("entries", "name", "found"),
    [
        (["api-*"], "api-2026", True),
        (["api-*"], "api", False),
        (["api"], "api", True),
        (["api-*", "-api-old*"], "api-old-1", False),
        (["api-*", "-api-old*", "api-old-1"], "api-old-1", True),
        (["c:api-*"], "api-2026", False),
        (["a.b"], "axb", False),
        (["a[12]*"], "a1", False),
        (["*-logs-*"], "web-logs-1", True),
    ],
)
def test_an_index_is_searched_when_the_last_entry_that_means_it_does_not_leave_it_out(
    entries: list[str], name: str, found: bool
) -> None:
    assert searched(entries, name) is found
