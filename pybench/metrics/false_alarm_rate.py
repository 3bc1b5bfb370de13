"""False alarms on normal videos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from numpy.typing import ArrayLike

from pybench import video_scores
from pybench.checks import require
from pybench.types import Kind


@dataclass(frozen=True)
class FalseAlarmRate:
    r"""Share of the frames of normal videos that raise an alarm.

    .. math:: \frac{1}{F} \sum_f [s(f) \ge \theta]

    Fields:
        threshold: score from which on a frame raises an alarm, finite.

    Inputs: truth and scores, one array per video, as in :mod:`pybench.video_scores`.
    Returns: the overall value; None without a normal video.
    Raises: ValueError for shapes, classes out of range or scores that are not finite.
    Source: Sultani, Chen, Shah: Real-World Anomaly Detection in Surveillance Videos, CVPR 2018,
        section 5.3, at 50 %.

    Example:
        >>> FalseAlarmRate()([[-1, 0], [-1, -1]], [[0.9, 0.9], [0.1, 0.7]])
        {'': 0.5}
    """

    threshold: float = 0.5

    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = False
    kind: ClassVar[Kind] = "bags"
    bootstrap: ClassVar[Literal["sample", "group"]] = "sample"
    source: ClassVar[str] = (
        "Sultani, Chen, Shah: Real-World Anomaly Detection in Surveillance Videos, CVPR 2018, "
        "section 5.3"
    )

    def __post_init__(self) -> None:
        require(math.isfinite(self.threshold), "threshold", "finite", self.threshold)

    def __call__(
        self,
        truth: Sequence[ArrayLike],
        scores: Sequence[ArrayLike],
        *,
        classes: Sequence[str] | None = None,
    ) -> dict[str, float | None]:
        """Score."""
        found, _ = video_scores.videos(truth, scores, classes)
        _, frames = video_scores.pooled(video for video in found if not video.abnormal)
        return {"": float((frames >= self.threshold).mean()) if len(frames) else None}
