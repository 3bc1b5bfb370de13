"""Quality focal loss: class scores that tell how well the box fits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from pybench import checks
from pybench.losses._quality import log_odds_and_quality
from pybench.types import BoxOutput, BoxTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class QualityFocal:
    r"""Binary cross entropy towards the IoU of the box, counting less the nearer the score is.

    .. math:: -\sum_c |q - p_c|^\beta (q \log p_c + (1 - q) \log(1 - p_c)), \quad
        p_c = \sigma(z_c - z_0)

    where q is the IoU of the predicted with the true box for the class of the cell, a constant
    for the gradient, and 0 elsewhere.

    Fields:
        beta: focusing exponent, >= 1 (below, the gradient is infinite at q = p), or 0 for none.

    Inputs: logits (N, C) or (B, A, C), class 0 the background; boxes (..., 4) xyxy in pixels,
        predicted and true; labels.
    Returns: (N,) or (B A,) terms >= 0, nats, summed over object classes. Their sum is to be
        divided by the positive cells. Trains no boxes: add a loss that does.
    Raises: ValueError if beta is out of range, shapes differ, or a label is not in [0, C).
    Source: Li, Wang, Wu, Chen, Hu, Li, Tang, Yang: Generalized Focal Loss: Learning Qualified and
        Distributed Bounding Boxes for Dense Object Detection, NeurIPS 2020, eq. (2).
    Deviations: the background has a logit of its own, so that the score of a class is the sigmoid
        of its lead over it: that of the source where the background has logit 0, and the softmax
        probability where there is one class of objects.

    Example:
        >>> import torch, pybench.losses as pl
        >>> boxes = torch.tensor([[0.0, 0.0, 4.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
        >>> true = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
        >>> fn = pl.loss("quality_focal(beta=2)").prepare(pl.LossContext())
        >>> terms = fn((torch.zeros(2, 2), boxes), (torch.tensor([1, 0]), true))
        >>> terms / torch.tensor(2.0).log()  # (1/4 - 1/2)^2; (1/2)^2
        tensor([0.0625, 0.2500])
    """

    beta: float = 2.0

    reads: ClassVar[Kind] = "boxes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Li, Wang, Wu, Chen, Hu, Li, Tang, Yang: Generalized Focal Loss: Learning Qualified and "
        "Distributed Bounding Boxes for Dense Object Detection, NeurIPS 2020, eq. (2)"
    )

    def __post_init__(self) -> None:
        fine = self.beta == 0 or 1 <= self.beta < math.inf
        checks.require(fine, "beta", "0, or finite and >= 1", self.beta)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(self, output: BoxOutput, target: BoxTarget, *, progress: float = 0.0) -> Tensor:
        """Terms (N,)."""
        odds, quality = log_odds_and_quality("quality_focal", output, target)
        entropy = quality * logsigmoid(odds) + (1 - quality) * logsigmoid(-odds)
        return -((quality - odds.sigmoid()).abs().pow(self.beta) * entropy).sum(1)
