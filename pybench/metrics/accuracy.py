"""Accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.scoring.classes import ClassMetric, Score, Scored


@dataclass(frozen=True)
class Accuracy(ClassMetric):
    r"""Share of the samples that are predicted right; says little when classes are imbalanced.

    .. math:: \frac{1}{N} \sum_i [\hat y_i = y_i]

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which the largest is the prediction.
    Returns: the overall value; None without samples.
    Raises: ValueError for shapes, labels out of range or scores that are not finite.
    Source: Sokolova, Lapalme: A Systematic Analysis of Performance Measures, 2009.

    Example:
        >>> Accuracy()([0, 0, 1], [[2, 1], [1, 2], [1, 2]], classes=["deer", "boar"])
        {'': 0.6666666666666666}
    """

    source: ClassVar[str] = "Sokolova, Lapalme: A Systematic Analysis of Performance Measures, 2009"

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        right = int((data.scores.argmax(1) == data.truth).sum())
        return {"": right / len(data.truth) if len(data.truth) else None}
