"""A full recount of a month by customer and hour, against the fastest queries issued by hand. Wanted: at most 1.3x.

python benchmarks/elastic/recount.py [--messages N] [--url URL]      (1,500,000 messages; 2 GB of disk)

By hand on Elasticsearch, with the plain client, in a point in time: a composite aggregation for each day, in pages of
10,000; and for each day one `terms` aggregation in a histogram of its hours. By hand on the embedded store: SQL over
Parquet with all types given. All must give the same figures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import common
import duckdb
import loading
from common import MONTH, MONTH_END, measuring, messages
from ingest import USED, typed

from config import filters
from config.models import ElasticsearchStore, EmbeddedStore
from ledger import clock
from ledger.database import open_database
from logviews.elastic.client import connect
from logviews.elastic.store import Elastic
from logviews.embedded.store import Embedded
from logviews.intake.ingest import Ingest
from logviews.store import CountQuery, LogStore

INDEX: Final = "bench-recount"
PAGE: Final = 10_000
ROUNDS: Final = 7
DAYS: Final = tuple(MONTH + timedelta(days=day) for day in range(32))
HOURS: Final = tuple(MONTH + timedelta(hours=hour) for hour in range(31 * 24 + 1))
FILTER: Final[list[dict[str, Any]]] = [
    {"term": {"service.name": "public-api"}},
    {"terms": {"http.request.method": ["GET", "POST"]}},
    {"range": {"http.response.status_code": {"gte": 200, "lt": 300}}},
    {"prefix": {"url.path": "/v1/"}},
]
Figures = dict[tuple[str, datetime], int]


def by_hand(url: str, search: Callable[[dict[str, Any]], Iterator[tuple[str, int, int]]]) -> Figures:
    """Each day searched in one point in time."""
    client = common.connected(url)
    pit = client.open_point_in_time(index=INDEX, keep_alive="5m")["id"]
    found: Figures = {}
    for start, end in pairwise(DAYS):
        within = {"range": {"@timestamp": {"gte": start.isoformat(), "lt": end.isoformat()}}}
        not_health = [{"term": {"url.path": "/v1/health"}}]
        body = {
            "client": client,
            "pit": {"id": pit, "keep_alive": "5m"},
            "query": {"bool": {"filter": [within, *FILTER], "must_not": not_health}},
        }
        for customer, hour, number in search(body):
            found[customer, MONTH + timedelta(milliseconds=hour - int(MONTH.timestamp() * 1_000))] = number
    client.close_point_in_time(id=pit)
    return found


def composite(body: dict[str, Any]) -> Iterator[tuple[str, int, int]]:
    """A day in pages."""
    client, after = body.pop("client"), {}
    while True:
        sources = [
            {"customer": {"terms": {"field": "customer.id"}}},
            {"hour": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1h"}}},
        ]
        by = {"composite": {"size": PAGE, "sources": sources, **after}}
        answer = client.search(**body, aggs={"by": by}, size=0, track_total_hits=False)["aggregations"]["by"]
        for bucket in answer["buckets"]:
            yield bucket["key"]["customer"], bucket["key"]["hour"], bucket["doc_count"]
        if "after_key" not in answer or len(answer["buckets"]) < PAGE:
            return
        after = {"after": answer["after_key"]}


def terms(body: dict[str, Any]) -> Iterator[tuple[str, int, int]]:
    """A day in one answer, for whoever knows how many customers there are at most."""
    client = body.pop("client")
    customers = {"terms": {"field": "customer.id", "size": 1_000}}
    hours = {"date_histogram": {"field": "@timestamp", "fixed_interval": "1h"}, "aggs": {"by": customers}}
    answer = client.search(**body, aggs={"hours": hours}, size=0, track_total_hits=False)
    for hour in answer["aggregations"]["hours"]["buckets"]:
        for bucket in hour["by"]["buckets"]:
            yield bucket["key"], hour["key"], bucket["doc_count"]


def sql(parquet: Path) -> Figures:
    """The same by SQL."""
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
        rows = connection.execute(
            f"""SELECT customer.id, CAST(epoch(date_trunc('hour', "@timestamp")) AS BIGINT), count(*)
            FROM read_parquet('{parquet}') WHERE "@timestamp" >= TIMESTAMPTZ '{MONTH.isoformat()}'
            AND "@timestamp" < TIMESTAMPTZ '{MONTH_END.isoformat()}' AND {messages.WHERE_SQL} GROUP BY ALL"""
        ).fetchall()
    start = int(MONTH.timestamp())
    return {(customer, MONTH + timedelta(seconds=hour - start)): number for customer, hour, number in rows}


def ours(store: LogStore) -> Figures:
    """By a store, hour by hour."""
    query = CountQuery("bench", filters.parse(messages.WHERE), "messages", None, 0, HOURS)
    return {(tally.subject.id, tally.start): int(tally.quantity or 0) for tally in store.count(query)}


def elastic(url: str) -> Figures:
    """By a store in Elasticsearch that is opened anew."""
    fields = {"time": "@timestamp", "customer": "customer.id", "id": "event.id", "ingested": "event.ingested"}
    settings = ElasticsearchStore.model_validate(
        {"type": "elasticsearch", "hosts": [url], "index": [INDEX], "fields": fields}
    )
    return ours(Elastic("bench", settings, connect("bench", settings)))


def compare(title: str, own: Callable[[], Figures], hand: dict[str, Callable[[], Figures]]) -> list[tuple[str, ...]]:
    """One line of the table for each way by hand. Figures are compared apart, so that no process keeps another's."""
    tasks = {"own": own, **hand}
    same = {name: measuring.measure(lambda task=task: digest(task())).result for name, task in tasks.items()}
    found = measuring.measure_in_turn(
        {name: lambda task=task: len(task()) for name, task in tasks.items()}, rounds=ROUNDS, warm=1
    )
    return [
        (
            f"{title}: {name}",
            f"{found[name].median:.3f}",
            f"{found['own'].median:.3f}",
            measuring.ratio(found["own"], found[name]),
            "yes" if same[name] == same["own"] else "NO",
            f"{found[name].peak_mb} / {found['own'].peak_mb}",
        )
        for name in hand
    ]


