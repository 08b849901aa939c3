"""What goes wrong while a store in Elasticsearch is asked: each fault as a plan of the proxy."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import faults
from fault_proxy import Exchange, Fault, Plan
from fault_world import World, messages


@dataclass
class Strike:
    """One fault in one question: its plan, and whether it is over when the question is answered, in the background.

    `slow` says that the pauses between tries must be real, because something has to come back meanwhile.
    """

    plan: Plan
    slow: bool = False
    after: Callable[[], None] = lambda: None


Kind = Callable[[World, random.Random, int], Strike]
"""Makes a fault that strikes at one of so many requests."""


def _once(fault: Fault) -> Kind:
    def kind(_world: World, dice: random.Random, requests: int) -> Strike:
        return Strike(_at(dice.randrange(requests), fault))

    return kind


def _at(number: int, *there: Fault) -> Plan:
    return faults.in_order([*[None] * number, *there])


def _storm(*possible: Fault) -> Kind:
    """For a while, and for ever now and then, requests meet one of these with some probability."""

    def kind(_world: World, dice: random.Random, requests: int) -> Strike:
        first, often = dice.randrange(requests), dice.choice([0.3, 0.6, 0.9, 1.0])
        last = first + (10_000 if dice.random() < 0.15 else dice.randrange(1, 30))
        seen = 0

        def plan(_: Exchange) -> Fault | None:
            nonlocal seen
            seen += 1
            return dice.choice(possible) if first < seen <= last and dice.random() < often else None

        return Strike(plan)

    return kind


def _meanwhile(act: Callable[[World, random.Random], None]) -> Kind:
    """Something is done to the indices before a request is passed on."""

    def kind(world: World, dice: random.Random, requests: int) -> Strike:
        return Strike(_at(dice.randrange(requests), faults.meanwhile(lambda: act(world, dice))))

    return kind


def _lying(_world: World, dice: random.Random, requests: int) -> Strike:
    """A search's answer says that it is not whole, and gives numbers all the same: too small ones."""

    def fewer(said: dict[str, Any]) -> None:
        lies: list[tuple[str, object]] = [("_shards.failed", 1), ("timed_out", True), ("terminated_early", True)]
        path, value = dice.choice(lies)
        target = said
        for key in path.split(".")[:-1]:
            target = target[key]
        target[path.rpartition(".")[2]] = value
        for aggregation in said.get("aggregations", {}).values():
            if "doc_count" in aggregation:
                aggregation["doc_count"] = max(0, aggregation["doc_count"] - 1)
            if isinstance(aggregation.get("buckets"), list):
                aggregation["buckets"] = aggregation["buckets"][1:]

    times = dice.choice([1, 1, 2, 100])
    return Strike(
        faults.in_order([*[None] * dice.randrange(requests), *[faults.altered(fewer)] * times], faults.searches)
    )


def _expired(_world: World, dice: random.Random, requests: int) -> Strike:
    times = dice.choice([1, 1, 2, 100])
    return Strike(faults.in_order([*[None] * dice.randrange(requests), *[faults.expired] * times], faults.searches))


def _stall(_world: World, dice: random.Random, requests: int) -> Strike:
    """A minute, where the client waits for a second: its default is a minute, and a stall of an hour the same."""
    return Strike(_at(dice.randrange(requests), *[faults.stall(60)] * dice.choice([1, 1, 1, 2])))


def _move_shard(world: World, dice: random.Random) -> None:
    """A shard goes to the other node."""
    one = dice.choice([shard for shard in world.shards("api-lone") if shard["state"] == "STARTED"])
    other = next(node.folder.name for node in world.cluster.nodes if node.folder.name != one["node"])
    move = {"index": "api-lone", "shard": int(one["shard"]), "from_node": one["node"], "to_node": other}
    world.admin.options(ignore_status=400).cluster.reroute(commands=[{"move": move}])


def _lose_shard(world: World, dice: random.Random) -> None:
    """A copy of a shard is lost; the other one takes over, and is copied again."""
    one = dice.choice([shard for shard in world.shards("api-copied") if shard["state"] == "STARTED"])
    cancel = {"index": "api-copied", "shard": int(one["shard"]), "node": one["node"], "allow_primary": True}
    world.admin.options(ignore_status=400).cluster.reroute(commands=[{"cancel": cancel}])


def _kill(number: int) -> Kind:
    """A node is killed; it starts again soon, or after the question."""

    def kind(world: World, dice: random.Random, requests: int) -> Strike:
        node = world.cluster.nodes[number]
        soon = dice.random() < 0.6
        threads: list[threading.Thread] = []

        def act() -> None:
            node.kill()
            if soon:
                threads.append(threading.Thread(target=node.start))
                threads[0].start()

        def after() -> None:
            for thread in threads:
                thread.join()
            if node.guard is None:
                node.start()
            node.wait()
            world.settle()

        return Strike(_at(dice.randrange(requests), faults.meanwhile(act)), slow=True, after=after)

    return kind


def _late(world: World, dice: random.Random) -> None:
    name = dice.choice(["api-lone", "api-copied"])
    world.add(name, messages(dice, f"late{dice.randrange(10**9)}-", dice.randrange(1, 30)))


def _roll_over(world: World, dice: random.Random) -> None:
    """The alias gets a new index beside the old one, as after a roll-over, with what comes in after it."""
    world.switch("old-new")


KINDS: Final[Mapping[str, tuple[Kind, float]]] = {
    "a storm of 429": (_storm(faults.status(429), faults.status(429, retry_after="2")), 3),
    "a storm of 502, 503 and 504": (_storm(faults.page(502), faults.page(503), faults.status(504)), 3),
    "a storm of everything": (_storm(faults.status(429), faults.page(503), faults.cut_before, faults.cut_after,
                                     faults.cut_in_the_middle, faults.cut_short, faults.garbage, faults.empty), 3),
    "a connection cut before the answer": (_once(faults.cut_after), 2),
    "a connection cut in the middle of a page": (_once(faults.cut_in_the_middle), 3),
    "an answer cut short": (_storm(faults.cut_short), 3),
    "garbage, or nothing": (_storm(faults.garbage, faults.empty, faults.page(200)), 2),
    "an answer that is not whole": (_lying, 3),
    "a stall of a minute": (_stall, 1.5),
    "an expired point in time": (_expired, 3),
    "an index deleted": (_meanwhile(lambda world, dice: world.delete(dice.choice(["api-lone", "api-copied"]))), 3),
    "an index closed": (_meanwhile(lambda world, dice: world.close("api-copied")), 1.5),
    "late messages": (_meanwhile(_late), 2),
    "messages deleted": (_meanwhile(lambda world, dice: world.remove("api-copied", dice.randrange(1, 99))), 1.5),
    "an alias switched": (_meanwhile(_roll_over), 2.5),
    "an alias switched and its index deleted": (_meanwhile(lambda world, _: world.switch("old-new", drop=True)), 2.5),
    "a shard moved": (_meanwhile(_move_shard), 1.5),
    "a copy of a shard lost": (_meanwhile(_lose_shard), 2.5),
    "a data node killed": (_kill(1), 1),
    "the master killed": (_kill(0), 0.7),
}  # fmt: skip
"""Name -> the fault, and how often it is chosen, against the others."""
