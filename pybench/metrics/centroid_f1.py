"""F1 of detections by distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pybench.checks import require
from pybench.scoring.boxes import BoxMetric, Image, closeness, sure_detections
from pybench.scoring.classes import Score


@dataclass(frozen=True)
class CentroidF1(BoxMetric):
    r"""F1 where a detection finds the object whose centre is near its own.

    .. math:: F_c = 2 TP_c / (P_c + G_c) \quad \text{for } P_c \text{ detections and } G_c
        \text{ objects}

    On images of few pixels a box one pixel off loses most of its overlap, and counting people
    needs their places only.

    Fields:
        radius: largest distance of the centres, pixels, >= 0.
        threshold: least confidence of a detection that counts.

    Inputs: truth and scores, one tuple per image, as in :mod:`pybench.scoring.boxes`.
    Returns: per object class, None for a class neither present nor detected; overall the mean of
        the defined.
    Raises: ValueError for shapes, classes out of range or values that are not finite.
    Source: van Rijsbergen: Information Retrieval, Butterworths 1979, chapter 7.

    Example:
        >>> true = [([[0, 0, 2, 2], [5, 5, 7, 7]], [1, 1])]
        >>> said = [([[1, 1, 3, 3], [9, 9, 10, 10]], [1, 1], [0.9, 0.8])]
        >>> CentroidF1()(true, said, classes=["background", "person"])  # 2 * 1 / (2 + 2)
        {'': 0.5, 'person': 0.5}
    """

    radius: float = 2.0
    threshold: float = 0.5

    source: ClassVar[str] = "van Rijsbergen: Information Retrieval, Butterworths 1979, chapter 7"

    def __post_init__(self) -> None:
        require(self.radius >= 0, "radius", ">= 0", self.radius)

    def score(self, pictures: Sequence[Image], numbers: range) -> list[Score]:
        """Score each class of objects."""
        counts = sure_detections(pictures, numbers, closeness, -self.radius, self.threshold)
        return [found.f1 for found in counts]
