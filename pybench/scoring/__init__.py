"""From stored predictions to metric rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pybench.metrics import metrics

if TYPE_CHECKING:
    import polars as pl

    from pybench.tasks import Dataset


def softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(N, C) logits -> probabilities, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def score_classes(
    predictions: pl.DataFrame, dataset: Dataset, names: Sequence[str]
) -> list[dict[str, Any]]:
    """Score class predictions on every evaluation part.

    Args:
        predictions: columns ``sample``, ``label``, ``logits``.
        dataset: gives the parts and the class names.
        names: metric specs. One that ``reads_counts`` is told the training samples per class.
    """
    samples = predictions["sample"].to_numpy()
    labels = predictions["label"].to_numpy()
    scores = softmax(np.stack(predictions["logits"].to_list()).astype(np.float64))
    counts = dataset.counts(dataset.splits["train"])
    rows = []
    for part, indices in dataset.parts().items():
        inside = np.isin(samples, indices)
        sizes = {"": int(inside.sum())}
        for number, of in enumerate(dataset.classes):
            sizes[of] = int((labels[inside] == number).sum())
        for name in names:
            metric = metrics.build(name)
            told: dict[str, Any] = {"classes": dataset.classes}
            if getattr(metric, "reads_counts", False):
                told["counts"] = counts
            values = metric(labels[inside], scores[inside], **told)
            rows += [
                {
                    "split": part,
                    "metric": name,
                    "class": of,
                    "value": value,
                    "unit": metric.unit,
                    "higher_is_better": metric.higher_is_better,
                    "n": sizes.get(of, sizes[""]),  # a group of classes has no size of its own
                }
                for of, value in values.items()
            ]
    return rows
