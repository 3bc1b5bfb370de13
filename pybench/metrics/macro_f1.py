"""Macro F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from numpy.typing import ArrayLike

from pybench.class_scores import confusion, mean, ratios, scored
from pybench.types import Kind


@dataclass(frozen=True)
class MacroF1:
    r"""Mean over classes of their F1, each class counting the same.

    .. math:: \frac{1}{K} \sum_c F_c, \quad F_c = 2 TP_c / (2 TP_c + FP_c + FN_c)

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which the largest is the prediction.
    Returns: the overall value, over the K classes that are present or predicted; None without
        samples.
    Raises: ValueError for shapes, labels out of range or scores that are not finite.
    Source: Opitz, Burst: Macro F1 and Macro F1, 2019, eq. (2), the mean of F1 scores.

    Example:
        >>> MacroF1()([0, 0, 1], [[2, 1], [1, 2], [1, 2]], classes=["deer", "boar"])
        {'': 0.6666666666666666}
    """

    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    kind: ClassVar[Kind] = "classes"
    bootstrap: ClassVar[Literal["sample", "group"]] = "sample"
    source: ClassVar[str] = "Opitz, Burst: Macro F1 and Macro F1, 2019, the mean of F1 scores"

    def __call__(
        self, truth: ArrayLike, scores: ArrayLike, *, classes: Sequence[str] | None = None
    ) -> dict[str, float | None]:
        """Score."""
        data = scored(truth, scores, classes)
        counts = confusion(data)
        return {"": mean(ratios(2 * counts.diagonal(), counts.sum(0) + counts.sum(1)))}
