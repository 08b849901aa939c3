"""A proxy in front of a real Elasticsearch that does to its answers what networks, proxies and sick servers do."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

_HOP_BY_HOP: Final = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"}


@dataclass
class Exchange:
    """One request, and the real server's answer to it, both unpacked. `packed`: the request came compressed."""

    method: str
    path: str
    body: bytes
    headers: Mapping[str, str]
    packed: bool = False
    status: int = 0
    answer: bytes = b""
    answer_headers: dict[str, str] = field(default_factory=dict)
    extra_headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_search(self) -> bool:
        """Whether this is a search in a point in time."""
        return self.path.partition("?")[0].endswith("/_search")

    @property
    def opens(self) -> bool:
        """Whether this opens a point in time."""
        return self.method == "POST" and self.path.partition("?")[0].endswith("/_pit")

    def json(self) -> Any:
        """The request's body."""
        return json.loads(self.body)


class Cut(Exception):  # noqa: N818 (what a fault does, no error of the proxy)
    """The connection ends here."""


Fault = Callable[["FaultProxy", Exchange, "Handler"], bool]
"""What a fault does to one exchange, before it is passed on. True: it has answered, and nothing more is to be done."""


Plan = Callable[[Exchange], Fault | None]


class FaultProxy:
    """The proxy, in threads of its own. `plan` decides what is done to each request; `seen` are those that came.

    A plan gives a fault or None; it is asked under a lock, in the order in which requests come.
    """

    def __init__(self, server: str, plan: Plan = lambda _: None) -> None:
        self.server = urlsplit(server)
        self.plan = plan
        self.seen: list[Exchange] = []
        self.faults = 0
        self.ending = threading.Event()
        self._lock = threading.Lock()
        self._listener = _Listener(("127.0.0.1", 0), Handler)
        self._listener.proxy = self
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.server_address[1]}"

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ending.set()
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()

    def fault_for(self, exchange: Exchange) -> Fault | None:
        """What the plan says."""
        with self._lock:
            self.seen.append(exchange)
            found = self.plan(exchange)
            self.faults += found is not None
            return found

    def pass_on(self, exchange: Exchange) -> None:
        """Asks the real server; its answer is put into the exchange."""
        assert self.server.hostname is not None
        connection = http.client.HTTPConnection(self.server.hostname, self.server.port, timeout=120)
        headers = {key: value for key, value in exchange.headers.items() if key.lower() not in ("host", "connection")}
        try:
            connection.request(exchange.method, exchange.path, exchange.body or None, headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            raise Cut from None  # the server is gone, and so is the connection through us
        finally:
            connection.close()
        exchange.status = answer.status
        exchange.answer = gzip.decompress(body) if answer.headers.get("content-encoding") == "gzip" else body
        exchange.answer_headers = {
            key: value for key, value in answer.headers.items() if key.lower() not in _HOP_BY_HOP
        }

    def ask(self, method: str, path: str, body: Any) -> None:
        """A request of the proxy's own."""
        assert self.server.hostname is not None
        connection = http.client.HTTPConnection(self.server.hostname, self.server.port, timeout=60)
        connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        connection.getresponse().read()
        connection.close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    proxy: FaultProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for the client's acknowledgement of its headers
    server: _Listener

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's name)
        """Says nothing."""

    def _serve(self) -> None:
        proxy = self.server.proxy
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        packed = self.headers.get("Content-Encoding") == "gzip"
        if packed:
            body = gzip.decompress(body)
            del self.headers["Content-Encoding"]
        headers = {key: value for key, value in self.headers.items() if key.lower() != "content-length"}
        exchange = Exchange(self.command, self.path, body, headers, packed)
        fault = proxy.fault_for(exchange)
        try:
            if fault is not None and fault(proxy, exchange, self):
                return
            proxy.pass_on(exchange)
            self.reply_with_length(exchange, len(exchange.answer), exchange.answer)
        except Cut:
            self._reset()
        except OSError:
            self.close_connection = True  # the client has not waited

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815 (the library's names)

    def reply(self, code: int, headers: Mapping[str, str], body: bytes) -> None:
        """Sends an answer of our own."""
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def reply_with_length(self, exchange: Exchange, length: int, body: bytes) -> None:
        """Sends the real server's headers, a length, and a body that may not have it."""
        self.send_response_only(exchange.status)
        for key, value in (exchange.answer_headers | exchange.extra_headers).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _reset(self) -> None:
        """Ends the connection as a machine does that is switched off: with a reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
