"""Ranking curves of one class against the rest, exact under ties, O(N log N)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pybench.checks import require

Floats = NDArray[np.float64]


class PrCurve(NamedTuple):
    """Precision and recall of predicting ``score >= threshold``.

    Fields:
        precision: (K + 1,) ends with 1, where nothing is predicted.
        recall: (K + 1,) decreasing, ends with 0.
        thresholds: (K,) distinct scores, increasing.
    """

    precision: Floats
    recall: Floats
    thresholds: Floats


def pr_curve(positive: ArrayLike, scores: ArrayLike) -> PrCurve:
    """Precision and recall at every threshold.

    Args:
        positive: (N,) truth as booleans.
        scores: (N,) finite; larger means more likely positive.

    Raises:
        ValueError: shapes, a score that is not finite, or no positive (recall is undefined).

    Example:
        >>> pr_curve([True, False, True], [0.9, 0.5, 0.5]).precision
        array([0.66666667, 1.        , 1.        ])
    """
    hits, drawn, thresholds = _cumulated(positive, scores)
    require(bool(len(hits)) and hits[-1] > 0, "truth", "positive somewhere", "no positive")
    precision = np.append((hits / drawn)[::-1], 1.0)
    recall = np.append((hits / hits[-1])[::-1], 0.0)
    return PrCurve(precision, recall, thresholds[::-1])


def binary_average_precision(positive: ArrayLike, scores: ArrayLike) -> float | None:
    """Area under the steps of the precision-recall curve; None without a positive.

    Example:
        >>> binary_average_precision([True, False, True], [0.9, 0.8, 0.1])  # (1 + 2/3) / 2
        0.8333333333333333
    """
    hits, drawn, _ = _cumulated(positive, scores)
    if not len(hits) or hits[-1] == 0:
        return None
    return float(np.diff(hits, prepend=0) @ (hits / drawn) / hits[-1])


def binary_roc_auc(positive: ArrayLike, scores: ArrayLike) -> float | None:
    """Chance that a positive scores above a negative, ties counting half; None without both.

    Example:
        >>> binary_roc_auc([True, False, False], [0.5, 0.5, 0.1])  # one tie, one win
        0.75
    """
    hits, drawn, _ = _cumulated(positive, scores)
    if not len(hits) or not 0 < hits[-1] < drawn[-1]:
        return None
    misses = drawn - hits
    new_hits, new_misses = np.diff(hits, prepend=0), np.diff(misses, prepend=0)
    # In units of half a pair, so that the sum stays an exact integer.
    below = int(new_hits @ (2 * (misses[-1] - misses) + new_misses))
    return below / (2 * int(hits[-1]) * int(misses[-1]))


def _cumulated(
    positive: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Positives and samples at or above each distinct score, and those scores, decreasing."""
    truth, ranked = np.asarray(positive, dtype=bool), np.asarray(scores, dtype=np.float64)
    require(
        truth.ndim == 1 and truth.shape == ranked.shape,
        "truth and scores",
        "vectors of one length",
        f"{truth.shape} and {ranked.shape}",
    )
    require(bool(np.isfinite(ranked).all()), "scores", "finite", "nan or infinity")
    order = np.argsort(-ranked, kind="stable")
    ranked = ranked[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], [True] * bool(len(ranked))))
    return np.cumsum(truth[order])[last], last + 1, ranked[last]
