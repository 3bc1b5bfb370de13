"""Box regression, quadratic near the truth and linear far from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import huber_loss, smooth_l1_loss

from pybench import checks
from pybench.types import BoxOutput, BoxTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class SmoothL1:
    r"""Distance of the coordinates of a box that bounds the pull of outliers.

    .. math:: \sum_{k=1}^4 \begin{cases} d_k^2 / (2\delta) & |d_k| \le \delta \\
        |d_k| - \delta / 2 & \text{otherwise} \end{cases}

    Fields:
        delta: where the quadratic part ends, in pixels, > 0.
        form: ``"repaired"`` as above; ``"huber"`` is delta times it; ``"literal"`` has the
            quadratic part d^2 / 2 of the source, which jumps at delta. All agree at delta=1.

    Inputs: boxes (N, 4) or (B, A, 4) xyxy in pixels, predicted and true; labels, 0 = background.
    Returns: (N,) or (B A,) terms >= 0, one per cell, 0 on background. Their sum is to be divided
        by the positive cells. Pixels; square pixels for ``"huber"``.
    Raises: ValueError if delta is not > 0 or shapes differ.
    Source: Girshick: Fast R-CNN, ICCV 2015, eq. (3).
    Deviations: ``"literal"`` is the box loss of the low-resolution thermal detection draft,
        whose branches meet only at delta=1; ``"repaired"`` keeps its linear branch. Not
        invariant to rotation: it is a sum over coordinates.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("smooth_l1").prepare(pl.LossContext())
        >>> cell, box = torch.zeros(1, 2), torch.tensor([[0.0, 0.0, 3.0, 4.5]])
        >>> fn((cell, box), (torch.tensor([1]), torch.tensor([[0.0, 0.0, 3.0, 3.0]])))
        tensor([1.])
    """

    delta: float = 1.0
    form: Literal["repaired", "huber", "literal"] = "repaired"

    reads: ClassVar[Kind] = "boxes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = "Girshick: Fast R-CNN, ICCV 2015, eq. (3)"

    def __post_init__(self) -> None:
        checks.require(0 < self.delta < math.inf, "delta", "finite and > 0", self.delta)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(self, output: BoxOutput, target: BoxTarget, *, progress: float = 0.0) -> Tensor:
        """Terms (N,)."""
        predicted, true, _ = checks.cell_boxes(output, target)
        if self.form == "repaired":
            values = smooth_l1_loss(predicted, true, reduction="none", beta=self.delta)
        elif self.form == "huber":
            values = huber_loss(predicted, true, reduction="none", delta=self.delta)
        else:
            distance = (predicted - true).abs()
            near = distance <= self.delta
            values = torch.where(near, distance.square() / 2, distance - self.delta / 2)
        return values.sum(-1)
