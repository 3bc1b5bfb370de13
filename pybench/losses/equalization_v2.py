"""Equalization loss v2: classes balanced by the gradients that they have had."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, one_hot

from pybench import checks
from pybench.losses._gradient_sums import GradientSums
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class EqualizationV2:
    r"""One binary problem per class, weighted towards as much positive as negative gradient.

    .. math:: -q_y \log \sigma(z_y) - \sum_{j \ne y} r_j \log(1 - \sigma(z_j)), \quad
        r_j = \sigma(\gamma (g_j - \mu)), \quad q_j = 1 + \alpha (1 - r_j)

    with :math:`g_j` the ratio of the positive to the negative gradient that logit j has had so
    far, each the sum of its absolute, weighted values. Before its first negative gradient a
    class has r = q = 1.

    Fields:
        gamma: steepness of r, >= 0.
        mu: ratio at which r is 1/2, >= 0.
        alpha: how much more a starved class counts as a positive, >= 0.

    Inputs: logits (B, C); labels (B,).
    Returns: (B,) terms >= 0, nats, summed over classes.
    Raises: ValueError if a field is negative, the number of classes is unknown, or for mixed
        labels.
    Source: Tan, Lu, Zhang, Yin, Li: Equalization Loss v2: A New Gradient Balance Approach for
        Long-Tailed Object Detection, CVPR 2021, section 4.
    Deviations: no separate objectness output. The state is added up in double precision and only
        while training; several processes each keep their own.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("equalization_v2(mu=1)").prepare(pl.LossContext(num_classes=2))
        >>> z = torch.zeros(2, 2)
        >>> _ = fn(z, [0, 1])  # r = q = 1, and both classes get 1/2 of either gradient
        >>> fn(z, [0, 1]) / torch.tensor(2.0).log()  # g = 1: r = 1/2, q = 1 + 4/2
        tensor([3.5000, 3.5000])
    """

    gamma: float = 12.0
    mu: float = 0.8
    alpha: float = 4.0

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Tan, Lu, Zhang, Yin, Li: Equalization Loss v2: A New Gradient Balance Approach for "
        "Long-Tailed Object Detection, CVPR 2021, section 4"
    )

    def __post_init__(self) -> None:
        for name in ("gamma", "mu", "alpha"):
            value = getattr(self, name)
            checks.require(0 <= value < math.inf, name, "finite and >= 0", value)

    def prepare(self, context: LossContext) -> LossFn:
        """Return a module that adds up the gradients of each class."""
        return _GradientBalance(self, context)


class _GradientBalance(GradientSums):
    def __init__(self, config: EqualizationV2, context: LossContext) -> None:
        super().__init__("equalization_v2", context)
        self.config = config

    def forward(self, output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
        logits, labels = checks.hard_classes(
            "equalization_v2", output, target, weights=self.positive
        )
        is_label = one_hot(labels, logits.shape[1]).bool()
        signed = torch.where(is_label, logits, -logits)
        weight = torch.where(is_label, *self._factors()).to(logits.dtype)
        self.add(weight * torch.sigmoid(-signed), is_label)
        return -(weight * logsigmoid(signed)).sum(1)

    def _factors(self) -> tuple[Tensor, Tensor]:
        """(C,) factors of a class as the label and as another class."""
        balance = torch.sigmoid(self.config.gamma * (self.ratio(0.0) - self.config.mu))
        spared = torch.where(self.negative > 0, balance, 1.0)
        return 1 + self.config.alpha * (1 - spared), spared
