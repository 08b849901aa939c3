"""What an answer must say of itself before it is believed, and how long a request is repeated: the rules."""

from __future__ import annotations

from typing import Any

import pytest

from logviews.elastic.answers import search_shortfall, shortfall
from logviews.elastic.backoff import BUDGET_SECONDS, FIRST_SECONDS, LONGEST_SECONDS, Tries

WHOLE: dict[str, Any] = {
    "took": 3,
    "timed_out": False,
    "terminated_early": False,
    "_shards": {"total": 4, "successful": 4, "skipped": 1, "failed": 0},
    "hits": {"hits": []},
    "aggregations": {"customers": {}},
}
CLUSTERS: dict[str, Any] = {
    "total": 2, "successful": 0, "skipped": 0, "running": 2, "partial": 0, "failed": 0,
    "details": {
        "(local)": {"status": "running", "timed_out": False, "_shards": {"total": 2, "failed": 0}},
        "far": {"status": "running", "timed_out": False, "_shards": {"total": 2, "failed": 0}},
    },
}  # fmt: skip


def whole(**changes: Any) -> dict[str, Any]:
    return WHOLE | changes


def test_a_whole_answer_lacks_nothing() -> None:
    assert search_shortfall(whole(), 4, (), ("customers",)) is None
    assert search_shortfall(whole(), None, (), ()) is None
    assert search_shortfall(whole(_clusters=CLUSTERS), 4, ("far",), ()) is None


def test_answers_that_are_no_searches_are_judged_by_what_they_say() -> None:
    assert shortfall({"fields": {}}) is None
    assert shortfall([]) is None
    assert shortfall({"_shards": {"total": 2, "successful": 1, "failed": 0}}) is None  # a refresh with an absent copy


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (whole(timed_out=True), "the search timed out on the server"),
        (whole(timed_out=None), "the answer does not say whether it is whole"),
        (whole(_shards=None), "the answer does not say whether it is whole"),
        ({key: WHOLE[key] for key in WHOLE if key != "hits"}, "the answer does not say whether it is whole"),
        (whole(_shards={}), "None of None shards answered"),
        (whole(_shards=WHOLE["_shards"] | {"failed": 1}), "1 of 4 shards failed: no reason given"),
        (
            whole(
                _shards=WHOLE["_shards"]
                | {"failed": 2, "failures": [{"reason": {"type": "x", "reason": "disk\n full"}}]}
            ),
            "2 of 4 shards failed: disk full",
        ),
        (whole(_shards=WHOLE["_shards"] | {"successful": 3}), "3 of 4 shards answered"),
        (whole(_shards={"total": 5, "successful": 5, "failed": 0}), "5 shards answered, and the point in time has 4"),
        (whole(terminated_early=True), "the search ended before it had seen every message"),
        (whole(aggregations={}), "the answer lacks the aggregation customers"),
        (whole(aggregations=None), "the answer lacks the aggregation customers"),
    ],
)
def test_an_answer_that_is_not_whole_is_known_by(answer: dict[str, Any], reason: str) -> None:
    assert search_shortfall(answer, 4, (), ("customers",)) == reason


def other(**changes: Any) -> dict[str, Any]:
    """What is told of the clusters, with something about the other one changed."""
    return CLUSTERS | {"details": CLUSTERS["details"] | {"far": CLUSTERS["details"]["far"] | changes}}


@pytest.mark.parametrize(
    ("clusters", "reason"),
    [
        (None, "cluster far was left out: it cannot be reached, or has no such index"),
        ({"total": 1, "details": {}}, "cluster far was left out: it cannot be reached, or has no such index"),
        (other(status="skipped"), "cluster far was skipped: no reason given"),
        (other(status="partial"), "cluster far was partial: no reason given"),
        (other(status="failed", failures=[{"reason": {"reason": "gone"}}]), "cluster far was failed: gone"),
        (other(timed_out=True), "the search timed out in cluster far"),
        (other(_shards={"failed": 1}), "1 shards of cluster far failed: no reason given"),
        (CLUSTERS | {"skipped": 1}, "1 of 2 clusters: skipped"),
        (CLUSTERS | {"partial": 1}, "1 of 2 clusters: partial"),
        (CLUSTERS | {"failed": 2}, "2 of 2 clusters: failed"),
    ],
)
def test_a_cluster_that_is_missing_is_known_by(clusters: dict[str, Any] | None, reason: str) -> None:
    assert search_shortfall(whole(_clusters=clusters), 4, ("far",), ()) == reason


class Waiting:
    """Pauses that take no time."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def tries(self, chance: float) -> Tries:
        return Tries(self.pauses.append, lambda: sum(self.pauses), lambda: chance)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_pauses_double_up_to_a_length_and_end_with_the_budget(chance: float) -> None:
    waiting = Waiting()
    tries = waiting.tries(chance)
    while tries.again():
        assert len(waiting.pauses) < 100
    share = 0.5 + chance / 2
    assert waiting.pauses[:5] == [FIRST_SECONDS * 2**n * share for n in range(5)]
    assert max(waiting.pauses) == LONGEST_SECONDS * share
    assert BUDGET_SECONDS - LONGEST_SECONDS < sum(waiting.pauses) <= BUDGET_SECONDS


def test_a_pause_that_is_asked_for_is_kept_and_never_shortened() -> None:
    waiting = Waiting()
    tries = waiting.tries(1.0)
    assert tries.again(asked=70)
    assert tries.again(asked=0)
    assert not tries.again(asked=70)
    assert waiting.pauses == [70, 1]


def test_another_node_is_tried_without_a_pause() -> None:
    waiting = Waiting()
    tries = waiting.tries(1.0)
    assert tries.again(nodes_left=True)
    assert tries.again()
    assert (waiting.pauses, tries.failed) == ([0.5], 2)
