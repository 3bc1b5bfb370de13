"""Area under the ROC curve of the frames of videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from pybench.scoring.classes import Score, mean, with_mean
from pybench.scoring.videos import Video, VideoMetric, roc_auc
from pybench.seeds import generator


@dataclass(frozen=True)
class VadAuc(VideoMetric):
    r"""Chance that an abnormal frame scores above a normal one, ties counting half.

    .. math:: P(s(f) > s(f')) + \tfrac12 P(s(f) = s(f')), \quad f \text{ abnormal}, f'
        \text{ normal}

    Fields:
        protocol: which frames are compared; published numbers differ by it, often unnamed.

            - ``"total"``: all frames of all videos. Per class: its videos and the normal ones.
            - ``"abnormal_pooled"``: all frames of the abnormal videos. Per class: its videos.
            - ``"abnormal_macro"``: per class its videos; overall the mean over classes.
            - ``"paired"``: each abnormal video with one normal video; overall and per class the
              mean over abnormal videos.
        seed: shuffles the normal videos of ``"paired"``.
        frames: where snippets lie: ``"even"`` divides a video evenly; ``"ports"`` in whole blocks
            of 16 frames, with a score of 0 for the tail, as ports of the first code do.

    Inputs: truth and scores, one array per video, as in :mod:`pybench.scoring.videos`.
    Returns: overall and per class; None without a normal or without an abnormal frame.
    Raises: ValueError for shapes, classes out of range or scores that are not finite.
    Source: Sultani, Chen, Shah: Real-World Anomaly Detection in Surveillance Videos, CVPR 2018,
        section 5 (total).

    Example:
        >>> truth = [[-1, 0, 0, -1], [-1, -1]]
        >>> VadAuc()(truth, [[0.5, 0.5], [0.1]], classes=["theft"])  # 2 ties, 4 wins of 8 pairs
        {'': 0.75, 'theft': 0.75}
        >>> VadAuc(protocol="abnormal_pooled")(truth, [[0.5, 0.5], [0.1]], classes=["theft"])
        {'': 0.5, 'theft': 0.5}
    """

    protocol: Literal["total", "abnormal_pooled", "abnormal_macro", "paired"] = "total"
    seed: int = 0
    frames: Literal["even", "ports"] = "even"

    source: ClassVar[str] = (
        "Sultani, Chen, Shah: Real-World Anomaly Detection in Surveillance Videos, CVPR 2018, "
        "section 5"
    )

    @property
    def as_ports(self) -> bool:
        """Whether snippets lie as in ports of the first code."""
        return self.frames == "ports"

    def score(self, found: list[Video], names: tuple[str, ...]) -> dict[str, Score]:
        """Score checked videos."""
        abnormal = [video for video in found if video.abnormal]
        normal = [video for video in found if not video.abnormal]
        if self.protocol == "paired":
            return self._paired(abnormal, normal, names)
        beside = normal if self.protocol == "total" else []
        each = [roc_auc([v for v in abnormal if v.shows(c)] + beside) for c in range(len(names))]
        if self.protocol == "abnormal_macro":
            return with_mean(names, each)
        return {"": roc_auc(abnormal + beside), **dict(zip(names, each, strict=True))}

    def _paired(
        self, abnormal: list[Video], normal: list[Video], names: tuple[str, ...]
    ) -> dict[str, Score]:
        if not normal:
            return dict.fromkeys(("", *names))
        order = generator(self.seed, "vad_auc", "normal videos").permutation(len(normal))
        partners = np.resize(order, len(abnormal)).tolist()
        areas = [roc_auc([a, normal[n]]) for a, n in zip(abnormal, partners, strict=True)]
        of_class = [
            [area for video, area in zip(abnormal, areas, strict=True) if video.shows(c)]
            for c in range(len(names))
        ]
        return {"": mean(areas), **dict(zip(names, map(mean, of_class), strict=True))}
