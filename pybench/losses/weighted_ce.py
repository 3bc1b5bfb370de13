"""Class-weighted cross entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pybench import checks
from pybench.class_weights import Reweighted, class_weights
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class WeightedCrossEntropy(Reweighted):
    r"""Cross entropy in which a rare class counts for more.

    .. math:: w_y\,(-\log p_y), \quad \text{soft targets: } \sum_j t_j w_j (-\log p_j)

    Fields:
        weights: ``"balanced"`` N / (C n_c); ``"inverse"``, ``"inverse_sqrt"`` and
            ``"effective:b"`` scaled to sum to C; or a list of C weights >= 0.
        mean: ``"items"`` lets the mean divide by the number of samples; ``"weights"`` scales the
            terms so that their mean divides by the sum of the drawn weights, as torch does. A
            batch whose weights are all 0 has loss 0.

    Inputs: logits (B, C); labels (B,) or probabilities (B, C).
    Returns: (B,) terms >= 0, nats.
    Raises: ValueError for unknown or negative weights, missing counts, or not C weights.
    Source: Lee, Han: Comparison of Loss Function for Multi-Class Classification of Collision
        Events in Imbalanced Black-Box Video Data, eq. (2); balanced weights are of King, Zeng:
        Logistic Regression in Rare Events Data, Political Analysis 2001.
    Deviations: the printed eq. (2) has two logarithms, the binary form; this is its softmax form
        for exclusive classes, with "class frequency" read as balanced weights.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("weighted_ce").prepare(pl.LossContext(counts=[6, 2]))
        >>> fn(torch.zeros(2, 2), [0, 1]) / torch.tensor(2.0).log()  # N / (C n_c)
        tensor([0.6667, 2.0000])
    """

    mean: Literal["items", "weights"] = "items"

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    takes_probabilities: ClassVar[bool] = True
    source: ClassVar[str] = (
        "Lee, Han: Comparison of Loss Function for Multi-Class Classification of Collision Events "
        "in Imbalanced Black-Box Video Data, eq. (2)"
    )

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with its weights computed."""
        weights = class_weights(self.weights, context, "weighted_ce")

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            logits, truth = checks.soft_classes(output, target, weights=weights)
            w = weights.to(logits.dtype)
            values = cross_entropy(logits, truth, weight=w, reduction="none")
            if self.mean == "items":
                return values
            drawn = truth @ w if truth.is_floating_point() else w[truth]
            return values / drawn.mean().clamp(min=torch.finfo(w.dtype).tiny)

        return terms
