"""Asymmetric loss on sigmoids, one per class."""

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
class AslSigmoid:
    r"""One-vs-rest binary cross entropy that fades, then drops, the easy negatives.

    .. math:: (1-p_y)^{\gamma_+}(-\log p_y)
        + \sum_{j \ne y} \tilde p_j^{\gamma_-}(-\log(1-\tilde p_j)), \quad
        p = \sigma(z), \; \tilde p = \max(p - m, 0)

    Fields:
        gamma_pos: focusing exponent of the label, >= 0.
        gamma_neg: focusing exponent of the other classes, >= 0.
        clip: the shift m in [0, 1): a negative below it costs nothing.
        detach_weight: whether the focusing factor is a constant for the gradient.

    Inputs: logits (B, C); labels (B,).
    Returns: (B,) terms >= 0, nats, summed over classes.
    Raises: ValueError if a field is out of range.
    Source: Ben-Baruch et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021,
        section 2.4.
    Deviations: one label per sample; no floor under the logarithms, which need none here.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("asl_sigmoid(gamma_neg=2, clip=0)").prepare(pl.LossContext(num_classes=2))
        >>> fn(torch.zeros(1, 2), [0]) / torch.tensor(2.0).log()  # 1 + (1/2)^2
        tensor([1.2500])
    """

    gamma_pos: float = 0.0
    gamma_neg: float = 4.0
    clip: float = 0.05
    detach_weight: bool = False

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Ben-Baruch, Ridnik, Zamir, Noy, Friedman, Protter, Zelnik-Manor: Asymmetric Loss For "
        "Multi-Label Classification, ICCV 2021, section 2.4"
    )

    def __post_init__(self) -> None:
        checks.require(0 <= self.gamma_pos < math.inf, "gamma_pos", ">= 0", self.gamma_pos)
        checks.require(0 <= self.gamma_neg < math.inf, "gamma_neg", ">= 0", self.gamma_neg)
        checks.require(0 <= self.clip < 1, "clip", "in [0, 1)", self.clip)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(
        self, output: ClassOutput, target: ClassTarget, *, progress: float = 0.0
    ) -> Tensor:
        """Terms (B,)."""
        logits, labels = checks.hard_classes("asl_sigmoid", output, target)
        log_p, log_rest = logsigmoid(logits), logsigmoid(-logits)
        log_shifted, log_rest_shifted = log_p, log_rest
        if self.clip > 0:
            # Both clamps end in a zero gradient; the floor keeps 1 / shifted finite beside it.
            floor = torch.finfo(logits.dtype).tiny
            log_shifted = (log_p.exp() - self.clip).clamp(min=floor).log()
            shift = log_rest.new_tensor(self.clip).log()
            log_rest_shifted = torch.logaddexp(log_rest, shift).clamp(max=0)
        is_label = one_hot(labels, logits.shape[1]).bool()
        log_weight = torch.where(is_label, self.gamma_pos * log_rest, self.gamma_neg * log_shifted)
        weight = (log_weight.detach() if self.detach_weight else log_weight).exp()
        return -(weight * torch.where(is_label, log_p, log_rest_shifted)).sum(1)
