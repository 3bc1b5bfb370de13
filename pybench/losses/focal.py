"""Focal loss on softmax probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn.functional import logsigmoid

from pybench import checks
from pybench.class_weights import check_weights, class_weights
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class Focal:
    r"""Cross entropy that counts a sample less the surer the model is of its label.

    .. math:: \alpha_y\,(1 - p_y)^\gamma\,(-\log p_y), \quad p = \mathrm{softmax}(z)

    Fields:
        gamma: focusing exponent, >= 0; 0 gives cross entropy.
        alpha: a factor >= 0 for all classes, a list of C factors, or ``"balanced"`` for
            N / (C n_c). Not the alpha of the sigmoid form: 1 weighs nothing, and any other
            constant only scales the loss.

    Inputs: logits (B, C), C >= 2; labels (B,).
    Returns: (B,) terms >= 0, nats.
    Raises: ValueError if gamma or alpha is negative.
    Source: Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection, ICCV 2017,
        eq. (5).
    Deviations: softmax in the place of the sigmoid, and no alpha for a negative class.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("focal(gamma=2)").prepare(pl.LossContext(num_classes=2))
        >>> fn(torch.zeros(1, 2), [0]) / torch.tensor(2.0).log()  # (1 - 1/2)^2
        tensor([0.2500])
    """

    gamma: float = 2.0
    alpha: float | tuple[float, ...] | Literal["balanced"] = 1.0

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection, ICCV 2017, "
        "eq. (5), on softmax probabilities"
    )

    def __post_init__(self) -> None:
        checks.require(0 <= self.gamma < math.inf, "gamma", "finite and >= 0", self.gamma)
        if isinstance(self.alpha, str | tuple):
            check_weights("alpha", self.alpha)
        else:
            checks.require(0 <= self.alpha < math.inf, "alpha", "finite and >= 0", self.alpha)

    @property
    def uses_counts(self) -> bool:
        """Whether alpha comes from the class counts."""
        return isinstance(self.alpha, str)

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with its factors computed."""
        alpha, constant, weights = self.alpha, 1.0, None
        if isinstance(alpha, str | tuple):
            weights = class_weights(alpha, context, "focal")
        else:
            constant = alpha

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            logits, labels = checks.hard_classes("focal", output, target, weights=weights, least=2)
            odds = label_log_odds(logits, labels)
            values = -(self.gamma * logsigmoid(-odds)).exp() * logsigmoid(odds)
            return values * (constant if weights is None else weights[labels].to(values.dtype))

        return terms


def label_log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """(B,) log of p_y / (1 - p_y), softmax probabilities of logits (B, C), C >= 2.

    It holds both log p and log(1 - p), each exact where the other rounds to 0, so that no power
    of a rounded 1 - p is ever differentiated.
    """
    label = labels.unsqueeze(1)
    others = logits.scatter(1, label, -math.inf).logsumexp(1)
    return logits.gather(1, label).squeeze(1) - others
