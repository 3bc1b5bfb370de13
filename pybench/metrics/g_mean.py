"""Geometric mean of recalls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from pybench.scoring.classes import ClassMetric, Score, Scored, confusion, ratios


@dataclass(frozen=True)
class GMean(ClassMetric):
    r"""Geometric mean over classes of the share that is found: 0 once a class is never found.

    .. math:: \left(\prod_c TP_c / (TP_c + FN_c)\right)^{1/K}

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which the largest is the prediction.
    Returns: the overall value, over the K classes that have samples; None without samples.
    Raises: ValueError for shapes, labels out of range or scores that are not finite.
    Source: Kubat, Matwin: Addressing the Curse of Imbalanced Training Sets, ICML 1997.
    Deviations: of all classes, as is usual, where the source has two.

    Example:
        >>> GMean()([0, 0, 0, 0, 1], [[2, 1], [1, 2], [1, 2], [1, 2], [1, 2]])  # sqrt(1/4 * 1)
        {'': 0.5}
    """

    source: ClassVar[str] = (
        "Kubat, Matwin: Addressing the Curse of Imbalanced Training Sets, ICML 1997"
    )

    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""
        counts = confusion(data)
        found = [share for share in ratios(counts.diagonal(), counts.sum(1)) if share is not None]
        return {"": math.prod(found) ** (1 / len(found)) if found else None}
