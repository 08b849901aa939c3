"""What the demo's messages look like: services, methods, paths, and kinds of message beside the billable calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SERVICES: Final = ("public-api", "console")
METHODS: Final = ("GET", "POST", "PUT", "DELETE")
PATHS: Final = (
    "/v1/orders/", "/v1/customers/", "/v1/products/", "/v1/invoices/", "/v1/shipments/", "/v1/orders", "/v1/search",
    "/v1/prices", "/v1/health", "/v1/ready", "/v0/orders/",
)  # fmt: skip
"""What ends with a slash is followed by a number."""
_USUAL_PATHS: Final = (0.3, 0.2, 0.15, 0.08, 0.07, 0.08, 0.08, 0.04, 0.0, 0.0, 0.0)
_USUAL_METHODS: Final = (0.72, 0.28, 0.0, 0.0)
PRO_METHODS: Final = (0.68, 0.27, 0.03, 0.02)
"""Of billable calls on Pro, where whatever succeeds is billed."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of message: how many there are for each billable call, and what they look like."""

    rate: float
    service: int = 0
    methods: tuple[float, ...] = _USUAL_METHODS
    statuses: tuple[int, ...] = (200, 200, 200, 200, 201, 204)
    paths: tuple[float, ...] = _USUAL_PATHS
    tiers: tuple[str, ...] = ("basic", "pro")


BILLABLE: Final = 0
KINDS: Final = (
    Kind(1.0),
    Kind(0.03, statuses=(400, 401, 404, 404, 409, 429, 500, 503)),
    Kind(0.01, methods=(1, 0, 0, 0), statuses=(200,), paths=(*(0.0,) * 8, 0.7, 0.3, 0.0)),
    Kind(0.006, methods=(0, 0, 0, 1), statuses=(204,), paths=(0.6, 0.4, *(0.0,) * 9), tiers=("basic",)),
    Kind(0.008, service=1, methods=(1, 0, 0, 0), statuses=(200, 304)),
    Kind(0.004, methods=(1, 0, 0, 0), statuses=(200,), paths=(*(0.0,) * 10, 1.0)),
)
"""Billable calls first; then failures, health checks, removals, another service, and an older version of the API."""
