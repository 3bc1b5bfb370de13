"""Precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from numpy.typing import ArrayLike

from pybench.class_scores import confusion, ratios, scored, with_mean
from pybench.types import Kind


@dataclass(frozen=True)
class Precision:
    r"""Share of the predictions of a class that are right.

    .. math:: P_c = TP_c / (TP_c + FP_c)

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which the largest is the prediction.
    Returns: per class, None for a class never predicted; overall the mean of the defined.
    Raises: ValueError for shapes, labels out of range or scores that are not finite.
    Source: van Rijsbergen: Information Retrieval, Butterworths 1979, chapter 7.

    Example:
        >>> Precision()([0, 0, 1], [[2, 1], [1, 2], [1, 2]], classes=["deer", "boar"])
        {'': 0.75, 'deer': 1.0, 'boar': 0.5}
    """

    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    kind: ClassVar[Kind] = "classes"
    bootstrap: ClassVar[Literal["sample", "group"]] = "sample"
    source: ClassVar[str] = "van Rijsbergen: Information Retrieval, Butterworths 1979, chapter 7"

    def __call__(
        self, truth: ArrayLike, scores: ArrayLike, *, classes: Sequence[str] | None = None
    ) -> dict[str, float | None]:
        """Score."""
        data = scored(truth, scores, classes)
        counts = confusion(data)
        return with_mean(data.classes, ratios(counts.diagonal(), counts.sum(0)))
