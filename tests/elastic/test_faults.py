"""A count while something goes wrong: the right number, after as many tries as it takes, or none and the reason."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from typing import Any

import faults
import pytest
from elastic_stores import fill, index, mapping_of, opened, settings
from elasticsearch import Elasticsearch
from fault_proxy import Exchange, Fault, FaultProxy
from faults import always, in_order, openings, searches
from faulty import PAGE, START, Asked, Waiting, asked, counted, messages

from logviews.elastic.backoff import BUDGET_SECONDS, STRANGER_SECONDS
from logviews.store import StoreUnavailable

NUMBER = 300


@pytest.fixture(scope="module")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url) as found:
        yield found


@pytest.fixture(scope="module")
def filled(client: Elasticsearch) -> Iterator[str]:
    """An index of three shards that no test changes."""
    with index(client, mapping_of({}), number_of_shards=3) as name:
        fill(client, name, [json.dumps(message) for message in messages(NUMBER)])
        yield name


def error(kind: str, reason: str) -> bytes:
    """An error as Elasticsearch tells it."""
    cause = {"type": kind, "reason": reason}
    return json.dumps({"error": {**cause, "root_cause": [cause]}}).encode()


PASSING: dict[str, Fault] = {
    "429": faults.status(429, body=error("es_rejected_execution_exception", "queue is full")),
    "429 that says until when": faults.status(429, retry_after="3"),
    "500": faults.status(500, body=error("exception", "something broke")),
    "502": faults.page(502),
    "503": faults.page(503),
    "504": faults.page(504),
    "404 of a proxy": faults.page(404),
    "a circuit breaker": faults.status(429, body=error("circuit_breaking_exception", "[parent] Data too large")),
    "a connection cut before the server": faults.cut_before,
    "a connection cut before the answer": faults.cut_after,
    "a connection cut in the middle of the answer": faults.cut_in_the_middle,
    "an answer cut short": faults.cut_short,
    "an empty answer": faults.empty,
    "garbage": faults.garbage,
    "a web page for an answer": faults.page(200),
    "text for an answer": faults.status(200, body=b"OK", kind="text/plain"),
    "JSON that is nothing": faults.status(200, body=b"null"),
    "JSON that is a list": faults.status(200, body=b"[]"),
    "JSON that is a truth": faults.status(200, body=b"true"),
    "bytes that are no text": faults.status(200, body=b'"\xff\xfe'),
    "JSON without an end": faults.status(200, body=b"[" * 100_000),
}


@pytest.mark.parametrize("case", PASSING)
def test_what_passes_is_outlasted_wherever_it_strikes(elasticsearch_url: str, filled: str, case: str) -> None:
    fault = PASSING[case]
    for first in (0, 2, 14):  # the point in time itself; looking at fields; in the middle of paging
        with asked(elasticsearch_url, filled, in_order([None] * first + [fault, fault])) as it:
            assert it.count() == counted(NUMBER)
            assert it.proxy.faults == len(it.waiting.pauses) == 2


def test_a_stalled_answer_is_asked_for_again(elasticsearch_url: str, filled: str) -> None:
    with asked(elasticsearch_url, filled, in_order([None, None, faults.stall(30)], searches), timeout="1s") as it:
        assert it.count() == counted(NUMBER)
        assert len(it.waiting.pauses) == 1


SENTENCES: dict[str, tuple[Fault, str]] = {
    "429": (PASSING["429"], "the cluster is overloaded (queue is full); try again when it has less to do"),
    "a circuit breaker": (
        PASSING["a circuit breaker"],
        "the cluster has not enough memory for this just now ([parent]",
    ),
    "missing shards": (
        faults.status(503, body=error("x", "rejected due to missing shards [[a][1], [a][3]]. Consider using `x`")),
        "no node that runs has the shards [a][1], [a][3]; start the nodes that are down",
    ),
    "503": (faults.page(503), "the cluster has trouble of its own, with status 503: the answer was a web page"),
    "cut": (faults.cut_before, " breaks off; see that it runs"),
    "cut short": (
        faults.cut_short,
        ": the answer was not whole, or no JSON; look at what stands between here and",
    ),
    "empty": (faults.empty, ": the answer was empty; look at what stands"),
    "a web page": (faults.page(200), ": the answer was a web page; look at what stands"),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_what_does_not_pass_is_told_after_two_minutes_of_trying(elasticsearch_url: str, filled: str, case: str) -> None:
    fault, sentence = SENTENCES[case]
    with asked(elasticsearch_url, filled, lambda found: fault if searches(found) else None) as it:
        with pytest.raises(StoreUnavailable) as refusal:
            it.count()
        assert sentence in str(refusal.value)
        assert str(refusal.value).startswith("store logs: ")
        assert BUDGET_SECONDS - 15 < it.waiting.clock() <= BUDGET_SECONDS
        pauses = it.waiting.pauses
        assert 0.25 <= pauses[0] <= 0.5
        assert all(7.5 <= pause <= 15 for pause in pauses[5:])


def test_a_server_that_says_when_to_come_back_is_not_asked_before(elasticsearch_url: str, filled: str) -> None:
    with asked(elasticsearch_url, filled, in_order([faults.status(503, retry_after="40")], searches)) as it:
        assert it.count() == counted(NUMBER)
        assert it.waiting.pauses == [40]


def test_a_server_that_says_when_by_the_clock_is_not_asked_before(elasticsearch_url: str, filled: str) -> None:
    at = "Wed, 21 Oct 2026 07:28:20 GMT"

    def fault(_proxy: FaultProxy, _exchange: Exchange, handler: Any) -> bool:
        handler.date_time_string = lambda *_: "Wed, 21 Oct 2026 07:28:00 GMT"
        handler.reply(503, {"Retry-After": at}, b"")
        return True

    with asked(elasticsearch_url, filled, in_order([fault], searches)) as it:
        assert it.count() == counted(NUMBER)
        assert it.waiting.pauses == [20]


def test_who_wants_to_be_left_alone_for_an_hour_is_not_waited_for(elasticsearch_url: str, filled: str) -> None:
    with asked(elasticsearch_url, filled, in_order([faults.status(429, retry_after="3600")], searches)) as it:
        with pytest.raises(StoreUnavailable, match="the cluster is overloaded"):
            it.count()
        assert it.waiting.pauses == []


def _set(path: str, value: object) -> Fault:
    """An answer in which the server claims this."""

    def change(said: dict[str, Any]) -> None:
        *above, last = path.split(".")
        for key in above:
            said = said[key]
        said[last] = value

    return faults.altered(change)


def _without(*path: str) -> Fault:
    def change(said: dict[str, Any]) -> None:
        for key in path[:-1]:
            said = said[key]
        del said[path[-1]]

    return faults.altered(change)


def _nothing(said: dict[str, Any]) -> None:
    said["_shards"] = {"total": 0, "successful": 0, "skipped": 0, "failed": 0}


NOT_WHOLE: dict[str, tuple[Fault, str]] = {
    "a shard that failed": (_set("_shards.failed", 1), "1 of 3 shards failed: no reason given"),
    "a search that timed out": (_set("timed_out", True), "the search timed out on the server"),
    "a shard that is not accounted for": (_set("_shards.successful", 2), "2 of 3 shards answered"),
    "fewer shards than before": (faults.altered(_nothing), "0 shards answered, and the point in time has 3"),
    "a search that ended early": (_set("terminated_early", True), "the search ended before it had seen every message"),
    "no word of shards": (_without("_shards"), "the answer does not say whether it is whole"),
    "no word of time": (_without("timed_out"), "the answer does not say whether it is whole"),
    "no aggregations": (_without("aggregations"), "the answer lacks the aggregation"),
    "a cluster that was skipped": (
        _set("_clusters", {"total": 2, "skipped": 1, "details": {"far": {"status": "skipped"}}}),
        "cluster far was skipped: no reason given",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_WHOLE)
def test_an_answer_that_is_not_whole_is_not_counted_and_the_count_begins_anew(
    elasticsearch_url: str, filled: str, case: str
) -> None:
    fault, sentence = NOT_WHOLE[case]
    with asked(elasticsearch_url, filled, in_order([None] * 4 + [fault], searches)) as it:
        assert it.count() == counted(NUMBER)
        assert sum(openings(found) for found in it.proxy.seen) == 2
    with asked(elasticsearch_url, filled, always(fault, searches)) as it:
        with pytest.raises(StoreUnavailable) as refusal:
            it.count()
        assert f"store logs: it does not answer in full: {sentence}" in str(refusal.value)
        assert sum(openings(found) for found in it.proxy.seen) == 3


def test_fields_of_which_not_all_indices_tell_are_not_believed(elasticsearch_url: str, filled: str) -> None:
    failure = {"indices": ["far:x"], "failure": {"error": {"type": "x", "reason": "Unable to connect to [far]"}}}
    fault = faults.altered(lambda said: said.update(failed_indices=1, failures=[failure]))
    with asked(elasticsearch_url, filled, always(fault, lambda found: "/_field_caps" in found.path)) as it:
        told = r"some of the indices do not answer: Unable to connect to \[far\]"
        with pytest.raises(StoreUnavailable, match=told):
            it.count()


def test_an_answer_of_somebody_else_is_not_taken_for_one(elasticsearch_url: str, filled: str) -> None:
    somebody = faults.status(200, body=b'{"message": "maintenance"}')
    for number in range(1, 5):
        with asked(elasticsearch_url, filled, in_order([None] * number + [somebody])) as it:
            assert it.count() == counted(NUMBER)
            assert it.proxy.faults == 1


def test_a_point_in_time_that_expires_is_opened_anew_and_counted_from_the_start(
    elasticsearch_url: str, filled: str
) -> None:
    for first in (0, 3, 12):
        with asked(elasticsearch_url, filled, in_order([None] * first + [faults.expired], searches)) as it:
            assert it.count() == counted(NUMBER)
            assert sum(openings(found) for found in it.proxy.seen) == 2


def test_a_point_in_time_that_lost_a_node_is_given_up_at_once(elasticsearch_url: str, filled: str) -> None:
    # while a node is gone but not forgotten, its part of a point in time answers 502; it never comes back
    lost = faults.status(502, body=error("node_not_connected_exception", "[two] Node not connected"))
    with asked(elasticsearch_url, filled, in_order([None] * 5 + [lost], searches)) as it:
        assert it.count() == counted(NUMBER)
        assert sum(openings(found) for found in it.proxy.seen) == 2


def test_a_point_in_time_that_expires_each_time_makes_the_store_unavailable(
    elasticsearch_url: str, filled: str
) -> None:
    with asked(elasticsearch_url, filled, always(faults.expired, searches)) as it:
        told = r"the snapshot that was counted is gone \(No search context found"
        with pytest.raises(StoreUnavailable, match=told):
            it.count()


def of_stretches(found: Exchange) -> bool:
    return searches(found) and "stretches" in found.json().get("aggs", {})


def test_an_answer_without_the_stretches_that_were_asked_for_is_not_counted(
    elasticsearch_url: str, filled: str
) -> None:
    none = _set("aggregations.stretches.buckets", [])
    with asked(elasticsearch_url, filled, in_order([none], of_stretches)) as it:
        assert it.count() == counted(NUMBER)
    told = r"it does not answer in full: the answer has 0 of \d+ stretches"
    with (
        asked(elasticsearch_url, filled, always(none, of_stretches)) as it,
        pytest.raises(StoreUnavailable, match=told),
    ):
        it.count()


def closings(found: Exchange) -> bool:
    return found.method == "DELETE" and found.path == "/_pit"


def test_the_point_in_time_is_closed_after_a_count(elasticsearch_url: str, filled: str) -> None:
    with asked(elasticsearch_url, filled) as it:
        it.count()
        last = it.proxy.seen[-1]
        assert (closings(last), last.status, json.loads(last.answer)["succeeded"]) == (True, 200, True)


def test_the_point_in_time_is_closed_after_a_count_that_fails(elasticsearch_url: str, filled: str) -> None:
    refused = faults.status(400, body=error("illegal_argument_exception", "no"))
    with asked(elasticsearch_url, filled, in_order([None, refused], searches)) as it:
        with pytest.raises(StoreUnavailable, match="the cluster refuses the request, with status 400: no"):
            it.count()
        assert json.loads(it.proxy.seen[-1].answer) == {"succeeded": True, "num_freed": 3}


def test_a_count_is_given_although_its_point_in_time_cannot_be_closed(elasticsearch_url: str, filled: str) -> None:
    with asked(elasticsearch_url, filled, always(faults.cut_before, closings)) as it:
        assert it.count() == counted(NUMBER)
        assert it.waiting.pauses == []


def test_the_newest_name_of_a_point_in_time_is_used(client: Elasticsearch, elasticsearch_url: str, filled: str) -> None:
    other = client.open_point_in_time(index=filled, keep_alive="1m")["id"]
    with asked(elasticsearch_url, filled, in_order([None, _set("pit_id", other)], searches)) as it:
        assert it.count() == counted(NUMBER)
        names = [found.json()["pit"]["id"] for found in it.proxy.seen if searches(found)]
        assert names[:2] == [names[0]] * 2
        assert set(names[2:]) == {other}
        assert json.loads(it.proxy.seen[-1].body) == {"id": other}


REFUSED: dict[str, tuple[Fault, str]] = {
    "an older Elasticsearch": (
        faults.status(400, body=error("media_type_header_exception", "Invalid media-type value on headers [Accept]")),
        "is an Elasticsearch older than 9",
    ),
    "another product": (faults.status(200, body=b'{"id": "x", "_shards": {"failed": 0}}'), "is not Elasticsearch"),
    "an address that has moved": (faults.status(301), "another address; name that one in stores.logs.hosts"),
    "a request that is too large": (faults.status(413, body=error("x", "too large")), "raise http.max_content_length"),
    "expensive queries that are forbidden": (
        faults.status(
            400, body=error("exception", "[wildcard] queries cannot be executed: 'search.allow_expensive_queries' is")
        ),
        "the cluster forbids expensive queries",
    ),
    "fields of two kinds": (
        faults.status(500, body=error("class_cast_exception", "class DoubleRangeQuery cannot be cast to class Bytes")),
        "the cluster has trouble of its own, with status 500: class DoubleRangeQuery cannot be cast",
    ),
    "too few buckets": (
        faults.status(400, body=error("too_many_buckets_exception", "Trying to create too many buckets.")),
        "set search.max_buckets there to 65536",
    ),
    "a right that is missing": (
        faults.status(403, body=error("security_exception", "action [indices:admin/mappings/get] is unauthorized for "
        "user [u] with effective roles [r] on indices [a-1,a-2], this action is granted by the index privileges "
        "[view_index_metadata,manage,all]")),
        "lacks the index privilege view_index_metadata on a-1, a-2; grant it",
    ),
    "a login that is wanted": (
        faults.status(401), "; set TALLYWATCH_STORES__LOGS__API_KEY, or stores.logs.username and "
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_stays_the_same_is_told_at_once(elasticsearch_url: str, filled: str, case: str) -> None:
    fault, sentence = REFUSED[case]
    with asked(elasticsearch_url, filled, always(fault)) as it:
        with pytest.raises(StoreUnavailable) as refusal:
            it.count()
        assert sentence in str(refusal.value)
        assert (it.proxy.faults, it.waiting.pauses) == (1, [])


def _dead() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def _on(hosts: list[str], filled: str, it: Asked) -> dict[str, int]:
    with opened(settings(it.proxy.url, filled, hosts=hosts), page=PAGE) as store:
        store.session.pause, store.session.clock = it.waiting.pause, it.waiting.clock
        return Asked(store, it.proxy, it.waiting).count()


def test_a_dead_node_is_left_for_another_at_once(elasticsearch_url: str, filled: str) -> None:
    with asked(elasticsearch_url, filled) as it:
        for _ in range(4):  # which node is asked first is left to chance
            assert _on([_dead(), _dead(), it.proxy.url], filled, it) == counted(NUMBER)
        assert it.waiting.pauses == []


def test_a_node_that_dies_while_it_is_asked_is_left_for_another_at_once(elasticsearch_url: str, filled: str) -> None:
    dying = [None] * 6 + [faults.cut_before] * 1_000
    with asked(elasticsearch_url, filled) as it, FaultProxy(elasticsearch_url, in_order(dying)) as other:
        assert _on([other.url, it.proxy.url], filled, it) == counted(NUMBER)
        assert other.faults > 0
        assert it.waiting.pauses == []


def test_an_address_where_nobody_ever_answered_is_not_tried_for_long(filled: str) -> None:
    waiting = Waiting()
    with opened(settings(_dead(), filled)) as store:
        store.session.pause, store.session.clock = waiting.pause, waiting.clock
        with pytest.raises(StoreUnavailable, match="nobody listens there; see that it runs and can be reached"):
            store.freshness(START)
    assert 3 < waiting.clock() <= STRANGER_SECONDS


def test_a_name_that_nobody_knows_is_told(filled: str) -> None:
    with opened(settings("http://search.invalid:9200", filled)) as store:
        store.session.pause, store.session.clock = (waiting := Waiting()).pause, waiting.clock
        told = r"nobody knows a machine of the name in http://search\.invalid:9200; correct stores"
        with pytest.raises(StoreUnavailable, match=told):
            store.freshness(START)


def test_a_store_that_was_closed_meanwhile_says_so_at_once(elasticsearch_url: str, filled: str) -> None:
    with asked(elasticsearch_url, filled) as it:
        it.count()
        it.store.session.close()
        with pytest.raises(StoreUnavailable, match="its connections were closed, because the configuration changed"):
            it.count()
        assert it.waiting.pauses == []


def test_nothing_is_printed_of_nodes_that_fail_and_of_warnings(
    elasticsearch_url: str, filled: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = in_order([faults.warned, faults.cut_before, faults.page(503), faults.cut_short] + [faults.warned] * 100)
    with caplog.at_level(logging.WARNING, "tallywatch"), asked(elasticsearch_url, filled, plan) as it:
        assert it.count() == counted(NUMBER)  # a warning would be an error here
        assert it.proxy.faults > 10
    assert [record.getMessage() for record in caplog.records] == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("compress", [True, False])
def test_requests_and_answers_are_compressed_as_configured(elasticsearch_url: str, filled: str, compress: bool) -> None:
    with asked(elasticsearch_url, filled, compress=str(compress).lower()) as it:
        assert it.count() == counted(NUMBER)
        packed = [found.packed for found in it.proxy.seen if searches(found)]
        wanted = [found.headers.get("accept-encoding") == "gzip" for found in it.proxy.seen]
    assert (set(packed), set(wanted)) == ({compress}, {compress})


def test_no_secret_is_repeated_whatever_the_server_says(elasticsearch_url: str, filled: str) -> None:
    def echo(_proxy: FaultProxy, exchange: Exchange, handler: Any) -> bool:
        said = f"hunter2-secret and {exchange.headers['authorization']}"
        handler.reply(400, {"Content-Type": "application/json"}, error("x", said))
        return True

    login = {"username": "usage", "password": "hunter2-secret"}
    with asked(elasticsearch_url, filled, always(echo), **login) as it, pytest.raises(StoreUnavailable) as refusal:
        it.count()
    assert str(refusal.value).endswith("with status 400: *** and Basic ***")


def test_an_api_key_is_sent_and_not_repeated(elasticsearch_url: str, filled: str) -> None:
    def echo(_proxy: FaultProxy, exchange: Exchange, handler: Any) -> bool:
        handler.reply(400, {"Content-Type": "application/json"}, error("x", exchange.headers["authorization"]))
        return True

    with asked(elasticsearch_url, filled, always(echo), api_key="Zm9vOmJhcg==") as it:
        told = r"with status 400: ApiKey \*\*\*$"
        with pytest.raises(StoreUnavailable, match=told):
            it.count()
