"""The demo's messages: rows of numbers, a column an array, until they are written as logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Messages:
    """Rows of messages, one array a column, in the order of their arrival. Times are milliseconds since 1970.

    `caller` is an index into `Month.callers`; `number` ends the path, where the path wants one.
    """

    arrival: Integers
    time: Integers
    serial: Integers
    caller: Integers
    service: Integers
    method: Integers
    status: Integers
    path: Integers
    number: Integers
    size: Integers

    def __len__(self) -> int:
        return len(self.time)

    def of(self, rows: NDArray[np.generic]) -> Messages:
        """The rows of a mask or an index."""
        return Messages(*(getattr(self, field.name)[rows] for field in fields(self)))


def joined(several: Sequence[Messages]) -> Messages:
    """All rows, one after another."""
    return Messages(*(np.concatenate([getattr(one, field.name) for one in several]) for field in fields(Messages)))
