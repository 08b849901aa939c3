"""Between us and a real Elasticsearch: loses the answers to some bulk requests, or says that the cluster is busy."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["lose", "busy", "half busy", "gone"]
_TOLD = ("content-type", "x-elastic-product")


@dataclass
class BulkProxy:
    """What becomes of the bulk requests that come, one after the other; when nothing is left they go through."""

    url: str
    faults: list[Fault] = field(default_factory=list)
    requests: int = 0


@contextmanager
def bulk_proxy(upstream: str) -> Iterator[BulkProxy]:
    """A proxy on a port of its own."""
    behind = urlsplit(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            fault = None
            if "/_bulk" in self.path:
                proxy.requests += 1
                fault = proxy.faults.pop(0) if proxy.faults else None
            if fault in ("busy", "half busy"):
                lines = body.splitlines(keepends=True)
                kept = len(lines) // 4 * 2 if fault == "half busy" else 0
                items = json.loads(self.forward(b"".join(lines[:kept]))[2])["items"] if kept else []
                rejected = {"create": {"status": 429, "error": {"type": "es_rejected_execution_exception"}}}
                items += [rejected] * ((len(lines) - kept) // 2)
                answer = json.dumps({"errors": True, "items": items}).encode()
                self.reply(200, {"content-type": "application/json", "x-elastic-product": "Elasticsearch"}, answer)
                return
            status, headers, answer = self.forward(body) if fault != "gone" else (0, {}, b"")
            if fault is not None:
                self.close_connection = True
                return
            self.reply(status, headers, answer)

        def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection(behind.hostname or "", behind.port)
            headers = {key: value for key, value in self.headers.items() if key.lower() != "content-length"}
            connection.request(self.command, self.path, body=body or None, headers=headers)
            answer = connection.getresponse()
            found = {key: answer.headers[key] for key in _TOLD if key in answer.headers}
            content = answer.read()
            connection.close()
            return answer.status, found, content

        def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = handle_any  # noqa: N815 (this and the next are what the library calls)
        do_PUT = handle_any  # noqa: N815
        do_POST = handle_any  # noqa: N815
        do_HEAD = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        proxy = BulkProxy(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield proxy
        server.shutdown()
