"""Geometric mean of recalls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from numpy.typing import ArrayLike

from pybench.class_scores import confusion, ratios, scored
from pybench.types import Kind


@dataclass(frozen=True)
class GMean:
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

    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    kind: ClassVar[Kind] = "classes"
    bootstrap: ClassVar[Literal["sample", "group"]] = "sample"
    source: ClassVar[str] = (
        "Kubat, Matwin: Addressing the Curse of Imbalanced Training Sets, ICML 1997"
    )

    def __call__(
        self, truth: ArrayLike, scores: ArrayLike, *, classes: Sequence[str] | None = None
    ) -> dict[str, float | None]:
        """Score."""
        counts = confusion(scored(truth, scores, classes))
        found = [share for share in ratios(counts.diagonal(), counts.sum(1)) if share is not None]
        return {"": math.prod(found) ** (1 / len(found)) if found else None}
