"""Focal loss whose focus on a class follows the gradients that it has had."""

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
class EqualizedFocal:
    r"""One binary problem per class, focused and weighted more the fewer positives it had.

    .. math:: \sum_j \alpha_t \frac{\gamma_j}{\gamma} (1 - p_t)^{\gamma_j} (-\log p_t), \quad
        \gamma_j = \gamma + s (1 - \min(g_j, 1)), \quad p_t = \sigma(\pm z_j)

    with the plus sign and :math:`\alpha_t = \alpha` for the label, the minus sign and
    :math:`1 - \alpha` for the other classes, and :math:`g_j` the ratio of the positive to the
    negative gradient that logit j has had so far, each the sum of its absolute values. Before its
    first negative gradient a class has g = 1.

    Fields:
        gamma: focusing exponent of a balanced class, > 0.
        scale: s, how much further a class without positives is focused, >= 0; 0 is the focal
            loss.
        alpha: weight of the label in [0, 1], against 1 - alpha of each other class; negative
            weighs both by 1.

    Inputs: logits (B, C); labels (B,).
    Returns: (B,) terms >= 0, nats, summed over classes.
    Raises: ValueError if a field is out of range, the number of classes is unknown, or for mixed
        labels.
    Source: Li, Yao, Tan, Zhang, Yu, Lu, Luo: Equalized Focal Loss for Dense Long-Tailed Object
        Detection, CVPR 2022, section 3.
    Deviations: the state is added up in double precision and only while training; several
        processes each keep their own.

    Example:
        >>> import torch, pybench.losses as pl
        >>> spec = "equalized_focal(gamma=1, scale=1, alpha=-1)"
        >>> fn = pl.loss(spec).prepare(pl.LossContext(num_classes=2))
        >>> z = torch.zeros(3, 2)
        >>> fn(z, [0, 0, 1]) / torch.tensor(2.0).log()  # (1/2 + 1/2)
        tensor([1., 1., 1.])
        >>> fn(z, [0, 0, 1]) / torch.tensor(2.0).log()  # g = 2 and 1/2: 1/2 + 3/2 (1/2)^(3/2)
        tensor([1.0303, 1.0303, 1.0303])
    """

    gamma: float = 2.0
    scale: float = 8.0
    alpha: float = 0.25

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Li, Yao, Tan, Zhang, Yu, Lu, Luo: Equalized Focal Loss for Dense Long-Tailed Object "
        "Detection, CVPR 2022, section 3"
    )

    def __post_init__(self) -> None:
        checks.require(0 < self.gamma < math.inf, "gamma", "finite and > 0", self.gamma)
        checks.require(0 <= self.scale < math.inf, "scale", "finite and >= 0", self.scale)
        rule = "in [0, 1], or negative for none"
        checks.require(-math.inf < self.alpha <= 1, "alpha", rule, self.alpha)

    def prepare(self, context: LossContext) -> LossFn:
        """Return a module that adds up the gradients of each class."""
        return _FocusByGradient(self, context)


class _FocusByGradient(GradientSums):
    def __init__(self, config: EqualizedFocal, context: LossContext) -> None:
        super().__init__("equalized_focal", context)
        self.config = config

    def forward(self, output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
        logits, labels = checks.hard_classes(
            "equalized_focal", output, target, weights=self.positive
        )
        is_label = one_hot(labels, logits.shape[1]).bool()
        signed = torch.where(is_label, logits, -logits)
        starved = 1 - self.ratio(1.0).clamp(max=1)
        gamma = (self.config.gamma + self.config.scale * starved).to(logits.dtype)
        weight = gamma / self.config.gamma
        if self.config.alpha >= 0:
            alpha = self.config.alpha
            weight = torch.where(is_label, alpha * weight, (1 - alpha) * weight)
        # A power of 1 - p would have no gradient where p rounds to 1.
        log_p, focus = logsigmoid(signed), (gamma * logsigmoid(-signed)).exp()
        wrong = torch.sigmoid(-signed.detach())
        self.add(weight * focus * (wrong - gamma * (1 - wrong) * log_p), is_label)
        return -(weight * focus * log_p).sum(1)
