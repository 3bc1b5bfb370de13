"""The Rust kernels timed beside what people use instead of them."""

from __future__ import annotations

import ast
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

THREADS = min(2, os.cpu_count() or 1)
"""Threads of either side, where it can use them."""

Call = Callable[[], Any]
Pair = tuple[Call, Call | float]
"""Our call and the peer's on the same data, or the seconds that ours may take."""

GOAL = "goal"
"""The peer of a row that compares with a number of seconds."""

# A timing is of as many calls as take this long, so that the clock does not matter.
_LEAST_S = 0.002


@dataclass(frozen=True)
class Workload:
    """One row: a kernel, what it works on, who else does it and how much faster it must be.

    Fields:
        target: Smallest ratio of the peer's time to ours.
        size: What ``make`` is called with, times the scale unless it is ``fixed``.
        repeats: How many calls of a slow peer make one of ours.
    """

    kernel: str
    workload: str
    peer: str
    target: float
    size: int
    make: Callable[[int], Pair]
    fixed: bool = False
    repeats: int = 1


def summaries() -> dict[str, str]:
    """What each kernel does, in one line of its reference."""
    from pybench import core

    stub = Path(__file__).parents[1] / "_core.pyi"
    reference = ast.parse(stub.read_text(encoding="utf-8"))
    docs = {
        node.name: ast.get_docstring(node) or ""
        for node in reference.body
        if isinstance(node, ast.FunctionDef)
    }
    return {name: docs[name].partition("\n")[0] for name in core.__all__}


def measure(
    kernels: Iterable[str], *, peers: bool, rounds: int = 7, scale: float = 1.0
) -> Iterator[dict[str, Any]]:
    """Time the workloads of some kernels, or of all, one after another.

    Rounds of us and the peer are interleaved, and who begins alternates. Times are medians after a
    warm-up, their spread half the interquartile range as a share; the ratio is the median over
    rounds, its limits order statistics with 95 % or more.

    Args:
        kernels: Names; none stands for all.
        peers: Whether the peers run too.
        rounds: Timings of each, >= 7.
        scale: Factor on the sizes, for slow or small machines; in (0, 1].

    Yields:
        One row, in milliseconds for one call; without peers their fields are None.

    Raises:
        LookupError: A kernel has no workload.
    """
    # Read when the first kernel that is long enough starts the pool.
    os.environ.setdefault("PYBENCH_THREADS", str(THREADS))
    import torch

    torch.set_num_threads(THREADS)
    for workload in select(kernels, peers=peers):
        yield _row(workload, peers, rounds, scale)


def select(kernels: Iterable[str] = (), *, peers: bool = False) -> list[Workload]:
    """The workloads of some kernels, or of all; without ``peers`` each once, whoever the peer is.

    Raises:
        LookupError: A kernel has no workload.
    """
    import runpy

    from pybench.suite import folder

    workloads: list[Workload] = runpy.run_path(str(folder() / "kernels.py"))["workloads"]
    chosen, known = set(kernels), {workload.kernel for workload in workloads}
    if unknown := sorted(chosen - known):
        msg = f"kernel must be one of {', '.join(sorted(known))}, got {unknown[0]!r}"
        raise LookupError(msg)
    wanted = [workload for workload in workloads if not chosen or workload.kernel in chosen]
    if peers:
        return wanted
    once: dict[tuple[str, str], Workload] = {}
    for workload in wanted:
        once.setdefault((workload.kernel, workload.workload), workload)
    return list(once.values())


def _row(workload: Workload, peers: bool, rounds: int, scale: float) -> dict[str, Any]:
    size = workload.size if workload.fixed else max(1, round(workload.size * scale))
    calls = workload.make(size)[: 2 if peers else 1]
    numbers = [_calls(call) for call in calls]
    times: list[list[float]] = [[] for _ in calls]
    for number in range(rounds):
        for turn in range(len(calls)):
            side = (number + turn) % len(calls)
            times[side].append(_seconds(calls[side], numbers[side]))
    row: dict[str, Any] = {
        "kernel": workload.kernel,
        "workload": workload.workload,
        "peer": None,
        "peer_version": None,
        "ours_ms": 1e3 * median(times[0]),
        "ours_spread": spread(times[0]),
        "peer_ms": None,
        "peer_spread": None,
        "ratio": None,
        "ratio_low": None,
        "ratio_high": None,
        "target": workload.target,
        "size": size,
        "scale": scale,
        "rounds": rounds,
        "threads": int(os.environ["PYBENCH_THREADS"]),
    }
    if peers:
        times[1] = [workload.repeats * seconds for seconds in times[1]]
        ratios = sorted(theirs / ours for ours, theirs in zip(*times, strict=True))
        outside = _outside(rounds)
        row |= {
            "peer": workload.peer,
            "peer_version": _version(workload.peer),
            "peer_ms": 1e3 * median(times[1]),
            "peer_spread": spread(times[1]),
            "ratio": median(ratios),
            "ratio_low": ratios[outside],
            "ratio_high": ratios[-1 - outside],
        }
    return row


def spread(times: Sequence[float]) -> float:
    """Half of the range that holds the middle half of the times, as a share of their median.

    >>> spread([10.0, 9.0, 11.0, 10.0, 30.0])
    0.05
    """
    low, _, high = quantiles(times, n=4, method="inclusive")
    return (high - low) / 2 / median(times)


def _version(peer: str) -> str | None:
    return None if peer == GOAL else version(peer.partition(" ")[0].partition(".")[0])


def _calls(call: Call | float) -> int:
    """Warm up, and say how many calls one timing takes."""
    number = 1
    if isinstance(call, float):
        return number
    call()
    while _seconds(call, number) * number < _LEAST_S:
        number *= 2
    return number


def _seconds(call: Call | float, number: int) -> float:
    """Seconds of one call, the mean of some in a row."""
    if isinstance(call, float):
        return call
    start = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - start) / number


def _outside(rounds: int) -> int:
    """Order statistics to leave out at each end for limits of a median with 95 % coverage.

    >>> [_outside(rounds) for rounds in (7, 9, 15)]
    [0, 1, 3]
    """
    from scipy.stats import binom

    return int(binom.ppf(0.025, rounds, 0.5)) - 1
