from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from config.models import MeterPrice, Tier, View
from config.values import Scalar
from ledger import definitions
from ledger.database import open_database
from ledger.definitions import define

NOW = datetime(2026, 11, 2, tzinfo=UTC)


def view(where: Any) -> View:
    return View(store="api", where=where)


def test_a_definitions_hash_is_the_sha_256_of_its_body() -> None:
    one = define("view", "calls", view({"status": {"gte": 200, "not": ["x", 1.5]}, "ip": {"cidr": "10.0.0.0/8"}}))
    assert one.hash == hashlib.sha256(one.body.encode()).hexdigest()
    assert json.loads(one.body)["content"]["where"]["is"] == "All"
    assert "10.0.0.0/8" in one.body


def test_whatever_changes_the_count_or_the_price_changes_the_hash() -> None:
    contents = [
        view({"a": 200}), view({"a": Scalar("200", plain=False)}), view({"a": {"gt": 200}}), view({"a": {"gte": 200}}),
        view({"a": {"prefix": "x"}}), view({"a": {"contains": "x"}}), view({"not": {"a": 200}}), view({}),
    ]  # fmt: skip
    assert len({define("view", "calls", content).hash for content in contents}) == len(contents)
    cheap, dear = (Tier(prices={"calls": MeterPrice(included=1, overage=Decimal(price))}) for price in ("0.01", "0.02"))
    assert define("tier", "basic", cheap).hash != define("tier", "basic", dear).hash
    assert define("tier", "basic", cheap).hash != define("tier", "pro", cheap).hash


def test_the_order_of_keys_and_sets_does_not_matter() -> None:
    first = define("x", "y", {"a": 1, "b": frozenset({"p", "q", "r"})})
    assert first == define("x", "y", {"b": frozenset({"r", "q", "p"}), "a": 1})


def test_a_value_without_an_exact_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no exact form"):
        define("x", "y", object())
    with pytest.raises(ValueError, match="JSON"):
        define("x", "y", float("nan"))


def test_a_definition_is_kept_once_and_read_back(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/ledger.db", simulation=False, now=NOW)
    one, two = define("view", "calls", view({"a": 1})), define("view", "calls", view({"a": 2}))
    with database.begin() as connection:
        definitions.record(connection, [one, two, one], NOW)
    with database.begin() as connection:
        definitions.record(connection, [one], NOW)
    with database.connect() as connection:
        assert definitions.load(connection, one.hash) == one
        assert definitions.load(connection, two.hash) == two
        assert definitions.load(connection, "0" * 64) is None
    database.close()
