"""Make recorded calls of the core again, in a process that has loaded nothing but numpy and it.

``python replay.py count N`` is what runs under valgrind: each recording here is replayed in forked
children, once by one and twice by the other, so that the difference of their counts is one warm
call. ``python replay.py time`` answers lines of stdin with seconds. The file is run by its path, so
that a revision without it can be timed too, and with ``-P``, for modules beside it are called like
some of the standard library.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

LANES = min(2, os.cpu_count() or 1)
"""Children that run side by side."""

# A timing is of as many calls as take this long, so that the clock does not matter.
_LEAST_S = 0.005


def load(path: Path) -> list[Callable[[], Any]]:
    """The calls of a recording.

    Raises:
        AttributeError: this revision has no such kernel.
    """
    from pybench import core

    calls: list[Callable[[], Any]] = []
    with path.open("rb") as file:
        while file.peek(1):
            name, arguments, keywords = pickle.load(file)
            calls.append(partial(getattr(core, name), *arguments, **keywords))
    return calls


def count(recordings: int) -> None:
    """Replay ``0.calls``, ``1.calls``, ...; a child that ends well leaves ``RECORDING.TIMES.PID``.

    Between two forks nothing is kept, so that no count depends on what was counted before.
    """
    from pybench import core

    # What the first call of a process loads would be most of what is counted.
    core.class_counts([0])
    # A collection in the middle of a call would be counted with it.
    gc.disable()
    lanes = []
    for lane in range(LANES):
        pid = os.fork()
        if not pid:
            for recording in range(lane, recordings, LANES):
                for times in (1, 2):
                    _wait_for_child(recording, times)
            os._exit(0)
        lanes.append(pid)
    for pid in lanes:
        os.waitpid(pid, 0)


def _wait_for_child(recording: int, times: int) -> None:
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    failed = 1
    try:
        calls = load(Path(f"{recording}.calls"))
        for _ in range(times):
            for call in calls:
                call()
        Path(f"{recording}.{times}.{os.getpid()}").touch()
        failed = 0
    finally:
        os._exit(failed)


def answer(requests: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Time the recording that each line names; {"seconds": of one call} or {"absent": why}."""
    loaded: tuple[str, list[Callable[[], Any]], int] = ("", [], 1)
    for request in requests:
        name = request.strip()
        try:
            if loaded[0] != name:
                calls = load(Path(name))
                loaded = (name, calls, _enough(calls))
        except (AttributeError, TypeError) as error:  # no such kernel, or it takes something else
            yield {"absent": str(error)}
            continue
        yield {"seconds": _seconds(*loaded[1:])}


def _enough(calls: list[Callable[[], Any]]) -> int:
    """Warm up, and say how many calls one timing takes."""
    number = 1
    _seconds(calls, number)
    while _seconds(calls, number) * number < _LEAST_S:
        number *= 2
    return number


def _seconds(calls: list[Callable[[], Any]], number: int) -> float:
    start = time.perf_counter()
    for _ in range(number):
        for call in calls:
            call()
    return (time.perf_counter() - start) / number


def main() -> None:
    """Count or time, as the command line says."""
    if sys.argv[1] == "count":
        count(int(sys.argv[2]))
        return
    for reply in answer(iter(sys.stdin.readline, "")):
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
