"""Processes of our own, started clean: neither threads nor the user's main module come along."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes for work that needs no torch.

    They are spawned, not forked from the server that trials are forked from: that server loads
    torch once, when it starts, and must not be started by somebody who does not ask for it.
    """
    context = multiprocessing.get_context("spawn")
    with main_hidden(), ProcessPoolExecutor(workers, context, end_with_the_parent) as found:
        yield found


def end_with_the_parent() -> None:
    """Let this process end when the one that started it is gone, however that one ended."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def main_hidden() -> Iterator[None]:
    """Keep multiprocessing from running the user's main module again in each new process."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
