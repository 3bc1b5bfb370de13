"""The calls that the workloads make of the core, kept so that they can be made again elsewhere.

Making a workload takes torch and scikit-learn, which under valgrind load for minutes and which the
environments of asv do not have. A recorded call is a pickle of plain arrays:
``pybench.performance.replay`` makes it again with numpy and the core alone, those of another
revision included.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pybench import core
from pybench.performance.kernels import Workload

Row = tuple[str, str]
"""A kernel and what it works on."""


@dataclass(frozen=True)
class Recording:
    """What one workload asks of the core.

    Fields:
        kernel, workload: name of the row.
        size: what the workload was made with.
        calls: pickles of (kernel, arguments, keywords), in the order of the calls.
    """

    kernel: str
    workload: str
    size: int
    calls: tuple[bytes, ...]

    @property
    def row(self) -> Row:
        """What the row is found by."""
        return self.kernel, self.workload

    def write(self, path: Path) -> None:
        """Store the calls as ``pybench.performance.replay`` reads them."""
        path.write_bytes(b"".join(self.calls))


def record(
    workloads: Iterable[Workload], sizes: Mapping[Row, int], limit_s: float
) -> Iterator[Recording]:
    """Record each workload, at its size of ``sizes`` or else at one that takes up to ``limit_s``.

    A workload that asks nothing of the core, only of a library, gives no recording.
    """
    for workload in workloads:
        size = sizes.get((workload.kernel, workload.workload)) or fitting(workload, limit_s)
        calls = recorded(workload.make(size)[0])
        if calls:
            yield Recording(workload.kernel, workload.workload, size, calls)


def fitting(workload: Workload, limit_s: float) -> int:
    """The largest power of ten whose call takes at most ``limit_s``; fixed sizes stay as they are.

    Sizes are tried from small to large, so that nothing much larger is ever made.
    """
    if workload.fixed:
        return workload.size
    best = size = min(10, workload.size)
    while size <= workload.size:
        call = workload.make(size)[0]
        call()
        if min(_seconds(call) for _ in range(3)) > limit_s:
            break
        best, size = size, 10 * size
    return best


def recorded(ours: Callable[[], Any]) -> tuple[bytes, ...]:
    """The calls of the core that ``ours`` makes, with what their arguments held before the call."""
    calls: list[bytes] = []
    with contextlib.ExitStack() as stack:
        for name in core.__all__:
            kernel = getattr(core, name)
            setattr(core, name, _noting(name, kernel, calls))
            stack.callback(setattr, core, name, kernel)
        ours()
    return tuple(calls)


def _noting(name: str, kernel: Callable[..., Any], calls: list[bytes]) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        calls.append(pickle.dumps((name, _plain(arguments), _plain(keywords))))
        return kernel(*arguments, **keywords)

    return call


def _plain(value: Any) -> Any:
    """The same without tensors, whose pickles would want torch."""
    if isinstance(value, tuple | list):
        return type(value)(_plain(item) for item in value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return np.asarray(value) if hasattr(value, "__array__") else value


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Write the recordings of all workloads to a folder, for asv: ``python -m ... FOLDER``."""
    from pybench.performance import gate
    from pybench.performance.kernels import select

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    sizes = gate.sizes(gate.read(gate.baselines_file()))
    index = {}
    for number, recording in enumerate(record(select(), sizes, gate.LIMIT_S)):
        name = f"{number}.calls"
        recording.write(folder / name)
        index[f"{recording.kernel}: {recording.workload}, n={recording.size}"] = name
    (folder / "index.json").write_text(json.dumps(index, indent=1))


if __name__ == "__main__":
    main()
