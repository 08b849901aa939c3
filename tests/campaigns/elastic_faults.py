"""Asks a store in Elasticsearch while something goes wrong, and compares what it says with plain Python.

A real cluster of two nodes behind proxies with faults. Each time one fault strikes at a random request of a count, of
an evaluation that is committed, or of tallies that are stored. What comes of it must be right for the messages as they
were before or as they are after; or the store is unavailable, with a reason. One wrong number ends the campaign.

    python tests/campaigns/elastic_faults.py --faults 500 --seed 1
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for place in ("tests/elastic", "tests/campaigns", "."):  # as pytest has them
    sys.path.insert(0, str(ROOT / place))

from fault_kinds import KINDS, Strike  # noqa: E402 (the path comes first)
from fault_proxy import FaultProxy, Plan  # noqa: E402 (as above)
from fault_tasks import Found, Task, tasks  # noqa: E402 (as above)
from fault_world import SCENES, State, World, world  # noqa: E402 (as above)

from config.models import ElasticsearchStore  # noqa: E402 (as above)
from logviews.elastic.client import connect  # noqa: E402 (as above)
from logviews.elastic.store import Elastic  # noqa: E402 (as above)

PAGE = 9
"""Groups in an answer: few, so that there are many pages to strike between."""


@dataclass(frozen=True)
class Outcome:
    """What came of one fault."""

    kind: str
    task: str
    struck: bool
    reason: str | None  # why the store was unavailable; None where the answer was right


@contextmanager
def proxies(there: World, plan: Plan) -> Iterator[Sequence[FaultProxy]]:
    """A proxy in front of each node, with one plan for both."""
    one, other = (FaultProxy(url, plan) for url in there.cluster.urls)
    with one, other:
        yield one, other


def store(index: Sequence[str], between: Sequence[FaultProxy], *, slow: bool, stalls: bool) -> Elastic:
    """The store that is asked, through the proxies."""
    settings = ElasticsearchStore.model_validate({
        "type": "elasticsearch", "hosts": [proxy.url for proxy in between], "index": list(index),
        "fields": {"time": "time", "customer": "customer", "id": "id"}, "timeout": "1s" if stalls else "60s",
    })  # fmt: skip
    session = connect("logs", settings)
    waited = 0.0

    def pause(seconds: float) -> None:
        """Time that passes only here; where something has to come back, some of it really passes."""
        nonlocal waited
        waited += seconds
        if slow:
            time.sleep(seconds / 6)

    session.pause, session.clock = pause, lambda: waited
    return Elastic("logs", settings, session, PAGE)


def requests_of(there: World, task: Task, index: Sequence[str]) -> int:
    """How many requests a question takes when nothing goes wrong; that it is answered rightly then."""
    with proxies(there, lambda _: None) as between:
        asked = store(index, between, slow=False, stalls=False)
        found = task.ask(asked)
        asked.session.close()
        state = there.state(index)
        assert state is not None
        assert found.problem is None, found.problem
        assert task.right(found, [state]), f"wrong without any fault: {task.name}"
        return sum(len(proxy.seen) for proxy in between)


def strike(there: World, dice: random.Random, folder: Path, known: dict[tuple[str, str], int], name: str) -> Outcome:
    """One fault in one question, chosen by chance. `known` says how many requests each question takes.

    Raises:
        AssertionError: when a number is wrong.
    """
    scene = dice.choice(list(SCENES))
    index, task = SCENES[scene], tasks(dice, folder)
    if (task.name, scene) not in known:
        known[task.name, scene] = requests_of(there, task, index)
        task = tasks_again(task, dice, folder)
    before = there.state(index)
    fault = KINDS[name][0](there, dice, known[task.name, scene])
    try:
        with proxies(there, fault.plan) as between:
            found, faults = _ask(there, task, index, between, fault, stalls="stall" in name)
    finally:
        fault.after()
    legitimate: list[State] = [state for state in (before, there.state(index)) if state is not None]
    assert found.problem is not None or task.right(found, legitimate), f"{name}, {scene}, {task.name}: WRONG"
    if task.name.startswith("tallies"):  # what was stored before the fault is kept, and must be right as well
        assert task.right(found, legitimate), f"{name}, {scene}, {task.name}: WRONG IN THE LEDGER"
    assert found.problem is None or found.problem.startswith(("store logs", "view ")), found.problem
    there.restore()
    return Outcome(name, task.name, faults > 0, found.problem)


def tasks_again(task: Task, dice: random.Random, folder: Path) -> Task:
    """The same kind of question with a ledger of its own."""
    while True:
        found = tasks(dice, folder)
        if found.name == task.name:
            return found


def _ask(
    there: World, task: Task, index: Sequence[str], between: Sequence[FaultProxy], fault: Strike, *, stalls: bool
) -> tuple[Found, int]:
    asked = store(index, between, slow=fault.slow, stalls=stalls)
    try:
        return task.ask(asked), sum(proxy.faults for proxy in between)
    finally:
        asked.session.close()


def campaign(there: World, folder: Path, number: int, seed: int) -> list[Outcome]:
    """So many faults by chance. Raises AssertionError for the first wrong number."""
    dice = random.Random(seed)
    names = dice.choices(list(KINDS), [weight for _, weight in KINDS.values()], k=number)
    return strikes(there, folder, names, dice)


def strikes(there: World, folder: Path, names: Sequence[str], dice: random.Random) -> list[Outcome]:
    """These faults, one after the other. Raises AssertionError for the first wrong number."""
    outcomes: list[Outcome] = []
    known: dict[tuple[str, str], int] = {}
    for name in names:
        outcome = strike(there, dice, folder, known, name)
        while not outcome.struck:  # it came too late, or chance spared the question
            outcome = strike(there, dice, folder, known, name)
        outcomes.append(outcome)
        if len(outcomes) % 10 == 0:
            print(f"{len(outcomes)} of {len(names)}", file=sys.stderr, flush=True)
    return outcomes


def table(outcomes: Sequence[Outcome]) -> str:
    """Faults and what came of them."""
    lines = [f"{'fault':45} {'struck':>7} {'right':>7} {'unavailable':>12} {'wrong':>6}"]
    for kind in [*KINDS, None]:
        of = [outcome for outcome in outcomes if kind in (outcome.kind, None)]
        unavailable = sum(outcome.reason is not None for outcome in of)
        if of:
            lines.append(f"{kind or 'all':45} {len(of):7} {len(of) - unavailable:7} {unavailable:12} {0:6}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--faults", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reasons", action="store_true", help="also why the store was unavailable")
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, world(options.seed) as there:
        outcomes = campaign(there, Path(folder), options.faults, options.seed)
    print(table(outcomes))
    print(f"{len(outcomes)} faults in {time.perf_counter() - started:.0f} s, and not one wrong number")
    if options.reasons:
        for (kind, reason), number in Counter((one.kind, one.reason) for one in outcomes if one.reason).most_common():
            print(f"{number:4}  {kind}: {reason}")


if __name__ == "__main__":
    main()
