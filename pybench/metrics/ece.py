"""Expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.checks import require
from pybench.scoring.classes import ProbabilityMetric, Score, Scored, calibration_gap, equal_width


@dataclass(frozen=True)
class Ece(ProbabilityMetric):
    r"""How far confidence is from accuracy, over bins of confidence of equal width.

    .. math:: \sum_b \frac{n_b}{N}\,|\mathrm{acc}_b - \mathrm{conf}_b|

    where the confidence of a sample is its largest probability.

    Fields:
        bins: number of bins, >= 1; bin b holds confidences in (b / bins, (b + 1) / bins].

    Inputs: truth (N,) labels in [0, C); scores (N, C), rows of probabilities.
    Returns: the overall value, in [0, 1]; None without samples.
    Raises: ValueError for shapes, labels out of range or rows that are no probabilities.
    Source: Naeini, Cooper, Hauskrecht: Obtaining Well Calibrated Probabilities Using Bayesian
        Binning, AAAI 2015.

    Example:
        >>> Ece()([0, 0], [[0.75, 0.25], [0.75, 0.25]])  # right in 2 of 2, sure to 3/4
        {'': 0.25}
    """

    bins: int = 15

    source: ClassVar[str] = (
        "Naeini, Cooper, Hauskrecht: Obtaining Well Calibrated Probabilities Using Bayesian "
        "Binning, AAAI 2015"
    )

    def __post_init__(self) -> None:
        require(self.bins >= 1, "bins", ">= 1", self.bins)

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        confidence, right = data.scores.max(1), data.scores.argmax(1) == data.truth
        return {"": calibration_gap(confidence, right, equal_width(confidence, self.bins))}
