"""Tversky loss: an overlap in which misses and false alarms weigh apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import one_hot

from pybench import checks
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need

EPSILON = 1e-6


@dataclass(frozen=True)
class Tversky:
    r"""One minus the Tversky index of each class, counted in probabilities; the mean over classes.

    .. math:: \left(1 - \frac{TP}{TP + \alpha FP + \beta FN}\right)^{1 / \gamma}

    with TP, FP and FN the sums over the batch of p y, p (1 - y) and (1 - p) y, p the softmax
    probability of the class and y whether it is the label.

    Fields:
        alpha: weight of a false alarm, >= 0.
        beta: weight of a miss, >= 0; alpha = beta = 1/2 is the Dice loss.
        gamma: > 0; 1 is the Tversky loss, more turns to classes that are nearly right (the focal
            Tversky loss, for which 4/3 is usual).

    Inputs: logits (B, C); labels (B,).
    Returns: 0-d, in [0, 1].
    Raises: ValueError if a field is out of range, for an empty batch or mixed labels.
    Source: Salehi, Erdogmus, Gholipour: Tversky Loss Function for Image Segmentation Using 3D
        Fully Convolutional Deep Networks, MLMI 2017, section 2.
    Deviations: samples in the place of voxels; the mean over the classes of the batch, each
        against the rest, of which one without a sample has no gradient and is left out. The
        quotient is of at least 1e-6, and so is what the root of ``gamma`` is taken of; the exponent
        is of Abraham, Khan: A Novel Focal Tversky Loss Function, ISBI 2019, section 2.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("tversky(alpha=0, beta=1)").prepare(pl.LossContext(num_classes=2))
        >>> fn(torch.zeros(3, 2), [0, 0, 1])  # TP / (TP + FN) = 1/2 of both
        tensor(0.5000)
    """

    alpha: float = 0.3
    beta: float = 0.7
    gamma: float = 1.0

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Salehi, Erdogmus, Gholipour: Tversky Loss Function for Image Segmentation Using 3D Fully "
        "Convolutional Deep Networks, MLMI 2017, section 2"
    )

    def __post_init__(self) -> None:
        checks.require(0 <= self.alpha < math.inf, "alpha", "finite and >= 0", self.alpha)
        checks.require(0 <= self.beta < math.inf, "beta", "finite and >= 0", self.beta)
        checks.require(0 < self.gamma < math.inf, "gamma", "finite and > 0", self.gamma)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(
        self, output: ClassOutput, target: ClassTarget, *, progress: float = 0.0
    ) -> Tensor:
        """One value for the batch."""
        logits, labels = checks.hard_classes("tversky", output, target)
        checks.require(len(labels) > 0, "batch", "at least one sample", "none")
        p, truth = logits.softmax(1), one_hot(labels, logits.shape[1]).to(logits.dtype)
        hits, present = (p * truth).sum(0), truth.amax(0)
        wrong = self.alpha * (p * (1 - truth)).sum(0) + self.beta * ((1 - p) * truth).sum(0)
        values = 1 - hits / (hits + wrong).clamp(min=EPSILON)
        if self.gamma != 1:
            values = values.clamp(min=EPSILON) ** (1 / self.gamma)  # a root of 0 has no gradient
        return (values * present).sum() / present.sum()
