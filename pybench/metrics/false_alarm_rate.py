"""False alarms on normal videos."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from pybench.checks import require
from pybench.scoring.classes import Score
from pybench.scoring.videos import Video, VideoMetric


@dataclass(frozen=True)
class FalseAlarmRate(VideoMetric):
    r"""Share of the frames of normal videos that raise an alarm.

    .. math:: \frac{1}{F} \sum_f [s(f) \ge \theta]

    Fields:
        threshold: score from which on a frame raises an alarm, finite.

    Inputs: truth and scores, one array per video, as in :mod:`pybench.scoring.videos`.
    Returns: the overall value; None without a normal video.
    Raises: ValueError for shapes, classes out of range or scores that are not finite.
    Source: Sultani, Chen, Shah: Real-World Anomaly Detection in Surveillance Videos, CVPR 2018,
        section 5.3, at 50 %.

    Example:
        >>> FalseAlarmRate()([[-1, 0], [-1, -1]], [[0.9, 0.9], [0.1, 0.7]])
        {'': 0.5}
    """

    threshold: float = 0.5

    higher_is_better: ClassVar[bool] = False
    source: ClassVar[str] = (
        "Sultani, Chen, Shah: Real-World Anomaly Detection in Surveillance Videos, CVPR 2018, "
        "section 5.3"
    )

    def __post_init__(self) -> None:
        require(math.isfinite(self.threshold), "threshold", "finite", self.threshold)

    def score(self, found: list[Video], names: tuple[str, ...]) -> dict[str, Score]:
        """Score checked videos."""
        normal = [video for video in found if not video.abnormal]
        frames = sum(int(video.misses.sum()) for video in normal)
        alarms = sum(int(v.misses[v.scores >= self.threshold].sum()) for v in normal)
        return {"": alarms / frames if frames else None}
