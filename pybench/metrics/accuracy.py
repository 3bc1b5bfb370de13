"""Accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from numpy.typing import ArrayLike

from pybench.class_scores import scored
from pybench.types import Kind


@dataclass(frozen=True)
class Accuracy:
    r"""Share of the samples that are predicted right; says little when classes are imbalanced.

    .. math:: \frac{1}{N} \sum_i [\hat y_i = y_i]

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which the largest is the prediction.
    Returns: the overall value; None without samples.
    Raises: ValueError for shapes, labels out of range or scores that are not finite.
    Source: Sokolova, Lapalme: A Systematic Analysis of Performance Measures, 2009.

    Example:
        >>> Accuracy()([0, 0, 1], [[2, 1], [1, 2], [1, 2]], classes=["deer", "boar"])
        {'': 0.6666666666666666}
    """

    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    kind: ClassVar[Kind] = "classes"
    bootstrap: ClassVar[Literal["sample", "group"]] = "sample"
    source: ClassVar[str] = "Sokolova, Lapalme: A Systematic Analysis of Performance Measures, 2009"

    def __call__(
        self, truth: ArrayLike, scores: ArrayLike, *, classes: Sequence[str] | None = None
    ) -> dict[str, float | None]:
        """Score."""
        data = scored(truth, scores, classes)
        right = int((data.scores.argmax(1) == data.truth).sum())
        return {"": right / len(data.truth) if len(data.truth) else None}
