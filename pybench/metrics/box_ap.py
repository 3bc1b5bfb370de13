"""Average precision of detections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pybench import core
from pybench.checks import require
from pybench.scoring.boxes import BoxMetric, Image
from pybench.scoring.classes import Score


@dataclass(frozen=True)
class BoxAp(BoxMetric):
    r"""Mean precision over 101 recalls of the detections of each class, best first.

    .. math:: \frac{1}{101} \sum_{r \in \{0, .01, \dots, 1\}} \max_{k : R_k \ge r} P_k

    Fields:
        iou: least overlap of a detection and its object, in (0, 1]; a list is averaged over.
            ``box_ap(iou=0.5)`` is AP50.
        area: two shares of the area of the image: only objects from the first to the second are
            to be found. None takes all.

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

    def score(self, pictures: Sequence[Image], numbers: range) -> list[Score]:
        """Score each class of objects."""
        sizes = [image.size for image in pictures if image.size is not None]
        if self.area is not None:
            told, remedy = len(sizes) == len(pictures), "areas are relative to it"
            require(told, "size", "the height and width of the images", "none", remedy)
        found = core.mean_average_precision(
            [(image.boxes, image.labels) for image in pictures],
            [(image.found, image.found_labels, image.confidence) for image in pictures],
            num_classes=numbers.stop,
            iou_thresholds=self._thresholds,
            areas=None if self.area is None else [("band", (self.area[0], self.area[1]))],
            image_sizes=sizes if self.area is not None else None,
            max_dets=None,
        )
        table = found["ap"] if self.area is None else found["areas"]["band"]["ap"]
        means = table.mean(0)[numbers.start : numbers.stop].tolist()
        return [None if math.isnan(value) else value for value in means]
