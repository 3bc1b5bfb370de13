"""Time and peak memory of each kernel, on the calls that ``make asv`` has recorded.

The environments of asv have no torch to make the workloads with. A recording is the same for all
commits; what it must not be is another under the same name, so sizes come from the committed
baseline of the instruction gate.
"""

import json
import os
import runpy
from pathlib import Path
from typing import Any

# A history of one thread says what the code does, not what else the machine did.
os.environ.setdefault("PYBENCH_THREADS", "1")

ROOT = Path(__file__).parents[3]
CALLS = ROOT / "results" / "asv" / "calls"
INDEX = CALLS / "index.json"
ROWS: dict[str, str] = json.loads(INDEX.read_text()) if INDEX.exists() else {}

load = runpy.run_path(str(ROOT / "pybench" / "performance" / "replay.py"))["load"]


class Kernels:
    version = "1"
    param_names = ("row",)
    params = (list(ROWS),)

    def setup(self, row: str) -> None:
        try:
            self.calls = load(CALLS / ROWS[row])
        except AttributeError as error:
            msg = "this commit has no such kernel"
            raise NotImplementedError(msg) from error

    def time_kernel(self, row: str) -> None:
        for call in self.calls:
            call()

    def peakmem_kernel(self, row: str) -> Any:
        return [call() for call in self.calls]
