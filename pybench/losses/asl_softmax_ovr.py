"""Asymmetric loss, one-vs-rest on softmax probabilities."""

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
class AslSoftmaxOvr:
    r"""Each class against the rest, where easy negatives fade faster than easy positives.

    .. math:: (1-p_y)^{\gamma_+}(-\log p_y) + \sum_{j \ne y} p_j^{\gamma_-}(-\log(1-p_j)),
        \quad p = \mathrm{softmax}(z)

    Fields:
        gamma_pos: focusing exponent of the label, >= 0.
        gamma_neg: focusing exponent of the other classes, >= 0.

    Inputs: logits (B, C), C >= 2; labels (B,).
    Returns: (B,) terms >= 0, nats, summed over classes.
    Raises: ValueError if an exponent is negative.
    Source: Ben-Baruch et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021,
        section 2.2.
    Deviations: softmax in the place of sigmoids, because the classes exclude each other; no
        probability shift.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("asl_softmax_ovr(gamma_neg=1)").prepare(pl.LossContext(num_classes=2))
        >>> fn(torch.zeros(1, 2), [0]) / torch.tensor(2.0).log()  # 1 + 1/2
        tensor([1.5000])
    """

    gamma_pos: float = 0.0
    gamma_neg: float = 4.0

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Ben-Baruch, Ridnik, Zamir, Noy, Friedman, Protter, Zelnik-Manor: Asymmetric Loss For "
        "Multi-Label Classification, ICCV 2021, section 2.2, on softmax probabilities"
    )

    def __post_init__(self) -> None:
        checks.require(0 <= self.gamma_pos < math.inf, "gamma_pos", ">= 0", self.gamma_pos)
        checks.require(0 <= self.gamma_neg < math.inf, "gamma_neg", ">= 0", self.gamma_neg)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(
        self, output: ClassOutput, target: ClassTarget, *, progress: float = 0.0
    ) -> Tensor:
        """Terms (B,)."""
        logits, labels = checks.hard_classes("asl_softmax_ovr", output, target, least=2)
        odds = _log_odds(logits)
        log_p, log_rest = logsigmoid(odds), logsigmoid(-odds)
        positive = -(self.gamma_pos * log_rest).exp() * log_p
        negative = -(self.gamma_neg * log_p).exp() * log_rest
        is_label = one_hot(labels, logits.shape[1]).bool()
        return torch.where(is_label, positive, negative).sum(1)


def _log_odds(logits: Tensor) -> Tensor:
    """(B, C) log p_j / (1 - p_j), exact where p_j rounds to 1."""
    log_p = logits.log_softmax(1)
    # Only the largest p can round to 1, so only its complement is summed; scatter also keeps
    # the gradient of log(1 - 1) away from it.
    top = log_p.argmax(1, keepdim=True)
    rest_of_top = log_p.scatter(1, top, -math.inf).logsumexp(1, keepdim=True)
    rest = torch.log1p(-log_p.scatter(1, top, -math.inf).exp())
    return log_p - rest.scatter(1, top, rest_of_top)
