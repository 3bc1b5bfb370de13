"""Precision of detections by overlap."""

from __future__ import annotations

from dataclasses import dataclass

from pybench.scoring.boxes import Found, OverlapMetric
from pybench.scoring.classes import Score


@dataclass(frozen=True)
class DetectionPrecision(OverlapMetric):
    r"""Share of the sure detections of a class that find an object.

    .. math:: TP_c / P_c \quad \text{for } P_c \text{ detections}

    Fields:
        iou: least overlap of a detection and its object, in (0, 1].
        threshold: least confidence of a detection that counts.

    Inputs: truth and scores, one tuple per image, as in :mod:`pybench.scoring.boxes`.
    Returns: per object class, None for a class never detected; overall the mean of the defined.
    Raises: ValueError for shapes, classes out of range or values that are not finite.
    Source: van Rijsbergen: Information Retrieval, Butterworths 1979, chapter 7; matching as in
        Everingham et al., The Pascal Visual Object Classes Challenge, IJCV 2010.

    Example:
        >>> true = [([[0, 0, 2, 2], [5, 5, 7, 7]], [1, 1])]
        >>> said = [([[0, 0, 2, 2], [9, 9, 10, 10]], [1, 1], [0.9, 0.3])]
        >>> DetectionPrecision()(true, said, classes=["background", "person"])  # 1 of 1
        {'': 1.0, 'person': 1.0}
    """

    def of(self, counts: Found) -> Score:
        """Score one class of objects."""
        return counts.hits / counts.said if counts.said else None
