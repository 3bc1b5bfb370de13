"""Grids of 6 cells; a cell with an object carries the pattern of its class and a box."""

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
class ToyBoxes(toy.ToyTask):
    """Background and two object classes; scored by the share of cells classified right."""

    meta: ClassVar[TaskMeta] = toy.meta(
        "toy boxes", "boxes", "cells", 'toy_net(shape="boxes")', ("cells",)
    )

    def load(self, ref: DataRef, split: Split, model: str, cache: Path) -> Dataset:
        random, samples = toy.rng("boxes"), len(toy.labels())
        cells = random.choice(3, size=(samples, 6), p=[0.8, 0.15, 0.05]).astype(np.int64)
        means = random.normal(size=(3, 10))
        inputs = (means[cells] + 0.7 * random.normal(size=(samples, 6, 10))).astype(np.float32)
        corner = np.stack([inputs[..., 0], inputs[..., 1]], -1)
        boxes = np.concatenate([corner, corner + 2], -1).astype(np.float32)
        classes = ("background", "person", "pet")
        return Dataset("boxes", classes, inputs, cells, toy.splits(), boxes=boxes)

    def score(self, predictions: pl.DataFrame, dataset: Dataset) -> list[dict[str, Any]]:
        guess = np.array(predictions["logits"].to_list()).argmax(-1)
        truth = np.array(predictions["label"].to_list())
        return [
            {
                "split": "test/balanced",
                "metric": "cells",
                "class": "",
                "value": float((guess == truth).mean()),
                "unit": "",
                "higher_is_better": True,
                "n": truth.size,
            }
        ]
