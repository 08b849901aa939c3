"""Stores in Elasticsearch: what they may say, and secrets that nobody gets to see."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.load import load
from config.models import ElasticsearchStore, EmbeddedStore

TEXT = """\
stores:
  search-1:
    type: elasticsearch
    hosts: [https://a.example.com:9200, "https://[::1]:443/search"]
    index: [api-*, -api-old*, "cluster_One:web-*", "cluster_One:-web-old", .ds-logs, 2026-åä]
    fields: {time: "@timestamp", customer: customer.id, ingested: event.ingested, id: event.id}
    types: {event.ingested: time, customer.id: string}
    lateness: 72h
    stale_after: 30m
    retention: 400d
    write_index: api-2026
  web: {type: embedded, folder: events, fields: {time: t, customer: c}}
"""
KEY = "aHVudGVyMjpodW50ZXIy"


def write(folder: Path, text: str = TEXT) -> Path:
    path = folder / "tallywatch.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def found(path: Path, **env: str) -> ElasticsearchStore:
    variables = {f"TALLYWATCH_{name}": value for name, value in env.items()}
    store = load(path, variables).config.stores["search-1"]
    assert isinstance(store, ElasticsearchStore)
    return store


def problems(path: Path, **env: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        found(path, **env)
    return [str(problem) for problem in caught.value.problems]


def test_a_store_says_where_its_messages_are(tmp_path: Path) -> None:
    store = found(write(tmp_path))
    assert store.hosts == ("https://a.example.com:9200", "https://[::1]:443/search")
    assert store.index == ("api-*", "-api-old*", "cluster_One:web-*", "cluster_One:-web-old", ".ds-logs", "2026-åä")
    assert (store.fields.ingested, store.fields.id) == ("event.ingested", "event.id")
    assert (store.write_index, store.retention, store.exposed) == ("api-2026", timedelta(days=400), False)


def test_what_is_not_said_is_compressed_and_waits_a_minute_without_a_login(tmp_path: Path) -> None:
    store = found(write(tmp_path))
    assert (store.compress, store.timeout) == (True, timedelta(seconds=60))
    assert (store.api_key, store.username, store.password, store.ca_file, store.fingerprint) == (None,) * 5


def test_the_stores_of_each_kind_are_told_apart(tmp_path: Path) -> None:
    config = load(write(tmp_path), {}).config
    assert list(config.elasticsearch_stores) == ["search-1"]
    assert list(config.embedded_stores) == ["web"]
    assert isinstance(config.stores["web"], EmbeddedStore)


def test_a_single_host_or_index_needs_no_list(tmp_path: Path) -> None:
    one = "{type: elasticsearch, hosts: http://localhost:9200, index: api, fields: {time: t, customer: c}}"
    store = found(write(tmp_path, f"stores: {{search-1: {one}}}"))
    assert (store.hosts, store.index, store.exposed) == (("http://localhost:9200",), ("api",), False)


def test_two_stores_may_be_the_same_indices_seen_by_other_fields(tmp_path: Path) -> None:
    one = "{type: elasticsearch, hosts: http://localhost:9200, index: api, fields: {time: t, customer: CUSTOMER}}"
    text = f"stores:\n  search-1: {one.replace('CUSTOMER', 'c')}\n  other: {one.replace('CUSTOMER', 'd')}\n"
    assert found(write(tmp_path, text)).fields.customer == "c"


@pytest.mark.parametrize("written", ["ab" * 32, "AB" * 32, ":".join(["aB"] * 32)])
def test_a_fingerprint_may_have_colons_and_upper_case(tmp_path: Path, written: str) -> None:
    assert found(write(tmp_path), STORES__SEARCH_1__FINGERPRINT=written).fingerprint == "ab" * 32


@pytest.mark.parametrize("written", ["ab" * 31, "ab" * 33, "xy" * 32, ":".join(["abcd"] * 16), "ab:" * 32])
def test_a_fingerprint_of_another_shape_is_refused(tmp_path: Path, written: str) -> None:
    [problem] = problems(write(tmp_path), STORES__SEARCH_1__FINGERPRINT=written)
    assert problem.startswith(
        "TALLYWATCH_STORES__SEARCH_1__FINGERPRINT: stores.search-1.fingerprint: must be a SHA-256"
    )


def test_an_api_key_comes_from_the_environment(tmp_path: Path) -> None:
    store = found(write(tmp_path), STORES__SEARCH_1__API_KEY=KEY)
    assert store.api_key is not None
    assert store.api_key.get_secret_value() == KEY


def test_a_login_comes_from_the_environment_as_it_is_written_there(tmp_path: Path) -> None:
    password = "hunter2 with: yaml, [in it] *"
    store = found(write(tmp_path), STORES__SEARCH_1__USERNAME="00123", STORES__SEARCH_1__PASSWORD=password)
    assert store.username == "00123"
    assert store.password is not None
    assert store.password.get_secret_value() == password


@pytest.mark.parametrize("key", ["api_key", "password"])
def test_a_secret_comes_from_a_file(tmp_path: Path, key: str) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / f"tallywatch_stores__search_1__{key}").write_text(f"{KEY}\n", encoding="utf-8")
    login = {"STORES__SEARCH_1__USERNAME": "reader"} if key == "password" else {}
    store = found(write(tmp_path), SECRETS=str(secrets), **login)
    assert getattr(store, key).get_secret_value() == KEY


@pytest.mark.parametrize("shown", [repr, str, lambda found: found.model_dump_json(), lambda found: found.model_dump()])
def test_a_secret_is_in_no_repr_and_no_dump(tmp_path: Path, shown: object) -> None:
    assert callable(shown)
    assert KEY not in str(shown(found(write(tmp_path), STORES__SEARCH_1__API_KEY=KEY)))
    login = {"STORES__SEARCH_1__USERNAME": "reader", "STORES__SEARCH_1__PASSWORD": "hunter2"}
    assert "hunter2" not in str(shown(found(write(tmp_path), **login)))


def test_hosts_and_indices_can_be_overridden_one_or_many(tmp_path: Path) -> None:
    path = write(tmp_path)
    one = found(path, STORES__SEARCH_1__HOSTS="http://es:9200", STORES__SEARCH_1__INDEX="[api-*, -api-old*]")
    assert (one.hosts, one.index) == (("http://es:9200",), ("api-*", "-api-old*"))
    many = found(path, STORES__SEARCH_1__HOSTS='["http://es-1:9200", "http://es-2:9200"]')
    assert many.hosts == ("http://es-1:9200", "http://es-2:9200")
    flow = found(path, STORES__SEARCH_1__HOSTS="[http://es-1:9200, http://es-2:9200]")
    assert flow.hosts == many.hosts


def test_a_whole_store_from_the_environment_may_hold_its_secret(tmp_path: Path) -> None:
    whole = (
        f"{{type: elasticsearch, hosts: http://es:9200, index: api, fields: {{time: t, customer: c}}, api_key: {KEY}}}"
    )
    store = found(write(tmp_path), STORES__SEARCH_1=whole)
    assert store.api_key is not None
    assert store.api_key.get_secret_value() == KEY


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        (
            "PASSWORD",
            "hunter2",
            "stores.search-1.password: has no username "
            "(write username: into the store, or set TALLYWATCH_STORES__SEARCH_1__USERNAME)",
        ),
        (
            "API_KEY",
            "hunter1:hunter2",
            "stores.search-1.api_key: must be an API key in one word, which Elasticsearch calls `encoded` where it "
            "makes one",
        ),
        (
            "HOSTS",
            "https://elastic:hunter2@a.example.com:9200",
            "stores.search-1.hosts: must be a web address without a login, such as https://search-1.example.com:9200",
        ),
        (
            "HOSTS",
            "http://:hunter2@a:9200",
            "stores.search-1.hosts: must be a web address without a login, such as https://search-1.example.com:9200",
        ),
        ("FOLDER", "events", "stores.search-1: unknown key 'folder' (it goes with type: embedded)"),
        ("PASWORD", "hunter2", "is no setting (did you mean TALLYWATCH_STORES__SEARCH_1__PASSWORD?)"),
    ],
)
def test_a_problem_of_a_variable_names_it_and_not_its_value(
    tmp_path: Path, name: str, value: str, problem: str
) -> None:
    assert problems(write(tmp_path), **{f"STORES__SEARCH_1__{name}": value}) == [
        f"TALLYWATCH_STORES__SEARCH_1__{name}: {problem}"
    ]


def test_an_api_key_and_a_login_are_one_too_many(tmp_path: Path) -> None:
    login = {"STORES__SEARCH_1__USERNAME": "reader", "STORES__SEARCH_1__PASSWORD": "hunter2"}
    assert problems(write(tmp_path), STORES__SEARCH_1__API_KEY=KEY, **login) == [
        "TALLYWATCH_STORES__SEARCH_1__USERNAME: stores.search-1.username: there is an API key too, and one login is "
        "enough (remove one of them)"
    ]
    assert problems(write(tmp_path), STORES__SEARCH_1__API_KEY=KEY, STORES__SEARCH_1__PASSWORD="hunter2") == [
        "TALLYWATCH_STORES__SEARCH_1__PASSWORD: stores.search-1.password: there is an API key too, and one login is "
        "enough (remove one of them)"
    ]


def test_a_secret_that_is_refused_is_in_no_cause_of_the_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        found(write(tmp_path), STORES__SEARCH_1__API_KEY="hunter1:hunter2")
    assert "hunter" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"


def test_the_authorities_file_is_relative_to_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", TEXT.replace("lateness: 72h", "lateness: 72h\n    ca_file: tls/ca.pem"))
    path = write(tmp_path, "include: sub/tallywatch.yaml\n")
    assert found(path).ca_file == tmp_path / "sub" / "tls/ca.pem"
    assert found(path, STORES__SEARCH_1__CA_FILE="ca.pem").ca_file == tmp_path / "ca.pem"
