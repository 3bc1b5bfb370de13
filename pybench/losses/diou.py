"""Distance intersection over union of boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pybench import checks
from pybench.losses._overlap import centre_distance, overlap
from pybench.types import BoxOutput, BoxTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class Diou:
    r"""Overlap, and how far apart the centres are.

    .. math:: 1 - \frac{|P \cap T|}{|P \cup T|} + \frac{\rho^2}{c^2}

    with :math:`\rho` the distance of the centres and :math:`c` the diagonal of the smallest box
    around both.

    Inputs: boxes (N, 4) or (B, A, 4) xyxy in pixels, predicted and true; labels, 0 = background.
    Returns: (N,) or (B A,) terms in [0, 2), one per cell, 0 on background. Their sum is to be
        divided by the positive cells.
    Raises: ValueError if shapes differ.
    Source: Zheng, Wang, Liu, Li, Ye, Ren: Distance-IoU Loss: Faster and Better Learning for
        Bounding Box Regression, AAAI 2020, eq. (7).
    Deviations: a predicted box whose corners are swapped has no area; what is divided by is at
        least 1e-7.

    Example:
        >>> import torch, pybench.losses as pl
        >>> cell, box = torch.zeros(1, 2), torch.tensor([[0.0, 0.0, 1.0, 4.0]])
        >>> fn = pl.loss("diou").prepare(pl.LossContext())
        >>> fn((cell, box), (torch.tensor([1]), box + torch.tensor([2.0, 0.0, 2.0, 0.0])))  # 4 / 25
        tensor([1.1600])
    """

    reads: ClassVar[Kind] = "boxes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Zheng, Wang, Liu, Li, Ye, Ren: Distance-IoU Loss: Faster and Better Learning for Bounding "
        "Box Regression, AAAI 2020, eq. (7)"
    )

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(self, output: BoxOutput, target: BoxTarget, *, progress: float = 0.0) -> Tensor:
        """Terms (N,)."""
        predicted, true, labels = checks.cell_boxes(output, target)
        boxes = overlap(predicted, true)
        terms = 1 - boxes.iou + centre_distance(predicted, true, boxes.hull)
        return terms.masked_fill(labels <= 0, 0)
