"""Negative log likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pybench.scoring.classes import ProbabilityMetric, Score, Scored, by_class


@dataclass(frozen=True)
class Nll(ProbabilityMetric):
    r"""Mean negative log probability of the true class; it punishes certain mistakes hardest.

    .. math:: -\frac{1}{N} \sum_i \log p_{i y_i}

    Inputs: truth (N,) labels in [0, C); scores (N, C), rows of probabilities.
    Returns: overall the mean over samples, nats >= 0; per class that over its samples, None
        without.
    Raises: ValueError for shapes, labels out of range or rows that are no probabilities.
    Source: Good: Rational Decisions, Journal of the Royal Statistical Society B 1952.
    Deviations: a probability of 0 counts as 2.2e-308, which costs 708 nats.

    Example:
        >>> Nll()([0, 1], [[0.5, 0.5], [0.0, 1.0]], classes=["deer", "boar"])  # ln(2) = 0.693...
        {'': 0.34657359027997264, 'deer': 0.6931471805599453, 'boar': 0.0}
    """

    unit: ClassVar[str] = "nats"
    source: ClassVar[str] = (
        "Good: Rational Decisions, Journal of the Royal Statistical Society B 1952"
    )

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        right = data.scores[np.arange(len(data.truth)), data.truth]
        # abs: the log of 1 is to be 0, not -0.
        return by_class(data, np.abs(np.log(np.maximum(right, np.finfo(np.float64).tiny))))
