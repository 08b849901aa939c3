"""A configuration with real stores in a folder, driven through the real command line."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

from config.errors import TallywatchError
from config.load import load
from exporters.statements import Accounts, Draft
from ledger.clock import now
from ledger.database import Database, open_database
from ledger.statements import StatementKey
from logviews.embedded.store import Embedded
from logviews.fields import used_fields
from tallywatch.cli import cli

TIERS = """
tiers:
  basic: {fee: 500, recommend: pro, prices: {api_calls: {included: 3, overage: 0.015}}}
  pro: {fee: 2000, prices: {api_calls: {included: 5, overage: [{to: 1, price: 0.2}, {price: 0.1}]}}}
"""
CUSTOMERS = """
customers:
  - {id: A, tier: basic, aliases: [a-old]}
  - {id: B, tier: basic}
  - {id: C, tier: pro, zone: America/New_York}
"""
VIEWS = """
views:
  basic: {store: api, customers: {tier: basic}, meter: api_calls, where: {s: x}}
  pro: {store: api, customers: {tier: pro}, meter: api_calls, where: {s: x}}
"""
EXPORTS = """
exports:
  statistics: {views: [basic, pro], layout: statistics, approve: auto}
  billing: {views: [basic, pro], layout: charges, approve: auto}
"""


@dataclass(frozen=True)
class Result:
    """What a command answered; `error` is the sentence that the command line prints."""

    status: int
    output: str
    error: str


@dataclass(frozen=True)
class World:
    """A folder with a configuration."""

    base: Path

    def write(
        self,
        *,
        tiers: str = TIERS,
        customers: str = CUSTOMERS,
        views: str = VIEWS,
        exports: str = EXPORTS,
        store: str = "",
        currency: str = "USD",
    ) -> None:
        """Writes the configuration."""
        head = (
            f"settings: {{database: 'sqlite:///t.db', zone: Europe/Stockholm, currency: {currency}}}\n"
            f"stores:\n  api: {{type: embedded, folder: events, fields: {{time: t, customer: c, id: id}}{store}}}\n"
        )
        (self.base / "tallywatch.yaml").write_text(head + tiers + customers + views + exports, encoding="utf-8")

    def ingest(self, messages: Iterable[Mapping[str, Any]]) -> None:
        """Takes messages in; `s` is x where it is not given."""
        number = len(list(self.base.glob("*.jsonl")))
        path = self.base / f"{number}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for index, message in enumerate(messages):
                file.write(json.dumps({"id": f"{number}-{index}", "s": "x", **message}) + "\n")
        result = self.run("ingest", "api", str(path))
        assert result.status == 0, result.error

    def calls(self, customer: str | None, number: int, day: str = "2025-10-05") -> list[dict[str, Any]]:
        """So many messages of a customer, a second apart."""
        one = {} if customer is None else {"c": customer}
        return [{**one, "t": f"{day}T10:{index // 60:02}:{index % 60:02}Z"} for index in range(number)]

    def run(self, *arguments: str) -> Result:
        """Runs a command as `tallywatch` would."""
        result = CliRunner().invoke(
            cli, ["--config", str(self.base / "tallywatch.yaml"), *arguments], standalone_mode=False
        )
        error = result.exception
        if isinstance(error, TallywatchError):
            return Result(error.exit_status, result.stdout, str(error))
        if isinstance(error, click.ClickException):
            return Result(error.exit_code, result.stdout, error.format_message())
        if error is not None:
            raise error
        return Result(0, result.stdout, result.stderr)

    def database(self) -> Database:
        """The ledger; whoever opens it closes it."""
        return open_database(f"sqlite:///{self.base}/t.db", simulation=False, now=now())

    def draft(self, export: str, month: str = "2025-10", billing_day: int = 1) -> Draft:
        """A statement as it would be sealed now."""
        loaded, database = load(self.base / "tallywatch.yaml"), self.database()
        store = Embedded("api", loaded.config.stores["api"], used_fields(loaded.config, "api"), database)
        draft = Accounts(loaded.config, loaded.roster, lambda _: store, now()).draft(
            StatementKey(export, month, billing_day)
        )
        database.close()
        return draft

    def month(self, month: str = "2025-10") -> Path:
        """The folder of a month's files."""
        return self.base / "exports" / month

    def files(self, folder: Path | None = None) -> dict[str, bytes]:
        """Every file of a folder and its content, hidden ones too; nothing when there is no folder."""
        root = folder or self.month()
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the ledger answers to a query."""
        connection = sqlite3.connect(self.base / "t.db")
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()
