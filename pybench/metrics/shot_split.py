"""Accuracy on frequent, middling and rare classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from pybench.checks import require
from pybench.scoring.classes import confusion, mean, ratios, scored
from pybench.types import BootstrapUnit, Kind


@dataclass(frozen=True)
class ShotSplit:
    r"""Mean recall of the classes with many, medium and few training samples.

    .. math:: \frac{1}{|G|} \sum_{c \in G} TP_c / (TP_c + FN_c)

    Fields:
        many: a class with more training samples than this is many-shot.
        few: a class with fewer is few-shot, 0 <= few <= many; the rest is medium-shot.

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which the largest is the prediction;
        counts (C,) training samples of each class.
    Returns: ``many``, ``medium`` and ``few``, None for a group without samples; overall the mean
        over all classes.
    Raises: ValueError for shapes, labels out of range, scores that are not finite, or no counts.
    Source: Liu, Miao, Zhan, Wang, Gong, Yu: Large-Scale Long-Tailed Recognition in an Open World,
        CVPR 2019, section 4.

    Example:
        >>> scores = [[2, 1], [1, 2], [1, 2]]
        >>> ShotSplit()([0, 0, 1], scores, classes=["deer", "boar"], counts=[500, 8])
        {'': 0.75, 'many': 0.5, 'medium': None, 'few': 1.0}
    """

    many: int = 100
    few: int = 20

    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    kind: ClassVar[Kind] = "classes"
    bootstrap: ClassVar[BootstrapUnit] = "sample"
    reads_counts: ClassVar[bool] = True
    source: ClassVar[str] = (
        "Liu, Miao, Zhan, Wang, Gong, Yu: Large-Scale Long-Tailed Recognition in an Open World, "
        "CVPR 2019, section 4"
    )

    def __post_init__(self) -> None:
        require(0 <= self.few <= self.many, "few", f"in [0, {self.many}]", self.few)

    def __call__(
        self,
        truth: ArrayLike,
        scores: ArrayLike,
        *,
        classes: Sequence[str] | None = None,
        counts: ArrayLike | None = None,
    ) -> dict[str, float | None]:
        """Score."""
        data = scored(truth, scores, classes)
        trained = np.asarray(counts)
        require(
            trained.shape == (len(data.classes),),
            "counts",
            f"training samples of each of {len(data.classes)} classes",
            counts,
        )
        found = confusion(data)
        recalls = ratios(found.diagonal(), found.sum(1))
        groups = {"": recalls, "many": [], "medium": [], "few": []}
        for count, recall in zip(trained.tolist(), recalls, strict=True):
            size = "many" if count > self.many else "few" if count < self.few else "medium"
            groups[size].append(recall)
        return {name: mean(group) for name, group in groups.items()}
