"""Balanced accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from numpy.typing import ArrayLike

from pybench.class_scores import confusion, mean, ratios, scored
from pybench.types import Kind


@dataclass(frozen=True)
class BalancedAccuracy:
    r"""Mean over classes of the share that is found: accuracy if classes were equally frequent.

    .. math:: \frac{1}{K} \sum_c TP_c / (TP_c + FN_c)

    Inputs: truth (N,) labels in [0, C); scores (N, C), of which the largest is the prediction.
    Returns: the overall value, over the K classes that have samples; None without samples.
    Raises: ValueError for shapes, labels out of range or scores that are not finite.
    Source: Brodersen, Ong, Stephan, Buhmann: The Balanced Accuracy and Its Posterior Distribution,
        ICPR 2010.

    Example:
        >>> BalancedAccuracy()([0, 0, 1], [[2, 1], [1, 2], [1, 2]], classes=["deer", "boar"])
        {'': 0.75}
    """

    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    kind: ClassVar[Kind] = "classes"
    bootstrap: ClassVar[Literal["sample", "group"]] = "sample"
    source: ClassVar[str] = (
        "Brodersen, Ong, Stephan, Buhmann: The Balanced Accuracy and Its Posterior Distribution, "
        "ICPR 2010"
    )

    def __call__(
        self, truth: ArrayLike, scores: ArrayLike, *, classes: Sequence[str] | None = None
    ) -> dict[str, float | None]:
        """Score."""
        data = scored(truth, scores, classes)
        counts = confusion(data)
        return {"": mean(ratios(counts.diagonal(), counts.sum(1)))}
