"""What metrics of videos share: snippet scores spread over frames that are labelled one by one.

Truth is one (F,) array of integers per video: the class of the anomaly that a frame shows, -1
where it shows none. Scores are one (S,) array per video with 1 <= S: the anomaly score of each
snippet, larger is more abnormal. Frame f has the score of snippet floor(f S / F). A video is
abnormal when any frame is, and is of every class that its frames show.

Frames of one snippet have one score, so they are counted and not copied: areas are exact, and a
million frames cost what their snippets cost.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pybench.checks import require
from pybench.scoring.classes import Score
from pybench.seeds import generator
from pybench.types import BootstrapUnit, Kind

SNIPPET_FRAMES = 16
CHUNK = 128
"""Resamples taken at once."""


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
        return self.score(*videos(truth, scores, classes, ports=self.as_ports))

    @property
    def as_ports(self) -> bool:
        """Whether snippets lie as :func:`port_borders` says."""
        return False

    @abstractmethod
    def score(self, found: list[Video], names: tuple[str, ...]) -> dict[str, Score]:
        """Score checked videos, whose anomalies are of the named classes."""


class Video(NamedTuple):
    """One video by its snippets.

    Fields:
        scores: (S,) of its snippets.
        hits: (S,) how many abnormal frames each has.
        misses: (S,) how many normal frames.
        classes: of the anomalies that its frames show.
    """

    scores: NDArray[np.float64]
    hits: NDArray[np.int64]
    misses: NDArray[np.int64]
    classes: frozenset[int]

    @property
    def abnormal(self) -> bool:
        """Whether any frame is abnormal."""
        return bool(self.classes)

    def shows(self, number: int) -> bool:
        """Whether any frame is of a class."""
        return number in self.classes


def even_borders(frames: int, snippets: int) -> NDArray[np.int64]:
    """(S + 1,) first frame of each snippet of a video that they divide evenly, and its end.

    Example:
        >>> even_borders(5, 2).tolist()
        [0, 3, 5]
    """
    return -(-np.arange(snippets + 1) * frames // snippets)


def port_borders(frames: int, snippets: int) -> NDArray[np.int64]:
    """(S + 1,) borders as ports of the first code place them: whole blocks of 16 frames.

    A tail of fewer than 16 frames has no snippet; its score is 0.

    Example:
        >>> port_borders(85, 2).tolist()
        [0, 32, 80]
    """
    blocks = np.linspace(0, frames // SNIPPET_FRAMES, snippets + 1)
    return np.rint(blocks).astype(np.int64) * SNIPPET_FRAMES


def videos(
    truth: Sequence[ArrayLike],
    scores: Sequence[ArrayLike],
    classes: Sequence[str] | None,
    *,
    ports: bool = False,
) -> tuple[list[Video], tuple[str, ...]]:
    """Check the inputs of a metric; without names, classes are called by their number.

    Returns:
        The videos, and the names of the classes of anomaly.

    Raises:
        ValueError: shapes, a frame's class out of range, or a score that is not finite.
    """
    require(len(truth) == len(scores), "scores", f"of {len(truth)} videos", len(scores))
    found = []
    least, most = -1, -1
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
        least, most = min(least, int(frames.min())), max(most, int(frames.max()))
        found.append(_counted(frames, values, ports))
    names = tuple(classes) if classes is not None else tuple(map(str, range(most + 1)))
    inside = least >= -1 and most < len(names)
    require(inside, "truth", f"in [-1, {len(names)})", least if least < -1 else most)
    return found, names


def _counted(frames: NDArray[np.int64], values: NDArray[np.float64], ports: bool) -> Video:
    borders = (port_borders if ports else even_borders)(len(frames), len(values))
    if borders[-1] < len(frames):
        borders, values = np.append(borders, len(frames)), np.append(values, 0.0)
    abnormal = frames >= 0
    before = np.concatenate([[0], np.cumsum(abnormal)])
    hits = np.diff(before[borders])
    shown = frozenset(np.unique(frames[abnormal]).tolist()) if before[-1] else frozenset()
    return Video(values, hits, np.diff(borders) - hits, shown)


class Ranked(NamedTuple):
    """Snippets of some videos by decreasing score.

    Fields:
        hits, misses: (M,) abnormal and normal frames of each.
        video: (M,) number of its video.
        last: (K,) place of the last snippet of each distinct score.
    """

    hits: NDArray[np.int64]
    misses: NDArray[np.int64]
    video: NDArray[np.int64]
    last: NDArray[np.int64]


def ranked(chosen: Iterable[Video]) -> Ranked:
    """Sort the snippets of some videos by their scores."""
    picked = list(chosen)
    if not picked:
        none = np.zeros(0, dtype=np.int64)
        return Ranked(none, none, none, none)
    scores, hits, misses = (np.concatenate([v[i] for v in picked]) for i in range(3))
    video = np.repeat(np.arange(len(picked)), [len(v.scores) for v in picked])
    order = np.argsort(-scores, kind="stable")
    order = order[(hits + misses)[order] > 0]  # a snippet of no frame ranks nothing
    ordered = scores[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], [True] * bool(len(ordered))))
    return Ranked(hits[order], misses[order], video[order], last)


def roc_auc(chosen: Iterable[Video]) -> Score:
    """Chance that an abnormal frame of some videos scores above a normal one, ties counting half.

    Returns:
        None without frames of both kinds.
    """
    cells = ranked(chosen)
    hits, misses = np.cumsum(cells.hits)[cells.last], np.cumsum(cells.misses)[cells.last]
    if not len(hits) or not hits[-1] or not misses[-1]:
        return None
    # In units of half a pair, so that the sum stays an exact integer.
    new_hits, new_misses = np.diff(hits, prepend=0), np.diff(misses, prepend=0)
    below = int(new_hits @ (2 * (misses[-1] - misses) + new_misses))
    return below / (2 * int(hits[-1]) * int(misses[-1]))


def average_precision(chosen: Iterable[Video]) -> Score:
    """Area under the steps of the precision-recall curve; None without an abnormal frame."""
    cells = ranked(chosen)
    hits = np.cumsum(cells.hits)[cells.last]
    if not len(hits) or not hits[-1]:
        return None
    drawn = hits + np.cumsum(cells.misses)[cells.last]
    return float(np.diff(hits, prepend=0) @ (hits / drawn) / hits[-1])


def video_draws(chosen: Sequence[Video], resamples: int, seed: int = 0) -> NDArray[np.float64]:
    """(R, V) how often each video is drawn, with replacement; abnormal and normal ones apart."""
    rng = generator(seed, "bootstrap", "videos")
    kinds = np.array([video.abnormal for video in chosen], dtype=bool)
    times = np.zeros((resamples, len(chosen)))
    for kind in (False, True):
        mine = np.flatnonzero(kinds == kind)
        if len(mine):
            times[:, mine] = rng.multinomial(
                len(mine), np.full(len(mine), 1 / len(mine)), resamples
            )
    return times


def drawn_roc_auc(chosen: Sequence[Video], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R,) :func:`roc_auc` of videos drawn so often; NaN without frames of both kinds.

    Args:
        chosen: V videos.
        times: (R, V) how often each is drawn.
    """
    cells = ranked(chosen)
    areas = np.full(len(times), np.nan)
    for begin in range(0, len(times), CHUNK):
        drawn = times[begin : begin + CHUNK, cells.video]
        hits = np.cumsum(drawn * cells.hits, axis=1)[:, cells.last]
        misses = np.cumsum(drawn * cells.misses, axis=1)[:, cells.last]
        if not hits.size:
            break
        new_hits, new_misses = (np.diff(x, axis=1, prepend=0) for x in (hits, misses))
        below = (new_hits * (misses[:, -1:] - misses + new_misses / 2)).sum(1)
        pairs = hits[:, -1] * misses[:, -1]
        there = pairs > 0
        areas[begin : begin + CHUNK][there] = below[there] / pairs[there]
    return areas


def roc_auc_interval(
    chosen: Sequence[Video], *, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float] | None:
    """Percentile interval of :func:`roc_auc` over videos drawn with replacement.

    Args:
        chosen: the videos.
        resamples: how often they are drawn.
        seed: of the draws.
        level: share of the draws inside.

    Returns:
        (low, high); None without frames of both kinds.
    """
    areas = drawn_roc_auc(chosen, video_draws(chosen, resamples, seed))
    return percentile_interval(areas, level)


def percentile_interval(
    draws: NDArray[np.float64], level: float = 0.95
) -> tuple[float, float] | None:
    """The middle of some draws, NaN left out; None when none is left.

    Example:
        >>> percentile_interval(np.arange(101.0), level=0.5)
        (25.0, 75.0)
    """
    defined = draws[~np.isnan(draws)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
