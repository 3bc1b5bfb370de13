"""Balanced softmax with logits held to be density ratios."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from pybench import checks
from pybench.class_weights import counts_from_one
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class Lade:
    r"""Softmax under the training prior, and each logit an estimate of a log density ratio.

    .. math:: -\log \frac{\pi_y e^{z_y}}{\sum_j \pi_j e^{z_j}}
        - \alpha \sum_c \pi_c \left[ \frac{1}{B_c} \sum_{i: y_i = c} z_{ic}
        - L_c - \lambda L_c^2 \right], \quad
        L_c = \log \frac{1}{B} \sum_i \frac{1}{C \pi_{y_i}} e^{z_{ic}}

    with :math:`\pi_c = n_c / N` and :math:`B_c` the samples of class c in the batch. The second
    part is a bound on how far the samples of a class are from those of equally frequent classes:
    at its best, a logit is the logarithm of the ratio of the two densities, whatever the prior.

    Fields:
        alpha: weight of the second part, >= 0; 0 gives ``balanced_softmax``.
        penalty: lambda, which holds L near 0, >= 0.

    Inputs: logits (B, C); labels (B,).
    Returns: (B,) terms, nats; the second part, which may be negative, is the same in all.
    Raises: ValueError if a field is negative, counts are missing or not C, for an empty batch or
        mixed labels.
    Source: Hong, Han, Choi, Seo, Kim, Chang: Disentangling Label Distribution for Long-Tailed
        Visual Recognition, CVPR 2021, section 3.
    Deviations: a sample is weighed by the prior of its label, which makes frequencies equal; the
        published code divides by the prior of class c. A class without a sample in the batch has
        no second part. A class without training samples counts as if it had one.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("lade(alpha=1, penalty=0)").prepare(pl.LossContext(counts=[3, 1]))
        >>> z = torch.tensor([[0.0, 0.0], [0.0, 2.0]]).log1p()
        >>> fn(z, [0, 1]).exp()  # 4/3 and 2, each times (4/3)^(3/4) (10/9)^(1/4)
        tensor([1.6986, 2.5478])
    """

    alpha: float = 0.1
    penalty: float = 0.1

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Hong, Han, Choi, Seo, Kim, Chang: Disentangling Label Distribution for Long-Tailed Visual "
        "Recognition, CVPR 2021, section 3"
    )
    uses_counts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.require(0 <= self.alpha < math.inf, "alpha", "finite and >= 0", self.alpha)
        checks.require(0 <= self.penalty < math.inf, "penalty", "finite and >= 0", self.penalty)

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with its prior computed."""
        counts = counts_from_one(context, "lade")
        prior = counts / counts.sum()

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            logits, labels = checks.hard_classes("lade", output, target, weights=prior)
            checks.require(len(labels) > 0, "batch", "at least one sample", "none")
            log_prior = prior.log().to(logits.dtype)
            adjusted = cross_entropy(logits + log_prior, labels, reduction="none")
            inside = one_hot(labels, logits.shape[1]).to(logits.dtype)
            number = inside.sum(0)
            own = (logits * inside).sum(0) / number.clamp(min=1)
            # Of the batch as if its classes were equally frequent in training.
            weight = -log_prior[labels] - math.log(inside.numel())
            evened = (logits + weight.unsqueeze(1)).logsumexp(0)
            bound = own - evened - self.penalty * evened.square()
            present = torch.where(number > 0, prior.to(logits.dtype), 0.0)
            return adjusted - self.alpha * (present * bound).sum()

        return terms
