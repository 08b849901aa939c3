"""Measuring in one run: each task in a process of its own, its time and its memory, and the figures as a table."""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """Wall seconds of each round, the peak memory of the process in MB, and what the task returned."""

    seconds: tuple[float, ...]
    peak_mb: int
    result: object

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def measure(task: Callable[[], object], rounds: int = 1, warm: int = 0) -> Measured:
    """Runs a task in a forked process of its own, so that its memory is its own."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sending, task, rounds, warm))
    process.start()
    sending.close()
    found: Measured = receiving.recv()
    process.join()
    if process.exitcode:
        raise SystemExit(f"a measured process ended with {process.exitcode}")
    return found


def measure_in_turn(tasks: dict[str, Callable[[], object]], rounds: int, warm: int = 0) -> dict[str, Measured]:
    """Runs tasks in turn, round by round, so that a machine that slows down slows all of them."""
    found: dict[str, list[Measured]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            found[name].append(measure(task, warm=warm))
    return {
        name: Measured(tuple(one.seconds[0] for one in runs), max(one.peak_mb for one in runs), runs[-1].result)
        for name, runs in found.items()
    }


def ratio(own: Measured, base: Measured) -> str:
    """How many times as long a task takes: the median over the rounds, for tasks that were measured in turn."""
    pairs = zip(own.seconds, base.seconds, strict=True)
    return f"{statistics.median(ours / theirs for ours, theirs in pairs):.2f}x"


def _child(sending: object, task: Callable[[], object], rounds: int, warm: int) -> None:
    result: object = None
    for _ in range(warm):
        result = task()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        result = task()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sending.send(Measured(tuple(seconds), peak, result))  # type: ignore[attr-defined]  # a Connection


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints a table in Markdown."""
    print(f"\n{title}\n")
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
