"""Focal loss on sigmoids, one per class."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, one_hot

from pybench import checks
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class FocalSigmoid:
    r"""One binary problem per class, in which a decision counts less the surer it is.

    .. math:: \sum_c \alpha_t (1 - p_t)^\gamma (-\log p_t), \quad
        p_t = \sigma(\pm z_c), \quad \alpha_t = \alpha \text{ or } 1 - \alpha

    with the plus sign and :math:`\alpha` for the label, the others for the other classes.

    Fields:
        gamma: focusing exponent, >= 0.
        alpha: weight of the label in [0, 1], against 1 - alpha of each other class; negative
            weighs both by 1. With 1 the other classes cost nothing.

    Inputs: logits (B, C); labels (B,).
    Returns: (B,) terms >= 0, nats, summed over classes.
    Raises: ValueError if gamma is negative or alpha exceeds 1, or for mixed labels.
    Source: Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection, ICCV 2017,
        eq. (5).
    Deviations: none.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("focal_sigmoid(gamma=1)").prepare(pl.LossContext(num_classes=2))
        >>> fn(torch.zeros(1, 2), [0]) / torch.tensor(2.0).log()  # (1/4 + 3/4) (1 - 1/2)
        tensor([0.5000])
    """

    gamma: float = 2.0
    alpha: float = 0.25

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection, ICCV 2017, "
        "eq. (5)"
    )

    def __post_init__(self) -> None:
        checks.require(0 <= self.gamma < math.inf, "gamma", "finite and >= 0", self.gamma)
        rule = "in [0, 1], or negative for none"
        checks.require(-math.inf < self.alpha <= 1, "alpha", rule, self.alpha)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(
        self, output: ClassOutput, target: ClassTarget, *, progress: float = 0.0
    ) -> Tensor:
        """Terms (B,)."""
        logits, labels = checks.hard_classes("focal_sigmoid", output, target)
        is_label = one_hot(labels, logits.shape[1]).bool()
        signed = torch.where(is_label, logits, -logits)
        # A power of 1 - p would have no gradient where p rounds to 1.
        values = -(self.gamma * logsigmoid(-signed)).exp() * logsigmoid(signed)
        if self.alpha >= 0:
            values = torch.where(is_label, self.alpha * values, (1 - self.alpha) * values)
        return values.sum(1)
