"""Recall of detections by overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pybench.checks import require
from pybench.scoring.boxes import BoxMetric, Image, overlap, sure_detections
from pybench.scoring.classes import Score


@dataclass(frozen=True)
class DetectionRecall(BoxMetric):
    r"""Share of the objects of a class that sure detections find.

    .. math:: TP_c / G_c \quad \text{for } G_c \text{ objects}

    Fields:
        iou: least overlap of a detection and its object, in (0, 1].
        threshold: least confidence of a detection that counts.

    Inputs: truth and scores, one tuple per image, as in :mod:`pybench.scoring.boxes`.
    Returns: per object class, None for a class without objects; overall the mean of the defined.
    Raises: ValueError for shapes, classes out of range or values that are not finite.
    Source: van Rijsbergen: Information Retrieval, Butterworths 1979, chapter 7; matching as in
        Everingham et al., The Pascal Visual Object Classes Challenge, IJCV 2010.

    Example:
        >>> true = [([[0, 0, 2, 2], [5, 5, 7, 7]], [1, 1])]
        >>> said = [([[0, 0, 2, 2], [9, 9, 10, 10]], [1, 1], [0.9, 0.3])]
        >>> DetectionRecall()(true, said, classes=["background", "person"])  # 1 of 2
        {'': 0.5, 'person': 0.5}
    """

    iou: float = 0.5
    threshold: float = 0.5

    source: ClassVar[str] = (
        "van Rijsbergen: Information Retrieval, Butterworths 1979, chapter 7; Everingham, "
        "Van Gool, Williams, Winn, Zisserman: The Pascal Visual Object Classes Challenge, IJCV 2010"
    )

    def __post_init__(self) -> None:
        require(0 < self.iou <= 1, "iou", "in (0, 1]", self.iou)

    def score(self, pictures: Sequence[Image], numbers: range) -> list[Score]:
        """Score each class of objects."""
        counts = sure_detections(pictures, numbers, overlap, self.iou, self.threshold)
        return [c.hits / c.there if c.there else None for c in counts]
