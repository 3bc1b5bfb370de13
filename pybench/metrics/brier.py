"""Brier score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pybench.scoring.classes import ProbabilityMetric, Score, Scored, by_class


@dataclass(frozen=True)
class Brier(ProbabilityMetric):
    r"""Squared distance of the probabilities from the truth: calibration and sharpness at once.

    .. math:: \frac{1}{N} \sum_i \sum_c (p_{ic} - [y_i = c])^2

    Inputs: truth (N,) labels in [0, C); scores (N, C), rows of probabilities.
    Returns: overall the mean over samples, in [0, 2]; per class that over its samples, None
        without.
    Raises: ValueError for shapes, labels out of range or rows that are no probabilities.
    Source: Brier: Verification of Forecasts Expressed in Terms of Probability, Monthly Weather
        Review 1950.

    Example:
        >>> Brier()([0, 1], [[0.5, 0.5], [0.0, 1.0]], classes=["deer", "boar"])
        {'': 0.25, 'deer': 0.5, 'boar': 0.0}
    """

    unit: ClassVar[str] = "squared error"
    source: ClassVar[str] = (
        "Brier: Verification of Forecasts Expressed in Terms of Probability, "
        "Monthly Weather Review 1950"
    )

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        errors = data.scores.copy()
        errors[np.arange(len(errors)), data.truth] -= 1
        return by_class(data, (errors**2).sum(1))
