"""Average precision of the frames of videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from numpy.typing import ArrayLike

from pybench import video_scores
from pybench.curves import binary_average_precision
from pybench.types import Kind


@dataclass(frozen=True)
class VadAp:
    r"""Area under the precision-recall curve of abnormal frames against normal ones.

    .. math:: \sum_k (R_k - R_{k-1}) P_k \quad \text{over decreasing thresholds}

    Inputs: truth and scores, one array per video, as in :mod:`pybench.video_scores`.
    Returns: overall, of the frames of all videos; per class, of its videos and the normal ones;
        None without an abnormal frame.
    Raises: ValueError for shapes, classes out of range or scores that are not finite.
    Source: Wu et al., Not only Look, but also Listen: Learning Multimodal Violence Detection under
        Weak Supervision, ECCV 2020, section 5.

    Example:
        >>> VadAp()([[-1, 0], [-1, -1]], [[0.3, 0.5], [0.9]], classes=["theft"])  # rank 3 of 4
        {'': 0.3333333333333333, 'theft': 0.3333333333333333}
    """

    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    kind: ClassVar[Kind] = "bags"
    bootstrap: ClassVar[Literal["sample", "group"]] = "sample"
    source: ClassVar[str] = (
        "Wu, Liu, Shi, Sun, Shao, Wu, Yang: Not only Look, but also Listen: Learning Multimodal "
        "Violence Detection under Weak Supervision, ECCV 2020, section 5"
    )

    def __call__(
        self,
        truth: Sequence[ArrayLike],
        scores: Sequence[ArrayLike],
        *,
        classes: Sequence[str] | None = None,
    ) -> dict[str, float | None]:
        """Score."""
        found, names = video_scores.videos(truth, scores, classes)
        groups = [found] + [
            [video for video in found if video.shows(c) or not video.abnormal]
            for c in range(len(names))
        ]
        values = [binary_average_precision(*video_scores.pooled(group)) for group in groups]
        return dict(zip(("", *names), values, strict=True))
