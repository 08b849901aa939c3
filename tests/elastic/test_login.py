"""Who may count: logins, certificates, and what a login that may too little is told, on a server that asks for both."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import pytest
from elastic_stores import fill, mapping_of, opened, settings
from elasticsearch import Elasticsearch
from elasticsearch_secured import PASSWORD, Secured, secured_server
from elasticsearch_wanted import or_left_out
from fault_proxy import FaultProxy
from faulty import PAGE, Asked, Waiting, counted, messages
from smtp_server import certificates

from logviews.store import StoreUnavailable

NUMBER: Final = 60
LOGIN: Final = {"username": "reader", "password": PASSWORD}
READING: Final = ["read", "view_index_metadata"]


def may(*names: str, privileges: list[str] | None = None) -> dict[str, Any]:
    """A role that may read these indices."""
    return {"indices": [{"names": list(names), "privileges": privileges or READING}]}


USERS: Final = {
    "reader": may("api-*"),
    "only_one": may("api-1"),
    "sees_no_mappings": may("api-*", privileges=["read"]),
    "reads_nothing": may("api-*", privileges=["view_index_metadata"]),
    "nobody": {"cluster": []},
}


@pytest.fixture(scope="module")
def secured(test_run: Path) -> Iterator[Secured]:
    """A server with two indices, which `admin` has filled."""
    with or_left_out(secured_server(test_run, USERS)) as server:
        with Elasticsearch(server.url, basic_auth=("admin", PASSWORD), ca_certs=str(server.authority)) as admin:
            for number, name in enumerate(("api-1", "api-2")):
                if not admin.indices.exists(index=name):  # another process of the run may have been here
                    admin.options(ignore_status=400).indices.create(index=name, mappings=mapping_of({}))
                fill(admin, name, [json.dumps(message) for message in messages(NUMBER)[number::2]])
        yield server


def count(server: Secured, index: str | list[str] = "api-*", **changes: Any) -> dict[str, int]:
    stated = {"ca_file": str(server.authority)} if "fingerprint" not in changes else {}
    with opened(settings(server.url, index, **(LOGIN | stated | changes)), page=PAGE) as store:
        waiting = Waiting()
        store.session.pause, store.session.clock = waiting.pause, waiting.clock
        try:
            return Asked(store, None, waiting).count()  # type: ignore[arg-type]  # there is no proxy
        finally:
            assert waiting.pauses == []  # nothing of all this gets better by waiting


def test_a_user_that_may_only_read_can_count(secured: Secured) -> None:
    assert count(secured) == counted(NUMBER)
    with Elasticsearch(secured.url, basic_auth=("reader", PASSWORD), ca_certs=str(secured.authority)) as reader:
        answer = reader.options(ignore_status=403).index(index="api-1", document={})
    assert answer.meta.status == 403


def test_a_certificate_is_believed_by_its_fingerprint(secured: Secured) -> None:
    assert count(secured, fingerprint=secured.fingerprint) == counted(NUMBER)


def test_answers_can_be_asked_for_without_compression(secured: Secured) -> None:
    assert count(secured, compress="false") == counted(NUMBER)


def refused(server: Secured, *arguments: Any, **changes: Any) -> str:
    with pytest.raises(StoreUnavailable) as refusal:
        count(server, *arguments, **changes)
    assert PASSWORD not in str(refusal.value)
    return str(refusal.value)


def test_a_wrong_password_is_told(secured: Secured) -> None:
    assert refused(secured, password="wrong") == (
        f"store logs: the user reader is not known at {secured.url}, or its password is wrong or has expired; "
        "correct TALLYWATCH_STORES__LOGS__PASSWORD"
    )


def test_a_wrong_api_key_is_told(secured: Secured) -> None:
    told = refused(secured, username=None, password=None, api_key="Zm9vOmJhcmJhcg==")
    assert told == (
        f"store logs: the API key is not known at {secured.url}, or is wrong or has expired; "
        "correct TALLYWATCH_STORES__LOGS__API_KEY"
    )


def test_a_missing_login_is_told(secured: Secured) -> None:
    assert f"a login is wanted at {secured.url}; set TALLYWATCH_STORES__LOGS__API_KEY" in refused(
        secured, username=None, password=None
    )


def test_a_user_that_may_read_only_some_of_what_a_pattern_matches_is_refused(secured: Secured) -> None:
    # Elasticsearch itself answers with half of the messages, and says nothing
    assert refused(secured, username="only_one").startswith(
        "store logs: the user only_one may not read everything that api-* can match, and Elasticsearch leaves out "
        "without a word what it may not read; give it the privileges read and view_index_metadata on api-*, or name"
    )
    assert sum(count(secured, "api-1", username="only_one").values()) == NUMBER // 2


def test_a_right_that_is_missing_is_named(secured: Secured) -> None:
    told = refused(secured, "api-1", username="reads_nothing")
    assert told == "store logs: the user reads_nothing lacks the index privilege read on api-1; grant it"
    told = refused(secured, "api-1", username="sees_no_mappings")
    assert (
        told == "store logs: the user sees_no_mappings lacks the index privilege view_index_metadata on api-1; grant it"
    )
    assert "the user nobody may not read everything that api-*" in refused(secured, username="nobody")


def test_a_certificate_of_an_unknown_authority_is_told(secured: Secured) -> None:
    told = refused(secured, ca_file=None)
    assert "is not vouched for" in told
    assert "name the right authorities in stores.logs.ca_file, or the certificate in stores.logs.fingerprint" in told


def test_another_certificate_than_the_configured_one_is_told(secured: Secured) -> None:
    told = refused(secured, fingerprint="ab" * 32)
    assert "has another fingerprint than the one that is configured; if it was renewed" in told


def test_a_certificate_for_another_name_is_told(secured: Secured, tmp_path: Path) -> None:
    made = certificates(tmp_path)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = made.wrong.wrap_socket(server.socket, server_side=True)
        Thread(target=server.handle_request, daemon=True).start()
        host = f"https://127.0.0.1:{server.server_address[1]}"
        told = refused(secured, hosts=[host], ca_file=str(made.authority))
    assert f"the certificate of {host} was made for another name (IP address mismatch" in told
    assert "use in stores.logs.hosts the name that is in it" in told


def test_a_server_that_speaks_no_tls_is_told(secured: Secured) -> None:
    with FaultProxy(secured.url) as plain:
        told = refused(secured, hosts=[plain.url.replace("http:", "https:")])
    assert "; write http:// in stores.logs.hosts, or correct the port" in told


def test_a_file_of_authorities_that_is_none_is_told(secured: Secured, tmp_path: Path) -> None:
    missing, wrong = tmp_path / "missing.pem", tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    assert refused(secured, ca_file=str(missing)) == f"store logs: ca_file {missing}: No such file or directory"
    assert refused(secured, ca_file=str(wrong)) == f"store logs: ca_file {wrong}: holds no certificate in PEM format"


def test_a_command_prints_one_sentence_and_nothing_else(secured: Secured, tmp_path: Path) -> None:
    config = tmp_path / "tallywatch.yaml"
    config.write_text(f"""
settings: {{database: "sqlite:///{tmp_path}/t.db", zone: UTC, currency: USD}}
stores:
  logs: {{type: elasticsearch, hosts: "{secured.url}", index: api-1, ca_file: "{secured.authority}", username: reader,
         fields: {{time: time, customer: customer, id: id}}}}
views:
  calls: {{title: Calls, store: logs, count: messages, where: {{}}}}
""")
    command = [sys.executable, "-m", "tallywatch", "--config", str(config), "count", "calls", "--period", "2026-10"]
    environment = {"TALLYWATCH_STORES__LOGS__PASSWORD": "wrong-secret", "PATH": "", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1), done.stderr
    assert "the user reader is not known at" in done.stderr
