"""Balanced accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.scoring.classes import ClassMetric, Score, Scored, confusion, mean, ratios


@dataclass(frozen=True)
class BalancedAccuracy(ClassMetric):
    r"""Mean over classes of the share that is found: accuracy if classes were equally frequent.

    .. math:: \frac{1}{K} \sum_c TP_c / (TP_c + FN_c)

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which the largest is the prediction.
    Returns: the overall value, over the K classes that have samples; None without samples.
    Raises: ValueError for shapes, labels out of range or scores that are not finite.
    Source: Brodersen, Ong, Stephan, Buhmann: The Balanced Accuracy and Its Posterior Distribution,
        ICPR 2010.

    Example:
        >>> BalancedAccuracy()([0, 0, 1], [[2, 1], [1, 2], [1, 2]], classes=["deer", "boar"])
        {'': 0.75}
    """

    source: ClassVar[str] = (
        "Brodersen, Ong, Stephan, Buhmann: The Balanced Accuracy and Its Posterior Distribution, "
        "ICPR 2010"
    )

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        counts = confusion(data)
        return {"": mean(ratios(counts.diagonal(), counts.sum(1)))}
