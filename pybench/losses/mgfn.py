"""Magnitude contrast: bags of one kind have features of like lengths, the two kinds apart."""

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
class Mgfn:
    r"""The k longest features speak for a bag: of like lengths in a kind, far from the other kind.

    .. math:: -\log p_b + \lambda \Bigl[ \frac{1}{|K(b)|} \sum_{a \in K(b)} \|m_a - m_b\|^2
        + \frac{1}{|\bar K(b)|} \sum_{a \in \bar K(b)} \max(0,\, M - \|m_a - m_b\|)^2 \Bigr]

    with :math:`m_b` the k greatest lengths of the snippets' features, in order, :math:`p_b` the
    mean score of these snippets, or one minus it for a normal bag, K(b) the other bags that are
    abnormal or normal as b is, and :math:`\bar K(b)` the bags of the other kind.

    Fields:
        k: snippets that speak for a bag, >= 1.
        margin: M, how far apart bags of the two kinds should be, >= 0.
        weight: lambda, >= 0.

    Inputs: scores (B, S) in [0, 1], S >= k; features (B, S, D), the last layer of the model;
        labels (B,).
    Returns: (B,) terms >= 0, one per bag.
    Raises: ValueError if a field is out of range, k is above S, features are missing, a score is
        outside [0, 1], or the batch lacks abnormal or normal bags.
    Source: Chen, Liu, Zhang, Fok, Qi, Wu: MGFN: Magnitude-Contrastive Glance-and-Focus Network for
        Weakly-Supervised Video Anomaly Detection, AAAI 2023, section 3.
    Deviations: means over all pairs of the batch in the place of sums. The published code compares
        one half of a kind with the other, contrasts sums of absolute values in the place of
        lengths, and weighs the two kinds' distance by another 1/1000. Smoothness and sparsity are
        left to ``mil``, the network to the model.

    Example:
        >>> import torch, pybench.losses as pl
        >>> from pybench.types import BagOutput, BagTarget
        >>> features = torch.tensor([[[3.0, 4.0]], [[0.0, 1.0]], [[0.0, 3.0]]])
        >>> scores = torch.tensor([[1.0], [0.0], [0.0]])
        >>> bags = BagOutput(scores, torch.zeros(3, 1, 1), {"x": features})
        >>> fn = pl.loss("mgfn(k=1, margin=7, weight=1)").prepare(pl.LossContext())
        >>> fn(bags, BagTarget(torch.tensor([0, 1, 1]), normal=1))  # lengths 5; 1 and 3
        tensor([17., 13., 29.])
    """

    k: int = 3
    margin: float = 200.0
    weight: float = 0.001

    reads: ClassVar[Kind] = "bags"
    needs: ClassVar[frozenset[Need]] = frozenset({"features"})
    source: ClassVar[str] = (
        "Chen, Liu, Zhang, Fok, Qi, Wu: MGFN: Magnitude-Contrastive Glance-and-Focus Network for "
        "Weakly-Supervised Video Anomaly Detection, AAAI 2023, section 3"
    )

    def __post_init__(self) -> None:
        checks.require(self.k >= 1, "k", ">= 1", self.k)
        checks.require(0 <= self.margin < math.inf, "margin", "finite and >= 0", self.margin)
        checks.require(0 <= self.weight < math.inf, "weight", "finite and >= 0", self.weight)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(self, output: BagOutput, target: BagTarget, *, progress: float = 0.0) -> Tensor:
        """Terms (B,)."""
        checks.bag_scores("mgfn", output, target)
        scores, features = checks.widened(output.scores), checks.snippet_features("mgfn", output)
        checks.enough_snippets(self.k, scores)
        longest = features.norm(dim=2).topk(self.k, dim=1)
        abnormal = target.labels != target.normal
        entropy = bag_cross_entropy(scores.gather(1, longest.indices).mean(1), abnormal)
        difference = longest.values.unsqueeze(1) - longest.values
        other = abnormal.unsqueeze(1) != abnormal
        itself = torch.eye(len(abnormal), dtype=torch.bool, device=abnormal.device)
        near = torch.where(other, 0.0, difference.square().sum(2)).sum(1)
        far = torch.where(other, (self.margin - difference.norm(dim=2)).relu().square(), 0.0)
        alike = (~other & ~itself).sum(1).clamp(min=1)
        return entropy + self.weight * (near / alike + far.sum(1) / other.sum(1))
