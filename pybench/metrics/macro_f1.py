"""Macro F1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.scoring.classes import ClassMetric, Score, Scored, confusion, mean, ratios


@dataclass(frozen=True)
class MacroF1(ClassMetric):
    r"""Mean over classes of their F1, each class counting the same.

    .. math:: \frac{1}{K} \sum_c F_c, \quad F_c = 2 TP_c / (2 TP_c + FP_c + FN_c)

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which the largest is the prediction.
    Returns: the overall value, over the K classes that are present or predicted; None without
        samples.
    Raises: ValueError for shapes, labels out of range or scores that are not finite.
    Source: Opitz, Burst: Macro F1 and Macro F1, 2019, eq. (2), the mean of F1 scores.

    Example:
        >>> MacroF1()([0, 0, 1], [[2, 1], [1, 2], [1, 2]], classes=["deer", "boar"])
        {'': 0.6666666666666666}
    """

    source: ClassVar[str] = "Opitz, Burst: Macro F1 and Macro F1, 2019, the mean of F1 scores"

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        counts = confusion(data)
        return {"": mean(ratios(2 * counts.diagonal(), counts.sum(0) + counts.sum(1)))}
