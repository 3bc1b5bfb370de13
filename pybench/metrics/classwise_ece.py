"""Class-wise calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.checks import require
from pybench.scoring.classes import (
    ProbabilityMetric,
    Score,
    Scored,
    calibration_gap,
    equal_width,
    with_mean,
)


@dataclass(frozen=True)
class ClasswiseEce(ProbabilityMetric):
    r"""How far the probability of each class is from its frequency, over bins of equal width.

    .. math:: \sum_b \frac{n_b}{N}\,|\mathrm{freq}_{bc} - \overline{p}_{bc}|

    Fields:
        bins: number of bins, >= 1; bin b holds probabilities in (b / bins, (b + 1) / bins].

    Inputs: truth (N,) labels in [0, C); scores (N, C), rows of probabilities.
    Returns: per class, in [0, 1], also for a class without samples: its probabilities should be 0;
        overall the mean over classes. None without samples.
    Raises: ValueError for shapes, labels out of range or rows that are no probabilities.
    Source: Kull et al., Beyond Temperature Scaling: Obtaining Well-calibrated Multi-class
        Probabilities with Dirichlet Calibration, NeurIPS 2019, section 2.

    Example:
        >>> ClasswiseEce()([0, 0], [[0.75, 0.25], [0.75, 0.25]], classes=["deer", "boar"])
        {'': 0.25, 'deer': 0.25, 'boar': 0.25}
    """

    bins: int = 15

    source: ClassVar[str] = (
        "Kull, Perello-Nieto, Kaengsepp, Silva Filho, Song, Flach: Beyond Temperature Scaling, "
        "NeurIPS 2019, section 2"
    )

    def __post_init__(self) -> None:
        require(self.bins >= 1, "bins", ">= 1", self.bins)

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        values = [
            calibration_gap(column, data.truth == c, equal_width(column, self.bins))
            for c, column in enumerate(data.scores.T)
        ]
        return with_mean(data.classes, values)
