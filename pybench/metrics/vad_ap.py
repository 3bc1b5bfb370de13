"""Average precision of the frames of videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.scoring.classes import Score
from pybench.scoring.videos import Video, VideoMetric, average_precision


@dataclass(frozen=True)
class VadAp(VideoMetric):
    r"""Area under the precision-recall curve of abnormal frames against normal ones.

    .. math:: \sum_k (R_k - R_{k-1}) P_k \quad \text{over decreasing thresholds}

    Inputs: truth and scores, one array per video, as in :mod:`pybench.scoring.videos`.
    Returns: overall, of the frames of all videos; per class, of its videos and the normal ones;
        None without an abnormal frame.
    Raises: ValueError for shapes, classes out of range or scores that are not finite.
    Source: Wu et al., Not only Look, but also Listen: Learning Multimodal Violence Detection under
        Weak Supervision, ECCV 2020, section 5.

    Example:
        >>> VadAp()([[-1, 0], [-1, -1]], [[0.3, 0.5], [0.9]], classes=["theft"])  # rank 3 of 4
        {'': 0.3333333333333333, 'theft': 0.3333333333333333}
    """

    source: ClassVar[str] = (
        "Wu, Liu, Shi, Sun, Shao, Wu, Yang: Not only Look, but also Listen: Learning Multimodal "
        "Violence Detection under Weak Supervision, ECCV 2020, section 5"
    )

    def score(self, found: list[Video], names: tuple[str, ...]) -> dict[str, Score]:
        """Score checked videos."""
        groups = [found] + [
            [video for video in found if video.shows(c) or not video.abnormal]
            for c in range(len(names))
        ]
        values = [average_precision(group) for group in groups]
        return dict(zip(("", *names), values, strict=True))
