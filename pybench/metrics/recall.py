"""Recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.scoring.classes import ClassMetric, Score, Scored, confusion, ratios, with_mean


@dataclass(frozen=True)
class Recall(ClassMetric):
    r"""Share of a class that is found.

    .. math:: R_c = TP_c / (TP_c + FN_c)

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which the largest is the prediction.
    Returns: per class, None for a class without samples; overall the mean of the defined.
    Raises: ValueError for shapes, labels out of range or scores that are not finite.
    Source: van Rijsbergen: Information Retrieval, Butterworths 1979, chapter 7.

    Example:
        >>> Recall()([0, 0, 1], [[2, 1], [1, 2], [1, 2]], classes=["deer", "boar"])
        {'': 0.75, 'deer': 0.5, 'boar': 1.0}
    """

    source: ClassVar[str] = "van Rijsbergen: Information Retrieval, Butterworths 1979, chapter 7"

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        counts = confusion(data)
        return with_mean(data.classes, ratios(counts.diagonal(), counts.sum(1)))
