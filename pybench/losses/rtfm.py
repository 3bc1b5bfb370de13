"""Robust temporal feature magnitude: abnormal snippets have long features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pybench import checks
from pybench.losses.topk_mil import bag_cross_entropy
from pybench.types import BagOutput, BagTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class Rtfm:
    r"""The k longest features speak for a bag: long in an abnormal one, short in a normal one.

    .. math:: \tfrac12 (-\log s^a - \log(1 - s^n))
        + \alpha \bigl( |m - \|\bar x^a\|| + \|\bar x^n\| \bigr)^2

    with :math:`s` the mean score and :math:`\bar x` the mean feature of the bag's k snippets
    whose features are longest.

    Fields:
        k: snippets that speak for a bag, >= 1.
        margin: length m that the mean feature of an abnormal bag should have, >= 0.
        alpha: weight of the second term, >= 0.

    Inputs: scores (B, S) in [0, 1], S >= k; features (B, S, D), the last layer of the model;
        labels (B,).
    Returns: (P,) terms >= 0, one per pair of the i-th abnormal with the i-th normal bag.
    Raises: ValueError if a field is out of range, k is above S, features are missing, a score is
        outside [0, 1], or pairs do not come out even.
    Source: Tian, Pang, Chen, Singh, Verjans, Carneiro: Weakly-supervised Video Anomaly Detection
        with Robust Temporal Feature Magnitude Learning, ICCV 2021, section 3.
    Deviations: the paper prints a hinge on the difference of mean lengths; margin=100 and
        alpha=1e-4 belong to the squared form above, of the authors' code. Their smoothness and
        sparsity are left to ``mil``, their temporal network to the model.

    Example:
        >>> import torch, pybench.losses as pl
        >>> from pybench.types import BagOutput, BagTarget
        >>> features = torch.tensor([[[3.0, 4.0]], [[0.0, 1.0]]])
        >>> bags = BagOutput(torch.tensor([[1.0], [0.0]]), torch.zeros(2, 1, 1), {"x": features})
        >>> fn = pl.loss("rtfm(k=1, margin=7, alpha=1)").prepare(pl.LossContext())
        >>> fn(bags, BagTarget(torch.tensor([0, 1]), normal=1))  # (|7 - 5| + 1)^2
        tensor([9.])
    """

    k: int = 3
    margin: float = 100.0
    alpha: float = 1e-4

    reads: ClassVar[Kind] = "bags"
    needs: ClassVar[frozenset[Need]] = frozenset({"features"})
    source: ClassVar[str] = (
        "Tian, Pang, Chen, Singh, Verjans, Carneiro: Weakly-supervised Video Anomaly Detection "
        "with Robust Temporal Feature Magnitude Learning, ICCV 2021, section 3"
    )

    def __post_init__(self) -> None:
        checks.require(self.k >= 1, "k", ">= 1", self.k)
        checks.require(0 <= self.margin < math.inf, "margin", "finite and >= 0", self.margin)
        checks.require(0 <= self.alpha < math.inf, "alpha", "finite and >= 0", self.alpha)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(self, output: BagOutput, target: BagTarget, *, progress: float = 0.0) -> Tensor:
        """Terms (P,)."""
        checks.bags_in_pairs("rtfm", *checks.bag_scores("rtfm", output, target)[:2])
        scores, features = checks.widened(output.scores), checks.snippet_features("rtfm", output)
        checks.enough_snippets(self.k, scores)
        longest = features.detach().norm(dim=2).topk(self.k, dim=1).indices
        speaking = longest.unsqueeze(2).expand(-1, -1, features.shape[2])
        length = features.gather(1, speaking).mean(1).norm(dim=1)
        abnormal = target.labels != target.normal
        entropy = bag_cross_entropy(scores.gather(1, longest).mean(1), abnormal)
        spread: Tensor = (self.margin - length[abnormal]).abs() + length[~abnormal]
        halves = torch.stack([entropy[abnormal], entropy[~abnormal]]).mean(0)
        return halves + self.alpha * spread.square()
