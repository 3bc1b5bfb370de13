"""Adaptive calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.checks import require
from pybench.scoring.classes import ProbabilityMetric, Score, Scored, calibration_gap, equal_mass


@dataclass(frozen=True)
class AdaptiveEce(ProbabilityMetric):
    r"""How far confidence is from accuracy, over bins that hold equally many samples.

    .. math:: \sum_b \frac{n_b}{N}\,|\mathrm{acc}_b - \mathrm{conf}_b|

    where the confidence of a sample is its largest probability. Unlike ``ece``, no bin is nearly
    empty when a model is sure of almost everything.

    Fields:
        bins: number of bins, >= 1; equal confidences share a bin.

    Inputs: truth (N,) labels in [0, C); scores (N, C), rows of probabilities.
    Returns: the overall value, in [0, 1]; None without samples.
    Raises: ValueError for shapes, labels out of range or rows that are no probabilities.
    Source: Nguyen, O'Connor: Posterior Calibration and Exploratory Analysis for Natural Language
        Processing Models, EMNLP 2015, section 3.

    Example:
        >>> scores = [[0.875, 0.125], [0.75, 0.25]]
        >>> AdaptiveEce(bins=2)([0, 1], scores)  # (|1 - 7/8| + |0 - 3/4|) / 2
        {'': 0.4375}
    """

    bins: int = 15

    source: ClassVar[str] = (
        "Nguyen, O'Connor: Posterior Calibration and Exploratory Analysis for Natural Language "
        "Processing Models, EMNLP 2015, section 3"
    )

    def __post_init__(self) -> None:
        require(self.bins >= 1, "bins", ">= 1", self.bins)

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        confidence, right = data.scores.max(1), data.scores.argmax(1) == data.truth
        return {"": calibration_gap(confidence, right, equal_mass(confidence, self.bins))}
