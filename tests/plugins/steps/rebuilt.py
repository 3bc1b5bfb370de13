"""The network's own logits, computed again from what a step is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from pybench.steps import Finished, Stored


@dataclass(frozen=True)
class Rebuilt:
    """Features times weights; refuses to be shown a test label."""

    needs: ClassVar[frozenset[Stored]] = frozenset({"features", "weights"})
    source: ClassVar[str] = "made for the tests"

    def apply(self, finished: Finished) -> pl.DataFrame:
        test = finished.predictions.filter(split="test")
        if test["label"].null_count() < len(test):
            msg = "labels must be hidden on the test split, got some"
            raise ValueError(msg)
        arrays = finished.arrays
        counts = pl.Series(arrays["train_labels"]).value_counts(sort=True)["count"].to_list()
        if counts != sorted(finished.counts.tolist(), reverse=True):
            msg = f"train_labels must be as counted, got {counts}"
            raise ValueError(msg)
        return finished.with_logits(
            arrays["features"] @ arrays["head_weight"].T + arrays["head_bias"]
        )