def digest(figures: Figures) -> str:
    """The same for the same figures."""
    return hashlib.sha256(repr(sorted(figures.items())).encode()).hexdigest()


def fill(url: str, lines: Path) -> int:
    """Every message of the lines into the index; says how many."""
    feed = loading.Feed(common.connected(url), INDEX, lines)
    return feed.until(MONTH_END)


def ingest(folder: Path, lines: Path) -> None:
    """The same lines into an embedded store, and as Parquet with all types given."""
    database = open_database(f"sqlite:///{folder}/ledger.db", simulation=False, now=clock.now())
    Ingest("bench", embedded_store(folder), USED, database).take(lines, clock.now())
    typed(lines, folder / "typed.parquet")
    database.close()


def embedded_store(folder: Path) -> EmbeddedStore:
    """Its settings."""
    return EmbeddedStore.model_validate({"type": "embedded", "folder": folder / "events", "fields": messages.FIELDS})


def embedded(folder: Path) -> Embedded:
    """The store; a measured process opens connections of its own."""
    database = open_database(f"sqlite:///{folder}/ledger.db", simulation=False, now=clock.now())
    database.close()
    return Embedded("bench", embedded_store(folder), USED, database)


def main() -> None:
    """Loads a month, counts it in turn, and prints the table. All that takes memory runs in processes of its own."""
    given = common.arguments(__doc__.splitlines()[0], size=1_500_000).parse_args()
    with common.server(given.url) as url, common.scratch() as folder:
        lines = folder / "messages.jsonl"
        measuring.measure(lambda: messages.write(lines, given.messages))
        with loading.index(common.connected(url), INDEX):
            number = measuring.measure(lambda: fill(url, lines)).result
            by = {"composite by day": lambda: by_hand(url, composite), "terms by day": lambda: by_hand(url, terms)}
            rows = compare("Elasticsearch", lambda: elastic(url), by)
        measuring.measure(lambda: ingest(folder, lines))
        store = embedded(folder)
        rows += compare("embedded", lambda: ours(store), {"SQL": lambda: sql(folder / "typed.parquet")})
        measuring.print_table(
            f"A month of {number:,} messages by customer and hour, medians of {ROUNDS}",
            ("store: by hand", "by hand, s", "tallywatch, s", "ratio", "same figures", "peak MB"),
            rows,
        )


if __name__ == "__main__":
    main()
