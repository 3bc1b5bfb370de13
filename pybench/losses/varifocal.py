"""Varifocal loss: class scores that rank boxes by how well they fit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pybench import checks
from pybench.losses._quality import log_odds_and_quality
from pybench.types import BoxOutput, BoxTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class Varifocal:
    r"""Binary cross entropy towards the IoU of the box, with negatives faded and positives not.

    .. math:: \sum_c \begin{cases} -q (q \log p_c + (1 - q) \log(1 - p_c)) & q > 0 \\
        -\alpha p_c^\gamma \log(1 - p_c) & q = 0 \end{cases}, \quad
        p_c = \sigma(z_c - z_0)

    where q is the IoU of the predicted with the true box for the class of the cell, a constant
    for the gradient, and 0 elsewhere.

    Fields:
        alpha: weight of the negatives, >= 0.
        gamma: focusing exponent of the negatives, >= 0.

    Inputs: logits (N, C) or (B, A, C), class 0 the background; boxes (..., 4) xyxy in pixels,
        predicted and true; labels.
    Returns: (N,) or (B A,) terms >= 0, nats, summed over object classes. Their sum is to be
        divided by the positive cells. Trains no boxes: add a loss that does.
    Raises: ValueError if a field is out of range, shapes differ, or a label is not in [0, C).
    Source: Zhang, Wang, Dayoub, Suenderhauf: VarifocalNet: An IoU-aware Dense Object Detector,
        CVPR 2021, eq. (2).
    Deviations: the background has a logit of its own, so that the score of a class is the sigmoid
        of its lead over it: that of the source where the background has logit 0, and the softmax
        probability where there is one class of objects. A positive cell whose boxes do not touch
        counts as a negative, as in the formula.

    Example:
        >>> import torch, pybench.losses as pl
        >>> boxes = torch.tensor([[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
        >>> true = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
        >>> fn = pl.loss("varifocal(alpha=0.75, gamma=2)").prepare(pl.LossContext())
        >>> terms = fn((torch.zeros(2, 2), boxes), (torch.tensor([1, 0]), true))
        >>> terms / torch.tensor(2.0).log()  # q = 1/2; .75 / 4
        tensor([0.5000, 0.1875])
    """

    alpha: float = 0.75
    gamma: float = 2.0

    reads: ClassVar[Kind] = "boxes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Zhang, Wang, Dayoub, Suenderhauf: VarifocalNet: An IoU-aware Dense Object Detector, "
        "CVPR 2021, eq. (2)"
    )

    def __post_init__(self) -> None:
        checks.require(0 <= self.alpha < math.inf, "alpha", "finite and >= 0", self.alpha)
        checks.require(0 <= self.gamma < math.inf, "gamma", "finite and >= 0", self.gamma)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(self, output: BoxOutput, target: BoxTarget, *, progress: float = 0.0) -> Tensor:
        """Terms (N,)."""
        odds, quality = log_odds_and_quality("varifocal", output, target)
        log_p, log_rest = logsigmoid(odds), logsigmoid(-odds)
        positive = quality * (quality * log_p + (1 - quality) * log_rest)
        negative = self.alpha * (self.gamma * log_p).exp() * log_rest
        return -torch.where(quality > 0, positive, negative).sum(1)
