"""One minus a differentiable average precision of each sample as a query."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pybench import checks
from pybench.losses._contrast import directions, last_features
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class SmoothAp:
    r"""Ranked by their likeness to a sample, those of its class should come first.

    .. math:: 1 - \frac{1}{|P(q)|} \sum_{i \in P(q)}
        \frac{1 + \sum_{j \in P(q), j \ne i} \sigma((s_j - s_i) / \tau)}
        {1 + \sum_{j \ne i, q} \sigma((s_j - s_i) / \tau)}, \quad s_i = h_q \cdot h_i

    with h the features at unit length and P(q) the other samples of the class of q. As
    :math:`\tau` falls, this becomes one minus the average precision.

    Fields:
        temperature: tau > 0.

    Inputs: features, the last layer (B, D) or maps (B, D, ...); labels (B,). Of boxes, cells with
        an object are ranked, and hard negatives. Draw batches with ``m_per_class``, so that rare
        classes have pairs.
    Returns: (B,) terms in [0, 1], scaled so that their mean is that over the samples that have
        another of their class; the others are 0. Add it to a loss of the logits.
    Raises: ValueError if temperature is not > 0, for an empty batch, mixed labels or no features.
    Source: Brown, Xie, Kalogeiton, Zisserman: Smooth-AP: Smoothing the Path Towards Large-Scale
        Image Retrieval, ECCV 2020, section 4.
    Deviations: a query is not among those it ranks; the published code ranks it first. On the
        features that the classifier reads, trained together with it. A vector shorter than 1e-12
        has similarity 0 and no gradient.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("smooth_ap").prepare(pl.LossContext(num_classes=2))
        >>> h = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> fn((torch.zeros(3, 2), h), [0, 0, 1])  # AP of 0: 1 / (1 + 1/2), of 1: 1; times 3/2
        tensor([0.5000, 0.0000, 0.0000])
    """

    temperature: float = 0.01

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset({"features"})
    compares_samples: ClassVar[bool] = True
    source: ClassVar[str] = (
        "Brown, Xie, Kalogeiton, Zisserman: Smooth-AP: Smoothing the Path Towards Large-Scale "
        "Image Retrieval, ECCV 2020, section 4"
    )

    def __post_init__(self) -> None:
        fine = 0 < self.temperature < math.inf
        checks.require(fine, "temperature", "finite and > 0", self.temperature)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(
        self, output: ClassOutput, target: ClassTarget, *, progress: float = 0.0
    ) -> Tensor:
        """Terms (B,)."""
        features, labels = last_features("smooth_ap", output, target)
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        alike = (labels.unsqueeze(1) == labels) & ~itself
        # Only pairs of a class are ranked, so that B^3 comparisons are never held.
        query, hit = alike.nonzero().unbind(1)
        # Autocast would take the products of unit vectors to half precision.
        with torch.autocast(features.device.type, enabled=False):
            units = directions(features)
            similarity = units @ units.T
            ahead = (similarity[query] - similarity[query, hit].unsqueeze(1)) / self.temperature
            others = torch.sigmoid(ahead).masked_fill(itself[query] | itself[hit], 0.0)
            rank = 1 + others.sum(1)
            precision = (1 + (others * alike[query]).sum(1)) / rank
        partners = alike.sum(1)
        missed = torch.zeros_like(similarity[0]).index_add(0, query, 1 - precision)
        terms = missed / partners.clamp(min=1)
        return terms * len(labels) / (partners > 0).sum().clamp(min=1)
