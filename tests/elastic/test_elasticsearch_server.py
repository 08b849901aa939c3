"""The server that tests share: it is the real one, and is there for as long as somebody uses it."""

from __future__ import annotations

import json
import urllib.request


def test_the_shared_server_answers_as_elasticsearch_does(elasticsearch_url: str) -> None:
    with urllib.request.urlopen(f"{elasticsearch_url}/_cluster/health", timeout=10) as answer:
        assert answer.headers["X-Elastic-Product"] == "Elasticsearch"
        assert json.load(answer)["status"] in ("green", "yellow")


def test_it_is_one_and_the_same_for_every_test(elasticsearch_url: str) -> None:
    with urllib.request.urlopen(f"{elasticsearch_url}/_cluster/health", timeout=10) as answer:
        assert json.load(answer)["number_of_nodes"] == 1
