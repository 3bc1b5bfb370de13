"""Bags of 8 snippets; in an abnormal bag two snippets carry the pattern of the class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from pybench.tasks import DataRef, Dataset, TaskMeta
from pybench.trial import Split
from tests.plugins import toy


@dataclass(frozen=True)
class ToyBags(toy.ToyTask):
    """Two abnormal classes and a normal one; scored by how often abnormal bags score higher."""

    meta: ClassVar[TaskMeta] = toy.meta(
        "toy bags", "bags", "features", 'toy_net(shape="bags")', ("auc",)
    )

    def load(self, ref: DataRef, split: Split, model: str, cache: Path) -> Dataset:
        truth = 2 - toy.labels()
        snippets = toy.rng("bags").normal(size=(len(truth), 8, 12)).astype(np.float32)
        snippets[:, 3:5] += np.where(truth[:, None, None] < 2, 2.0, 0.0)
        snippets[:, 3:5, :6] += np.where(truth[:, None, None] == 1, 1.0, 0.0)
        return Dataset("bags", ("theft", "crash", "normal"), snippets, truth, toy.splits())

    def score(self, predictions: pl.DataFrame, dataset: Dataset) -> list[dict[str, Any]]:
        peak = predictions["scores"].list.max().to_numpy()
        abnormal = predictions["label"].to_numpy() < 2
        wins = (peak[abnormal][:, None] > peak[~abnormal]).mean()
        return [
            {
                "split": "test/balanced",
                "metric": "auc",
                "class": "",
                "value": float(wins),
                "unit": "",
                "higher_is_better": True,
                "n": len(predictions),
            }
        ]
