"""Supervised contrast with the classifier's logits among what is contrasted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pybench import checks
from pybench.class_weights import counts_from_one
from pybench.losses._contrast import directions, last_features
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class Paco:
    r"""A sample belongs to its class's centre first, then to the other samples of the class.

    .. math:: -\frac{1}{1 + \alpha |P(i)|} \Bigl[ \log \frac{\pi_y e^{z_y}}{Z}
        + \alpha \sum_{p \in P(i)} \log \frac{\exp(h_i \cdot h_p / \tau)}{Z} \Bigr], \quad
        Z = \sum_c \pi_c e^{z_c} + \sum_{a \ne i} \exp(h_i \cdot h_a / \tau)

    with z the logits of sample i, in which the classifier's weights are the centres,
    :math:`\pi_c = n_c / N`, h the features at unit length, and P(i) the other samples of the class
    of i, the second view of i among them.

    Fields:
        alpha: weight of a sample of the class, against 1 of its centre, >= 0.
        temperature: tau > 0.

    Inputs: logits (B, C) and features, the last layer (B, D) or maps (B, D, ...), of both views;
        labels (B,), those of the second view repeated. Bags and boxes have one view; of boxes,
        cells with an object are compared with one another and with hard negatives.
    Returns: (B,) terms >= 0, nats. It trains the classifier too.
    Raises: ValueError if a field is out of range, counts are missing or not C, for an empty batch,
        mixed labels or no features.
    Source: Cui, Zhong, Liu, Yu, Jia: Parametric Contrastive Learning, ICCV 2021, section 3.
    Deviations: the keys are the other samples of the batch; there is neither a momentum encoder
        nor a queue, and no projection head. As in the published code the centres are adjusted by
        the prior, and a term is divided by its weights. A vector shorter than 1e-12 has
        similarity 0, and a class without samples counts as if it had one.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("paco(alpha=1, temperature=1)").prepare(pl.LossContext(counts=[3, 1]))
        >>> z, h = torch.zeros(2, 2), torch.eye(2)
        >>> fn((z, h), [0, 1]).exp()  # Z = 3/4 + 1/4 + 1: 2 / (3/4), 2 / (1/4)
        tensor([2.6667, 8.0000])
        >>> fn((z, h), [0, 0]).exp()  # the mean of log 2 / (3/4) and log 2 / 1
        tensor([2.3094, 2.3094])
    """

    alpha: float = 0.05
    temperature: float = 0.2

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset({"features", "two_views"})
    compares_samples: ClassVar[bool] = True
    trains_classifier: ClassVar[bool] = True
    source: ClassVar[str] = (
        "Cui, Zhong, Liu, Yu, Jia: Parametric Contrastive Learning, ICCV 2021, section 3"
    )
    uses_counts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.require(0 <= self.alpha < math.inf, "alpha", "finite and >= 0", self.alpha)
        fine = 0 < self.temperature < math.inf
        checks.require(fine, "temperature", "finite and > 0", self.temperature)

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with its prior computed."""
        counts = counts_from_one(context, "paco")
        log_prior = (counts / counts.sum()).log()

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            logits, _ = checks.hard_classes("paco", output, target, weights=log_prior)
            features, labels = last_features("paco", output, target)
            itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
            alike = (labels.unsqueeze(1) == labels) & ~itself
            centres = logits + log_prior.to(logits.dtype)
            # Autocast would take the products of unit vectors to half precision.
            with torch.autocast(features.device.type, enabled=False):
                units = directions(features)
                similarity = units @ units.T / self.temperature
                keys = similarity.masked_fill(itself, -math.inf)
                total = torch.cat([centres, keys], dim=1).logsumexp(1)
            own = centres.gather(1, labels.unsqueeze(1)).squeeze(1)
            partners = self.alpha * alike.sum(1).to(total.dtype)
            pull = own + self.alpha * torch.where(alike, similarity, 0.0).sum(1)
            return total - pull / (1 + partners)

        return terms
