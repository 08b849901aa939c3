"""How long to wait before a request is sent again, and when to stop.

Pauses double and are spread by chance, so that many who were refused together do not come back together
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). Who says how long to wait is obeyed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

FIRST_SECONDS: Final = 0.5
LONGEST_SECONDS: Final = 15.0
BUDGET_SECONDS: Final = 120.0
"""For one request with all its repetitions: a node that restarts, or a storm that passes, is outlasted. A point in
time is kept for longer."""
STRANGER_SECONDS: Final = 10.0
"""The same, where nothing has ever answered: more likely an address is wrong than that a cluster restarts just now."""


@dataclass(slots=True)
class Tries:
    """What one request's repetitions have used up. `pause` and `clock` are in seconds, `chance` is from 0 to 1."""

    pause: Callable[[float], None]
    clock: Callable[[], float]
    chance: Callable[[], float] = random.random
    failed: int = 0
    _pauses: int = 0
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def again(self, *, asked: float | None = None, budget: float = BUDGET_SECONDS, nodes_left: bool = False) -> bool:
        """After a failure: waits and gives True, or gives False when it is time to give up.

        `asked` is how long the server wants to be left alone. It is never asked sooner than that: where the budget does
        not last so long, that is the end. Where a node is left that has not been asked, there is no pause.
        """
        self.failed += 1
        if nodes_left:
            return True
        most = min(LONGEST_SECONDS, FIRST_SECONDS * 2**self._pauses)
        wait = max(most * (0.5 + 0.5 * self.chance()), asked or 0.0)
        if self.clock() - self._began + wait > budget:
            return False
        self._pauses += 1
        self.pause(wait)
        return True
