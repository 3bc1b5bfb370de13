"""Area under the ROC curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench import core
from pybench.scoring.classes import ClassMetric, Score, Scored, with_mean


@dataclass(frozen=True)
class RocAuc(ClassMetric):
    r"""Chance that a sample of a class ranks above one of another class, ties counting half.

    .. math:: P(s_c(x) > s_c(x')) + \tfrac12 P(s_c(x) = s_c(x')), \quad y = c \ne y'

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which column c ranks the samples for
        class c: probabilities rather than logits.
    Returns: per class, None for a class without samples or without others; overall the mean of the
        defined.
    Raises: ValueError for shapes, labels out of range or scores that are not finite.
    Source: Hanley, McNeil: The Meaning and Use of the Area under a ROC Curve, Radiology 1982.

    Example:
        >>> scores = [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]
        >>> RocAuc()([0, 0, 1], scores, classes=["deer", "boar"])
        {'': 0.5, 'deer': 0.5, 'boar': 0.5}
    """

    source: ClassVar[str] = (
        "Hanley, McNeil: The Meaning and Use of the Area under a ROC Curve, Radiology 1982"
    )

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        return with_mean(data.classes, core.roc_auc(data.truth, data.scores))
