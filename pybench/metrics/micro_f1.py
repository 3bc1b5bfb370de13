"""Micro F1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.scoring.classes import ClassMetric, Score, Scored, confusion


@dataclass(frozen=True)
class MicroF1(ClassMetric):
    r"""F1 of all classes' decisions pooled; with one label per sample it equals accuracy.

    .. math:: 2 TP / (2 TP + FP + FN), \quad TP = \sum_c TP_c, \dots

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which the largest is the prediction.
    Returns: the overall value; None without samples.
    Raises: ValueError for shapes, labels out of range or scores that are not finite.
    Source: Sokolova, Lapalme: A Systematic Analysis of Performance Measures, 2009, table 3.

    Example:
        >>> MicroF1()([0, 0, 1], [[2, 1], [1, 2], [1, 2]], classes=["deer", "boar"])
        {'': 0.6666666666666666}
    """

    source: ClassVar[str] = (
        "Sokolova, Lapalme: A Systematic Analysis of Performance Measures, 2009, table 3"
    )

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        counts = confusion(data)
        right, drawn = int(counts.trace()), int(counts.sum())
        # Each wrong sample is missed by its class and falsely claimed by another.
        return {"": 2 * right / (2 * right + 2 * (drawn - right)) if drawn else None}
