"""Asymmetric loss as its authors apply it to single labels."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pybench import checks
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class AslSingleLabel:
    r"""Smoothed cross entropy whose smoothing mass fades on classes that are ruled out.

    .. math:: -\sum_j t_j \omega_j \log p_j, \quad \omega_y = (1-p_y)^{\gamma_+}, \quad
        \omega_{j \ne y} = p_j^{\gamma_-}, \quad t_j = (1-\varepsilon)\,[j=y] + \varepsilon / C

    Fields:
        gamma_pos: focusing exponent of the label, >= 0.
        gamma_neg: focusing exponent of the other classes, >= 0; only the smoothing mass sees it.
        smoothing: share of the target spread evenly over all classes, in [0, 1]. With 0 the loss
            is the focal loss of gamma_pos whatever gamma_neg is, and with gamma_pos=0 it is cross
            entropy, which a warning says.

    Inputs: logits (B, C), C >= 2; labels (B,).
    Returns: (B,) terms >= 0, nats.
    Raises: ValueError if an exponent is negative, smoothing is outside [0, 1], or for mixed
        labels.
    Source: Ben-Baruch et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021,
        section 2.2, in the authors' published form for single labels.
    Deviations: none from that form.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("asl_single_label(gamma_neg=1)").prepare(pl.LossContext(num_classes=2))
        >>> fn(torch.zeros(1, 2), [0]) / torch.tensor(2.0).log()  # .95 + .05 / 2
        tensor([0.9750])
    """

    gamma_pos: float = 0.0
    gamma_neg: float = 4.0
    smoothing: float = 0.1

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Ben-Baruch, Ridnik, Zamir, Noy, Friedman, Protter, Zelnik-Manor: Asymmetric Loss For "
        "Multi-Label Classification, ICCV 2021, section 2.2, in the authors' single-label form"
    )

    def __post_init__(self) -> None:
        checks.require(0 <= self.gamma_pos < math.inf, "gamma_pos", ">= 0", self.gamma_pos)
        checks.require(0 <= self.gamma_neg < math.inf, "gamma_neg", ">= 0", self.gamma_neg)
        checks.require(0 <= self.smoothing <= 1, "smoothing", "in [0, 1]", self.smoothing)
        if self.smoothing == 0 and self.gamma_pos == 0:
            warnings.warn(
                "asl_single_label(gamma_pos=0, smoothing=0) is cross entropy whatever gamma_neg "
                "is; for negatives that fade use asl_softmax_ovr",
                stacklevel=3,
            )

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(
        self, output: ClassOutput, target: ClassTarget, *, progress: float = 0.0
    ) -> Tensor:
        """Terms (B,)."""
        logits, labels = checks.hard_classes("asl_single_label", output, target, least=2)
        label = labels.unsqueeze(1)
        log_p = logits.log_softmax(1)
        # Not log(1 - p): that is NaN with a NaN gradient where p rounds to 1.
        log_rest = log_p.scatter(1, label, -math.inf).logsumexp(1)
        is_label = one_hot(labels, logits.shape[1]).bool()
        log_weight = torch.where(
            is_label, self.gamma_pos * log_rest.unsqueeze(1), self.gamma_neg * log_p
        )
        share = is_label.to(log_p.dtype) * (1 - self.smoothing) + self.smoothing / logits.shape[1]
        return -(share * log_weight.exp() * log_p).sum(1)
