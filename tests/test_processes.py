"""Processes of a pool live no longer than the process that made it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import time
from pybench.processes import pool
from tests.test_processes import pid
with pool(2) as workers:
    print(*workers.map(pid, [0.2, 0.2]), flush=True)
    time.sleep(60)
"""


def pid(seconds: float) -> int:
    """Number of the process that answers, after a while so that both get a share."""
    time.sleep(seconds)
    return os.getpid()


def test_workers_end_when_their_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = {int(word) for word in parent.stdout.readline().split()}
    assert workers
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for _ in range(600):
        if not any(alive(worker) for worker in workers):
            return
        time.sleep(0.1)
    left = {worker for worker in workers if alive(worker)}
    msg = f"workers outlive their parent: {left}"
    raise AssertionError(msg)


def alive(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
