"""Average precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench import core
from pybench.scoring.classes import ClassMetric, Score, Scored, with_mean


@dataclass(frozen=True)
class AveragePrecision(ClassMetric):
    r"""Area under the precision-recall curve of each class against the rest.

    .. math:: \sum_k (R_k - R_{k-1}) P_k \quad \text{over decreasing thresholds}

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which column c ranks the samples for
        class c: probabilities rather than logits.
    Returns: per class, None for a class without samples; overall the mean of the defined.
    Raises: ValueError for shapes, labels out of range or scores that are not finite.
    Source: Davis, Goadrich: The Relationship Between Precision-Recall and ROC Curves, ICML 2006.

    Example:
        >>> scores = [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]
        >>> AveragePrecision()([0, 0, 1], scores, classes=["deer", "boar"])
        {'': 0.6666666666666666, 'deer': 0.8333333333333333, 'boar': 0.5}
    """

    source: ClassVar[str] = (
        "Davis, Goadrich: The Relationship Between Precision-Recall and ROC Curves, ICML 2006"
    )

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        return with_mean(data.classes, core.average_precision(data.truth, data.scores))
