"""Generalised intersection over union of boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pybench import checks
from pybench.losses._overlap import EPSILON, overlap
from pybench.types import BoxOutput, BoxTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class Giou:
    r"""Overlap, less the share of the smallest common box that neither box fills.

    .. math:: 1 - \frac{|P \cap T|}{|P \cup T|} + \frac{|H| - |P \cup T|}{|H|}, \quad
        H \text{ the smallest box around both}

    Inputs: boxes (N, 4) or (B, A, 4) xyxy in pixels, predicted and true; labels, 0 = background.
    Returns: (N,) or (B A,) terms in [0, 2], one per cell, 0 on background. Their sum is to be
        divided by the positive cells.
    Raises: ValueError if shapes differ.
    Source: Rezatofighi, Tsoi, Gwak, Sadeghian, Reid, Savarese: Generalized Intersection over
        Union: A Metric and a Loss for Bounding Box Regression, CVPR 2019, algorithm 2.
    Deviations: a predicted box whose corners are swapped has no area; areas are divided by at
        least 1e-7 square pixels.

    Example:
        >>> import torch, pybench.losses as pl
        >>> cell, box = torch.zeros(1, 2), torch.tensor([[0.0, 0.0, 1.0, 1.0]])
        >>> fn = pl.loss("giou").prepare(pl.LossContext())
        >>> fn((cell, box), (torch.tensor([1]), box + torch.tensor([3.0, 0.0, 3.0, 0.0])))  # 2 of 4
        tensor([1.5000])
    """

    reads: ClassVar[Kind] = "boxes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Rezatofighi, Tsoi, Gwak, Sadeghian, Reid, Savarese: Generalized Intersection over Union: "
        "A Metric and a Loss for Bounding Box Regression, CVPR 2019, algorithm 2"
    )

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(self, output: BoxOutput, target: BoxTarget, *, progress: float = 0.0) -> Tensor:
        """Terms (N,)."""
        predicted, true, labels = checks.cell_boxes(output, target)
        boxes = overlap(predicted, true)
        hull = boxes.hull.prod(1)
        terms = 1 - boxes.iou + (hull - boxes.union) / hull.clamp(min=EPSILON)
        return terms.masked_fill(labels <= 0, 0)
