"""The area under the curve by a squared margin between the classes' mean scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import one_hot

from pybench import checks
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class AucMargin:
    r"""Each class's samples score alike, and above the others by a margin; the mean over classes.

    .. math:: \mathrm{var}(p \mid y = c) + \mathrm{var}(p \mid y \ne c)
        + \max(0,\, m - \mathrm{mean}(p \mid y = c) + \mathrm{mean}(p \mid y \ne c))^2

    with p the softmax probability of class c, and variances and means over the batch.

    Fields:
        margin: m, >= 0. With 1 this is the mean of :math:`(1 - p_i + p_j)^2` over all pairs of a
            sample i of the class and a sample j of another.

    Inputs: logits (B, C); labels (B,).
    Returns: 0-d, >= 0.
    Raises: ValueError if margin is negative, for an empty batch or mixed labels.
    Source: Yuan, Yan, Sonka, Yang: Large-Scale Robust Deep AUC Maximization: A New Surrogate Loss
        and Empirical Studies on Medical Image Classification, ICCV 2021, section 3.
    Deviations: the source finds the means and the multiplier of the margin by steps of descent and
        ascent over all batches; here they are those of the batch, where both have a closed form,
        so that any optimiser will do. Softmax in the place of the sigmoid, each class against the
        rest. A class that has no sample in the batch, or all of them, is left out.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("auc_margin").prepare(pl.LossContext(num_classes=2))
        >>> z = torch.tensor([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]).log()
        >>> fn(z, [0, 0, 1])  # (1/4)^2 + 0 + (1 - 1/2 + 1/2)^2
        tensor(1.0625)
    """

    margin: float = 1.0

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Yuan, Yan, Sonka, Yang: Large-Scale Robust Deep AUC Maximization: A New Surrogate Loss "
        "and Empirical Studies on Medical Image Classification, ICCV 2021, section 3"
    )

    def __post_init__(self) -> None:
        checks.require(0 <= self.margin < math.inf, "margin", "finite and >= 0", self.margin)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(
        self, output: ClassOutput, target: ClassTarget, *, progress: float = 0.0
    ) -> Tensor:
        """One value for the batch."""
        logits, labels = checks.hard_classes("auc_margin", output, target)
        checks.require(len(labels) > 0, "batch", "at least one sample", "none")
        scores = logits.softmax(1)
        inside = one_hot(labels, logits.shape[1]).to(scores.dtype)
        mean, spread = _moments(scores, inside)
        rival, its_spread = _moments(scores, 1 - inside)
        values = spread + its_spread + (self.margin - mean + rival).relu().square()
        both = inside.amax(0) * (1 - inside).amax(0)
        return (values * both).sum() / both.sum().clamp(min=1)


def _moments(scores: Tensor, members: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (C,) of scores (B, C) over members (B, C), 0 without any."""
    number = members.sum(0).clamp(min=1)
    mean = (scores * members).sum(0) / number
    return mean, ((scores - mean).square() * members).sum(0) / number
