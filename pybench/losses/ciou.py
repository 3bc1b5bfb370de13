"""Complete intersection over union of boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pybench import checks
from pybench.losses._overlap import EPSILON, centre_distance, overlap, sides
from pybench.types import BoxOutput, BoxTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class Ciou:
    r"""Overlap, how far apart the centres are, and how the proportions differ.

    .. math:: 1 - \mathrm{IoU} + \frac{\rho^2}{c^2} + \frac{v^2}{1 - \mathrm{IoU} + v}, \quad
        v = \frac{4}{\pi^2}
        \Bigl(\arctan\frac{w_T}{h_T} - \arctan\frac{w_P}{h_P}\Bigr)^2

    with :math:`\rho` the distance of the centres and :math:`c` the diagonal of the smallest box
    around both. The trade-off v / (1 - IoU + v) is a constant for the gradient.

    Inputs: boxes (N, 4) or (B, A, 4) xyxy in pixels, predicted and true; labels, 0 = background.
    Returns: (N,) or (B A,) terms in [0, 3), one per cell, 0 on background. Their sum is to be
        divided by the positive cells.
    Raises: ValueError if shapes differ.
    Source: Zheng, Wang, Liu, Li, Ye, Ren: Distance-IoU Loss: Faster and Better Learning for
        Bounding Box Regression, AAAI 2020, eq. (10).
    Deviations: the gradient of v is not scaled by its w^2 + h^2, as the authors do in their
        code. A predicted box whose corners are swapped has no area; what is divided by is at
        least 1e-7, and so are sides before the arctangent.

    Example:
        >>> import torch, pybench.losses as pl
        >>> cell, tall = torch.zeros(1, 2), torch.tensor([[1.0, 0.0, 2.0, 3.0]])
        >>> fn = pl.loss("ciou").prepare(pl.LossContext())
        >>> flat = torch.tensor([[0.0, 1.0, 3.0, 2.0]])  # IoU 1/5, v = (2/pi atan(4/3))^2 = .3485
        >>> fn((cell, tall), (torch.tensor([1]), flat))
        tensor([0.9057])
    """

    reads: ClassVar[Kind] = "boxes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Zheng, Wang, Liu, Li, Ye, Ren: Distance-IoU Loss: Faster and Better Learning for Bounding "
        "Box Regression, AAAI 2020, eq. (10)"
    )

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(self, output: BoxOutput, target: BoxTarget, *, progress: float = 0.0) -> Tensor:
        """Terms (N,)."""
        predicted, true, labels = checks.cell_boxes(output, target)
        boxes = overlap(predicted, true)
        shape = 4 / math.pi**2 * (_angle(true) - _angle(predicted)).square()
        with torch.no_grad():
            trade_off = shape / (1 - boxes.iou + shape).clamp(min=EPSILON)
        terms = 1 - boxes.iou + centre_distance(predicted, true, boxes.hull) + trade_off * shape
        return terms.masked_fill(labels <= 0, 0)


def _angle(boxes: Tensor) -> Tensor:
    """(N,) angle whose tangent is width over height."""
    width, height = sides(boxes).clamp(min=EPSILON).unbind(1)
    return torch.atan2(width, height)
