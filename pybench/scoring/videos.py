"""What metrics of videos share: snippet scores spread over frames that are labelled one by one.

Truth is one (F,) array of integers per video: the class of the anomaly that a frame shows, -1
where it shows none. Scores are one (S,) array per video with 1 <= S: the anomaly score of each
snippet, larger is more abnormal. Frame f has the score of snippet floor(f S / F). A video is
abnormal when any frame is, and is of every class that its frames show.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pybench.checks import require
from pybench.scoring.classes import Score
from pybench.types import BootstrapUnit, Kind


class VideoMetric(ABC):
    """What a metric of videos is unless it says otherwise; it only has to score checked inputs."""

    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    kind: ClassVar[Kind] = "bags"
    bootstrap: ClassVar[BootstrapUnit] = "sample"

    def __call__(
        self,
        truth: Sequence[ArrayLike],
        scores: Sequence[ArrayLike],
        *,
        classes: Sequence[str] | None = None,
    ) -> dict[str, Score]:
        """Score one array per video, as the module says; ``""`` is the overall value."""
        return self.score(*videos(truth, scores, classes))

    @abstractmethod
    def score(self, found: list[Video], names: tuple[str, ...]) -> dict[str, Score]:
        """Score checked videos, whose anomalies are of the named classes."""


class Video(NamedTuple):
    """One video: classes (F,) of its frames, -1 is normal, and their scores (F,)."""

    truth: NDArray[np.int64]
    scores: NDArray[np.float64]

    @property
    def abnormal(self) -> bool:
        """Whether any frame is abnormal."""
        return bool((self.truth >= 0).any())

    def shows(self, number: int) -> bool:
        """Whether any frame is of a class."""
        return bool((self.truth == number).any())


def spread(snippets: ArrayLike, frames: int) -> NDArray[np.float64]:
    """(F,) scores of frames from (S,) scores of snippets that divide the video evenly.

    Example:
        >>> spread([0.1, 0.9], frames=5)
        array([0.1, 0.1, 0.1, 0.9, 0.9])
    """
    values = np.asarray(snippets, dtype=np.float64)
    return np.asarray(values[np.arange(frames) * len(values) // frames])


def videos(
    truth: Sequence[ArrayLike], scores: Sequence[ArrayLike], classes: Sequence[str] | None
) -> tuple[list[Video], tuple[str, ...]]:
    """Check the inputs of a metric; without names, classes are called by their number.

    Returns:
        The videos, and the names of the classes of anomaly.

    Raises:
        ValueError: shapes, a frame's class out of range, or a score that is not finite.
    """
    require(len(truth) == len(scores), "scores", f"of {len(truth)} videos", len(scores))
    found = []
    for number, (labels, snippets) in enumerate(zip(truth, scores, strict=True)):
        frames, values = np.asarray(labels), np.asarray(snippets, dtype=np.float64)
        require(
            frames.ndim == values.ndim == 1 and len(frames) > 0 and len(values) > 0,
            "truth and scores",
            "vectors with at least one frame and one snippet",
            f"{frames.shape} and {values.shape} in video {number}",
        )
        require(
            frames.dtype.kind in "iu",
            "truth",
            "the class of each frame, -1 is normal",
            f"{frames.dtype} in video {number}",
        )
        finite = bool(np.isfinite(values).all())
        require(finite, "scores", "finite", f"{values.tolist()} in video {number}")
        found.append(Video(frames.astype(np.int64), spread(values, len(frames))))
    most = max((int(video.truth.max()) for video in found), default=-1)
    names = tuple(classes) if classes is not None else tuple(map(str, range(most + 1)))
    least = min((int(video.truth.min()) for video in found), default=-1)
    inside = least >= -1 and most < len(names)
    require(inside, "truth", f"in [-1, {len(names)})", least if least < -1 else most)
    return found, names


def pooled(chosen: Iterable[Video]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """All frames of some videos: whether each is abnormal, and its score."""
    picked = list(chosen)
    if not picked:
        return np.zeros(0, dtype=bool), np.zeros(0)
    truth, scores = (np.concatenate(column) for column in zip(*picked, strict=True))
    return truth >= 0, scores
