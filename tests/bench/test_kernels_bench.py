"""The rows of suites/kernels.py: a kernel and those who do the same in one group.

``PYBENCH_BENCH_SCALE`` makes the workloads smaller; at 1 they are those of the targets.
"""

import os

import pytest
import torch

from pybench.performance.kernels import GOAL, THREADS, Workload, select

SCALE = float(os.environ.get("PYBENCH_BENCH_SCALE", "1"))
OURS, PEER = 0, 1


def _parameter(workload: Workload, side: int):
    group = f"{workload.kernel}: {workload.workload}"
    who = workload.peer if side == PEER else "pybench"
    if side == PEER and workload.repeats > 1:
        who += f", 1 of {workload.repeats} parts"
    return pytest.param(
        workload, side, id=f"{group}: {who}", marks=pytest.mark.benchmark(group=group)
    )


SIDES = [
    *(_parameter(workload, OURS) for workload in select()),
    *(_parameter(workload, PEER) for workload in select(peers=True) if workload.peer != GOAL),
]


@pytest.mark.parametrize(("workload", "side"), SIDES)
def test_kernel(benchmark, monkeypatch, workload, side):
    monkeypatch.setenv("PYBENCH_THREADS", str(THREADS))
    torch.set_num_threads(THREADS)
    size = workload.size if workload.fixed else max(1, round(workload.size * SCALE))
    benchmark.extra_info |= {"size": size, "target": workload.target, "threads": THREADS}
    call = workload.make(size)[side]
    call()
    benchmark(call)
