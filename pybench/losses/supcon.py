"""Supervised contrast of features."""

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
class SupCon:
    r"""Among all other samples, those of the same class should be the most alike.

    .. math:: -\frac{1}{|P(i)|} \sum_{p \in P(i)}
        \log \frac{\exp(h_i \cdot h_p / \tau)}{\sum_{a \ne i} \exp(h_i \cdot h_a / \tau)}

    with h the features at unit length and P(i) the other samples of the class of i, the second
    view of i among them.

    Fields:
        temperature: tau > 0.

    Inputs: features, the last layer (B, D) or maps (B, D, ...), of both views; labels (B,), those
        of the second view repeated. Bags and boxes have one view; of boxes, cells with an object
        are compared with one another and with hard negatives.
    Returns: (B,) terms >= 0, nats, scaled so that their mean is that over the samples that have
        another of their class; the others are 0. Add it to a loss of the logits.
    Raises: ValueError if temperature is not > 0, for an empty batch, mixed labels or no features.
    Source: Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu, Krishnan: Supervised
        Contrastive Learning, NeurIPS 2020, eq. (2).
    Deviations: on the features that the classifier reads, without a projection head, trained
        together with it. A vector shorter than 1e-12 has similarity 0 and no gradient.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("supcon(temperature=1)").prepare(pl.LossContext(num_classes=2))
        >>> h = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
        >>> fn((torch.zeros(3, 2), h), [0, 0, 1])  # log(1 + 1/e) twice, times 3/2
        tensor([0.4699, 0.4699, 0.0000])
    """

    temperature: float = 0.1

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset({"features", "two_views"})
    compares_samples: ClassVar[bool] = True
    source: ClassVar[str] = (
        "Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu, Krishnan: Supervised "
        "Contrastive Learning, NeurIPS 2020, eq. (2)"
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
        features, labels = last_features("supcon", output, target)
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        alike = (labels.unsqueeze(1) == labels) & ~itself
        # Autocast would take the products of unit vectors to half precision.
        with torch.autocast(features.device.type, enabled=False):
            units = directions(features)
            similarity = units @ units.T / self.temperature
            # Not infinity: a lone sample would leave nothing but NaN.
            others = similarity.masked_fill(itself, torch.finfo(similarity.dtype).min)
            surprise = others.logsumexp(1, keepdim=True) - similarity
        partners = alike.sum(1)
        terms = torch.where(alike, surprise, 0.0).sum(1) / partners.clamp(min=1)
        return terms * len(labels) / (partners > 0).sum().clamp(min=1)
