"""Average precision of detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pybench.checks import require
from pybench.scoring.boxes import BoxMetric, Detections, Image, detections, overlap
from pybench.scoring.classes import Score, mean


@dataclass(frozen=True)
class BoxAp(BoxMetric):
    r"""Mean precision over 101 recalls of the detections of each class, best first.

    .. math:: \frac{1}{101} \sum_{r \in \{0, .01, \dots, 1\}} \max_{k : R_k \ge r} P_k

    Fields:
        iou: least overlap of a detection and its object, in (0, 1]; a list is averaged over.
            ``box_ap(iou=0.5)`` is AP50.
        area: two shares of the area of the image: only objects from the first to below the second
            are to be found. None takes all.

    Inputs: truth and scores, one tuple per image, as in :mod:`pybench.scoring.boxes`; with ``area``
        also the size of the images.
    Returns: per object class, None for a class without objects; overall the mean of the defined.
    Raises: ValueError for shapes, classes out of range or values that are not finite.
    Source: Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014, and its evaluation.
    Deviations: no limit of 100 detections per image; bands of area are relative to the image,
        since on a sensor of few pixels every box would be small.

    Example:
        >>> true = [([[0, 0, 2, 2], [5, 5, 7, 7]], [1, 1])]
        >>> said = [([[0, 0, 2, 2], [9, 9, 10, 10]], [1, 1], [0.9, 0.8])]
        >>> BoxAp()(true, said, classes=["background", "person"])  # recalls 0 to .5: 51 of 101
        {'': 0.504950495049505, 'person': 0.504950495049505}
    """

    iou: float | tuple[float, ...] = 0.5
    area: tuple[float, ...] | None = None

    source: ClassVar[str] = (
        "Lin, Maire, Belongie, Hays, Perona, Ramanan, Dollar, Zitnick: Microsoft COCO: Common "
        "Objects in Context, ECCV 2014"
    )

    def __post_init__(self) -> None:
        fine = bool(self._thresholds) and all(0 < iou <= 1 for iou in self._thresholds)
        require(fine, "iou", "in (0, 1], at least one", self.iou)
        if self.area is not None:
            rising = len(self.area) == 2 and 0 <= self.area[0] < self.area[1]
            require(rising, "area", "two shares >= 0, the smaller first", list(self.area))

    @property
    def _thresholds(self) -> tuple[float, ...]:
        return self.iou if isinstance(self.iou, tuple) else (self.iou,)

    def score(self, pictures: Sequence[Image], number: int) -> Score:
        """Score one class of objects."""
        band = None if self.area is None else (self.area[0], self.area[1])
        return mean(
            _area(detections(pictures, number, overlap, iou, band)) for iou in self._thresholds
        )


def _area(matched: Detections) -> float | None:
    if not matched.objects:
        return None
    hits = np.cumsum(matched.hit)
    precision = hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    # In hundredths of objects, so that a recall of exactly r is never rounded below it.
    reached = np.searchsorted(100 * hits, np.arange(101) * matched.objects, side="left")
    return float(np.append(best, 0.0)[reached].mean())
