"""Messages to measure with: nested, in Elastic Common Schema's names, some 480 bytes each, the same each time."""

from __future__ import annotations

from pathlib import Path

import duckdb

FIELDS = {"time": "@timestamp", "customer": "customer.id", "id": "event.id"}
COLUMNS = """{'@timestamp': 'TIMESTAMPTZ', 'event': 'STRUCT(id VARCHAR, dataset VARCHAR, duration BIGINT)',
    'customer': 'STRUCT(id VARCHAR)', 'service': 'STRUCT("name" VARCHAR)',
    'http': 'STRUCT(request STRUCT("method" VARCHAR, bytes BIGINT),
             response STRUCT(status_code BIGINT, body STRUCT(bytes BIGINT)))',
    'url': 'STRUCT(path VARCHAR)', 'source': 'STRUCT(ip VARCHAR)', 'user_agent': 'STRUCT(original VARCHAR)',
    'tags': 'VARCHAR[]'}"""
WHERE = {
    "service.name": "public-api",
    "http.request.method": ["GET", "POST"],
    "http.response.status_code": {"gte": 200, "lt": 300},
    "url.path": {"prefix": "/v1/", "not": "/v1/health"},
}
WHERE_SQL = """service.name = 'public-api' AND http.request.method IN ('GET', 'POST')
    AND http.response.status_code >= 200 AND http.response.status_code < 300
    AND url.path LIKE '/v1/%' AND url.path <> '/v1/health'"""


def write(path: Path, number: int, *, first: int = 0, customers: int = 450) -> None:
    """Writes so many messages of October 2026 as JSON lines, evenly over the month."""
    step = 31 * 86_400_000 // (number + first)
    line = (
        '{"@timestamp":"%s","event":{"id":"%s","dataset":"app.access","duration":%d},"customer":{"id":"customer-%05d"},'
        '"service":{"name":"%s"},"http":{"request":{"method":"%s","bytes":%d},"response":{"status_code":%d,'
        '"body":{"bytes":%d}}},"url":{"path":"%s"},"source":{"ip":"10.%d.%d.%d"},"user_agent":{"original":'
        '"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0"},"tags":["a","b"]}'
    )
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
        connection.execute(
            f"""COPY (SELECT printf('{line}',
                strftime(TIMESTAMP '2026-10-01' + to_milliseconds(CAST(i * {step} AS BIGINT)), '%Y-%m-%dT%H:%M:%S.%gZ'),
                md5(CAST(i AS VARCHAR)), CAST(hash(i + 1) % 100000 AS INT), CAST(hash(i + 2) % {customers} AS INT),
                CASE WHEN hash(i + 3) % 10 < 8 THEN 'public-api' ELSE 'web' END,
                CASE hash(i + 4) % 5 WHEN 0 THEN 'POST' WHEN 1 THEN 'DELETE' ELSE 'GET' END,
                CAST(hash(i + 5) % 5000 AS INT),
                CASE hash(i + 6) % 10 WHEN 0 THEN 404 WHEN 1 THEN 500 ELSE 200 END, CAST(hash(i + 7) % 50000 AS INT),
                CASE hash(i + 8) % 4 WHEN 0 THEN '/v1/orders' WHEN 1 THEN '/v1/health'
                    WHEN 2 THEN '/v1/items/' || CAST(hash(i) % 1000 AS VARCHAR) ELSE '/static/x' END,
                CAST(hash(i + 9) % 256 AS INT), CAST(hash(i + 10) % 256 AS INT), CAST(hash(i + 11) % 256 AS INT))
            FROM range({first}, {first + number}) t(i))
            TO '{path}' (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER E'\\x01')"""
        )
