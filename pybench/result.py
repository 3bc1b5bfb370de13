"""What a trial gives: the stored predictions are the truth, everything else follows from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl
    from torch import Tensor

    from pybench.trial import Trial


@dataclass(frozen=True, eq=False)
class Result:
    """A finished trial, before it is published.

    Fields:
        trial: what was run.
        metrics: long-form rows {split, metric, class, value, unit, higher_is_better, n}.
        predictions: one row per validation and test sample: ``split``, ``subsets``, ``sample``,
            ``name``, ``label`` and what the model gave (``logits``; ``scores``; ``boxes``).
        curves: one row per epoch: ``epoch``, ``train_loss``, ``val_macro_f1``.
        weights: parameters and buffers of the model (``model.*``) and of the loss (``loss.*``).
        facts: classes, training counts, seconds by phase, gradient norm at step 0, ...
    """

    trial: Trial
    metrics: list[dict[str, Any]]
    predictions: pl.DataFrame
    curves: pl.DataFrame
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def with_facts(self, facts: Mapping[str, Any]) -> Result:
        """The same result with further facts."""
        return dataclasses.replace(self, facts={**self.facts, **facts})
