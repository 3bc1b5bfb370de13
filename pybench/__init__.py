"""pybench: which loss, which sampler, on which imbalanced visual task, and is it real?

Importing this package is cheap: nothing heavy is loaded before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pybench import core as core
    from pybench import stats as stats
    from pybench import tasks as tasks
    from pybench import video as video
    from pybench.losses import loss as loss
    from pybench.metrics import metric as metric
    from pybench.samplers import sampler as sampler
    from pybench.store import results as results
    from pybench.train import run_trial as run_trial
    from pybench.transforms import transform as transform
    from pybench.trial import Budget as Budget
    from pybench.trial import Split as Split
    from pybench.trial import Trial as Trial
    from pybench.types import LossContext as LossContext
    from pybench.types import SampleContext as SampleContext

_HOME = {
    "core": "pybench.core",
    "stats": "pybench.stats",
    "video": "pybench.video",
    "loss": "pybench.losses:loss",
    "sampler": "pybench.samplers:sampler",
    "transform": "pybench.transforms:transform",
    "metric": "pybench.metrics:metric",
    "results": "pybench.store:results",
    "tasks": "pybench.tasks",
    "run_trial": "pybench.train:run_trial",
    "Budget": "pybench.trial:Budget",
    "Split": "pybench.trial:Split",
    "Trial": "pybench.trial:Trial",
    "LossContext": "pybench.types:LossContext",
    "SampleContext": "pybench.types:SampleContext",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        msg = f"module 'pybench' has no attribute {name!r}; it has {', '.join(sorted(_HOME))}"
        raise AttributeError(msg)
    module, _, attribute = _HOME[name].partition(":")
    loaded = importlib.import_module(module)
    value = getattr(loaded, attribute) if attribute else loaded
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
