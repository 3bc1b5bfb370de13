"""Recall of detections by overlap."""

from __future__ import annotations

from dataclasses import dataclass

from pybench.scoring.boxes import Found, OverlapMetric
from pybench.scoring.classes import Score


@dataclass(frozen=True)
class DetectionRecall(OverlapMetric):
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

    def of(self, counts: Found) -> Score:
        """Score one class of objects."""
        return counts.hits / counts.there if counts.there else None
