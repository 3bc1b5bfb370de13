"""Weighted F1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.scoring.classes import ClassMetric, Score, Scored, confusion, ratios


@dataclass(frozen=True)
class WeightedF1(ClassMetric):
    r"""Mean over samples of the F1 of their class: dominated by the frequent classes.

    .. math:: \sum_c \frac{n_c}{N} F_c, \quad F_c = 2 TP_c / (2 TP_c + FP_c + FN_c)

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which the largest is the prediction.
    Returns: the overall value; None without samples.
    Raises: ValueError for shapes, labels out of range or scores that are not finite.
    Source: van Rijsbergen: Information Retrieval, Butterworths 1979, chapter 7.

    Example:
        >>> WeightedF1()([0, 0, 1], [[2, 1], [2, 1], [2, 1]], classes=["deer", "boar"])  # 2/3 of .8
        {'': 0.5333333333333333}
    """

    source: ClassVar[str] = (
        "van Rijsbergen: Information Retrieval, Butterworths 1979, chapter 7, weighted by support"
    )

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        counts = confusion(data)
        each = ratios(2 * counts.diagonal(), counts.sum(0) + counts.sum(1))
        size = int(counts.sum())
        total = sum(n * f1 for n, f1 in zip(counts.sum(1).tolist(), each, strict=True) if f1)
        return {"": total / size if size else None}
