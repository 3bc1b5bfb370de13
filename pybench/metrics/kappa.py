"""Cohen's kappa."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.scoring.classes import ClassMetric, Score, Scored, confusion


@dataclass(frozen=True)
class Kappa(ClassMetric):
    r"""Agreement of prediction and truth beyond chance; 1 is perfect, 0 is chance.

    .. math:: \frac{p_o - p_e}{1 - p_e}, \quad p_o = \frac{1}{N}\sum_c TP_c, \quad
        p_e = \sum_c \frac{t_c}{N} \frac{p_c}{N}

    with t_c samples of class c and p_c predictions of it.

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which the largest is the prediction.
    Returns: the overall value; None without samples, or when both are of one class throughout.
    Raises: ValueError for shapes, labels out of range or scores that are not finite.
    Source: Cohen: A Coefficient of Agreement for Nominal Scales, 1960.

    Example:
        >>> Kappa()([0, 0, 1, 1], [[2, 1], [1, 2], [1, 2], [1, 2]])  # (3/4 - 1/2) / (1 - 1/2)
        {'': 0.5}
    """

    unit: ClassVar[str] = "agreement"
    source: ClassVar[str] = (
        "Cohen: A Coefficient of Agreement for Nominal Scales, "
        "Educational and Psychological Measurement 1960"
    )

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        counts = confusion(data)
        there, said = counts.sum(1).tolist(), counts.sum(0).tolist()
        size, right = sum(there), int(counts.trace())
        chance = sum(t * p for t, p in zip(there, said, strict=True))
        left = size * size - chance
        return {"": (size * right - chance) / left if left else None}
