"""Matthews correlation coefficient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.scoring.classes import ClassMetric, Score, Scored, confusion


@dataclass(frozen=True)
class Mcc(ClassMetric):
    r"""Correlation of prediction and truth, in [-1, 1]; 0 is no better than guessing.

    .. math:: \frac{N \sum_c TP_c - \sum_c t_c p_c}{\sqrt{(N^2 - \sum_c t_c^2)(N^2 - \sum_c p_c^2)}}

    with t_c samples of class c and p_c predictions of it.

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which the largest is the prediction.
    Returns: the overall value; 0 when one class is always predicted, None when all samples are of
        one class.
    Raises: ValueError for shapes, labels out of range or scores that are not finite.
    Source: Gorodkin: Comparing Two K-category Assignments by a K-category Correlation Coefficient,
        Computational Biology and Chemistry 2004.

    Example:
        >>> Mcc()([0, 0, 1], [[2, 1], [1, 2], [1, 2]], classes=["deer", "boar"])
        {'': 0.5}
    """

    unit: ClassVar[str] = "correlation"
    source: ClassVar[str] = (
        "Gorodkin: Comparing Two K-category Assignments by a K-category Correlation Coefficient, "
        "Computational Biology and Chemistry 2004"
    )

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        counts = confusion(data)
        # Python integers: the products outgrow 64 bits at 60,000 samples.
        there, said = counts.sum(1).tolist(), counts.sum(0).tolist()
        size, right = sum(there), int(counts.trace())
        spread = size**2 - sum(n * n for n in there)
        said_spread = size**2 - sum(n * n for n in said)
        if not spread:
            return {"": None}
        above = size * right - sum(t * p for t, p in zip(there, said, strict=True))
        return {"": above / (spread * said_spread) ** 0.5 if said_spread else 0.0}
