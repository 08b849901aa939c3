"""What networks, proxies and sick servers do to a request, and which requests they do it to."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from fault_proxy import Cut, Exchange, Fault, FaultProxy, Handler, Plan

_GARBAGE: Final = b'{"took": 3, "timed_out": false, "_shards": {"total": 4, "succ'


def status(code: int, *, retry_after: str | None = None, body: bytes = b"", kind: str = "application/json") -> Fault:
    """The request is answered with this, and does not reach the server."""

    def fault(_proxy: FaultProxy, _exchange: Exchange, handler: Handler) -> bool:
        headers = {"Content-Type": kind, **({} if retry_after is None else {"Retry-After": retry_after})}
        handler.reply(code, headers, body)
        return True

    return fault


def page(code: int) -> Fault:
    """A web page, as a proxy shows it."""
    return status(code, body=b"<html><body>Please wait</body></html>", kind="text/html")


def cut_before(_proxy: FaultProxy, _exchange: Exchange, _handler: Handler) -> bool:
    """The connection is reset before the request reaches the server."""
    raise Cut


def cut_after(proxy: FaultProxy, exchange: Exchange, _handler: Handler) -> bool:
    """The request reaches the server, and its answer does not reach us."""
    proxy.pass_on(exchange)
    raise Cut


def cut_in_the_middle(proxy: FaultProxy, exchange: Exchange, handler: Handler) -> bool:
    """Half of the answer arrives, then the connection is reset."""
    proxy.pass_on(exchange)
    handler.reply_with_length(exchange, len(exchange.answer), exchange.answer[: len(exchange.answer) // 2])
    raise Cut


def cut_short(proxy: FaultProxy, exchange: Exchange, handler: Handler) -> bool:
    """Half of the answer arrives, and its length says that this is all."""
    proxy.pass_on(exchange)
    half = exchange.answer[: len(exchange.answer) // 2]
    handler.reply_with_length(exchange, len(half), half)
    return True


def empty(proxy: FaultProxy, exchange: Exchange, handler: Handler) -> bool:
    """200, and nothing else."""
    proxy.pass_on(exchange)
    handler.reply_with_length(exchange, 0, b"")
    return True


def garbage(proxy: FaultProxy, exchange: Exchange, handler: Handler) -> bool:
    """200, and text that is no JSON."""
    proxy.pass_on(exchange)
    handler.reply_with_length(exchange, len(_GARBAGE), _GARBAGE)
    return True


def stall(seconds: float) -> Fault:
    """Nothing comes for so long; then the true answer does, to whoever still waits."""

    def fault(proxy: FaultProxy, _exchange: Exchange, _handler: Handler) -> bool:
        proxy.ending.wait(seconds)
        return False

    return fault


def altered(change: Callable[[dict[str, Any]], None]) -> Fault:
    """The server lies: its answer arrives, changed."""

    def fault(proxy: FaultProxy, exchange: Exchange, handler: Handler) -> bool:
        proxy.pass_on(exchange)
        said = json.loads(exchange.answer)
        change(said)
        body = json.dumps(said).encode()
        handler.reply_with_length(exchange, len(body), body)
        return True

    return fault


def expired(proxy: FaultProxy, exchange: Exchange, _handler: Handler) -> bool:
    """The point in time is gone when the search arrives."""
    if exchange.is_search:
        proxy.ask("DELETE", "/_pit", {"id": exchange.json()["pit"]["id"]})
    return False


def warned(proxy: FaultProxy, exchange: Exchange, _handler: Handler) -> bool:
    """The server finds the request deprecated, and says so in a header."""
    exchange.extra_headers["Warning"] = '299 Elasticsearch-9.2.8-cdb2d7a "[thing] is deprecated"'
    return False


def meanwhile(act: Callable[[], None]) -> Fault:
    """Something happens to the cluster before the request is passed on."""

    def fault(_proxy: FaultProxy, _exchange: Exchange, _handler: Handler) -> bool:
        act()
        return False

    return fault


def in_order(faults: Sequence[Fault | None], at: Callable[[Exchange], bool] = lambda _: True) -> Plan:
    """A plan: the requests that `at` picks meet these faults, one each; whatever comes after meets none."""
    waiting = list(faults)
    return lambda exchange: waiting.pop(0) if waiting and at(exchange) else None


def always(fault: Fault, at: Callable[[Exchange], bool] = lambda _: True) -> Plan:
    """A plan: every request that `at` picks meets this fault."""
    return lambda exchange: fault if at(exchange) else None


def searches(exchange: Exchange) -> bool:
    """Picks searches in a point in time."""
    return exchange.is_search


def openings(exchange: Exchange) -> bool:
    """Picks requests that open a point in time."""
    return exchange.opens
