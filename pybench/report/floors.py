"""What is reached without learning, and the baselines to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pybench.metrics import metrics
from pybench.registry import SpecError
from pybench.report.groups import Stored
from pybench.report.words import ADJUSTED
from pybench.tasks import TaskMeta
from pybench.trial import Split

if TYPE_CHECKING:
    import polars as pl

    from pybench.report.leaderboard import Row

PRIOR_DRAWS = 500
"""Random predictions behind the prior floor; its own error is then far below any interval."""


def floors(meta: TaskMeta, done: Sequence[Stored], rows: Sequence[Row]) -> dict[str, float | None]:
    """What is reached without learning, and the two baselines to beat."""
    floors: dict[str, float | None] = {}
    if meta.kind == "classes":
        first: dict[tuple[str, Split], Stored] = {}
        for record in done:
            if "train_counts" in record.facts:
                first.setdefault((record.trial.data, record.trial.split), record)
        found = [_without_learning(meta, record) for record in first.values()]
        for name in ("majority", "prior"):
            values = [f[name] for f in found if f is not None and f[name] is not None]
            if values:
                floors[name] = float(np.mean(np.array(values, dtype=np.float64)))
    for row in rows:
        if row.name in ("ce", ADJUSTED):
            floors.setdefault(row.name, row.mean)
    return floors


def _without_learning(meta: TaskMeta, record: Stored) -> dict[str, float | None] | None:
    """The headline metric of always the largest class, and of draws by the training prior."""
    try:
        metric = metrics.build(meta.headline)
    except SpecError:
        return None  # the task scores this metric itself
    labels = _labels(record.predictions(), meta.headline_split)
    counts = np.asarray(record.facts["train_counts"], dtype=np.float64)
    if not len(labels) or counts.sum() == 0:
        return None
    classes = [str(c) for c in record.facts["classes"]]
    one_hot = np.eye(len(counts))

    def score(guess: NDArray[np.int64]) -> float | None:
        return metric(labels, one_hot[guess], classes=classes)[""]

    rng = np.random.Generator(np.random.Philox(key=0))
    draws = rng.choice(len(counts), size=(PRIOR_DRAWS, len(labels)), p=counts / counts.sum())
    scores = [value for guess in draws if (value := score(guess)) is not None]
    return {
        "majority": score(np.full(len(labels), counts.argmax(), dtype=np.int64)),
        "prior": float(np.mean(scores)) if scores else None,
    }


def _labels(predictions: pl.DataFrame, split: str) -> NDArray[np.int64]:
    import polars as pl

    part, _, subset = split.partition("/")
    inside = predictions.filter(pl.col("split") == part)
    if subset:
        inside = inside.filter(pl.col("subsets").list.contains(subset))
    return inside["label"].to_numpy().astype(np.int64)
