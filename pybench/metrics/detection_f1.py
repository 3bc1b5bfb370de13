"""F1 of detections by overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pybench import box_scores
from pybench.box_scores import Scores, Truth
from pybench.checks import require
from pybench.class_scores import with_mean
from pybench.types import Kind


@dataclass(frozen=True)
class DetectionF1:
    r"""Harmonic mean of the precision and recall of sure detections, class by class.

    .. math:: F_c = 2 TP_c / (P_c + G_c) \quad \text{for } P_c \text{ detections and } G_c
        \text{ objects}

    Fields:
        iou: least overlap of a detection and its object, in (0, 1].
        threshold: least confidence of a detection that counts.

    Inputs: truth and scores, one tuple per image, as in :mod:`pybench.box_scores`.
    Returns: per object class, None for a class neither present nor detected; overall the mean of
        the defined.
    Raises: ValueError for shapes, classes out of range or values that are not finite.
    Source: van Rijsbergen: Information Retrieval, Butterworths 1979, chapter 7; matching as in
        Everingham et al., The Pascal Visual Object Classes Challenge, IJCV 2010.

    Example:
        >>> true = [([[0, 0, 2, 2], [5, 5, 7, 7]], [1, 1])]
        >>> said = [([[0, 0, 2, 2], [9, 9, 10, 10]], [1, 1], [0.9, 0.3])]
        >>> DetectionF1()(true, said, classes=["background", "person"])  # 2 * 1 / (1 + 2)
        {'': 0.6666666666666666, 'person': 0.6666666666666666}
    """

    iou: float = 0.5
    threshold: float = 0.5

    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    kind: ClassVar[Kind] = "boxes"
    bootstrap: ClassVar[Literal["sample", "group"]] = "sample"
    source: ClassVar[str] = (
        "van Rijsbergen: Information Retrieval, Butterworths 1979, chapter 7; Everingham, "
        "Van Gool, Williams, Winn, Zisserman: The Pascal Visual Object Classes Challenge, IJCV 2010"
    )

    def __post_init__(self) -> None:
        require(0 < self.iou <= 1, "iou", "in (0, 1]", self.iou)

    def __call__(
        self, truth: Truth, scores: Scores, *, classes: Sequence[str] | None = None
    ) -> dict[str, float | None]:
        """Score."""
        images, names = box_scores.images(truth, scores, classes)
        sure = box_scores.surer_than(images, self.threshold)
        return with_mean(names[1:], box_scores.f1(sure, names, box_scores.overlap, self.iou))
