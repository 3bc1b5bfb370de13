"""F1 of each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.scoring.classes import ClassMetric, Score, Scored, confusion, ratios, with_mean


@dataclass(frozen=True)
class F1(ClassMetric):
    r"""Harmonic mean of precision and recall, class by class.

    .. math:: F_c = 2 TP_c / (2 TP_c + FP_c + FN_c)

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which the largest is the prediction.
    Returns: per class, None for a class neither present nor predicted; overall the mean of the
        defined.
    Raises: ValueError for shapes, labels out of range or scores that are not finite.
    Source: van Rijsbergen: Information Retrieval, Butterworths 1979, chapter 7.

    Example:
        >>> F1()([0, 0, 1], [[2, 1], [1, 2], [1, 2]], classes=["deer", "boar"])
        {'': 0.6666666666666666, 'deer': 0.6666666666666666, 'boar': 0.6666666666666666}
    """

    source: ClassVar[str] = "van Rijsbergen: Information Retrieval, Butterworths 1979, chapter 7"

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        counts = confusion(data)
        found = counts.sum(0) + counts.sum(1)
        return with_mean(data.classes, ratios(2 * counts.diagonal(), found))
