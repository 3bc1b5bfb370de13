"""Decision thresholds that the validation set likes best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pybench.steps import Finished, Stored
from pybench.types import Kind

NARROWEST = 1e-5
"""Between closer thresholds, logits stored as float32 may fall on either side."""


@dataclass(frozen=True)
class TunedThreshold:
    r"""Add to the logits the offset per class that gives the best macro F1 on validation.

    .. math:: z_c + o_c, \quad o = \arg\max_o \tfrac{1}{K} \sum_c F_{1,c}(\arg\max_k z_k + o_k)

    over the K classes that have validation samples. One class after another takes its best offset,
    all others held, until none gains: with two classes that is the best of all, with more a local
    best. Of equally good offsets the middle of the widest range is taken.

    Inputs: stored logits (C,) per sample; labels of the validation samples, and those only.
    Returns: predictions with shifted logits.
    Raises: ValueError without validation samples.
    Source: Lipton, Elkan, Naryanaswamy: Optimal Thresholding of Classifiers to Maximize F1
        Measure, ECML PKDD 2014; here by search.
    Deviations: one label per sample, so classes share offsets instead of having thresholds each.

    Example:
        >>> import numpy as np, polars as pl
        >>> logits = [[4.0, 0.0], [3.0, 0.0], [1.0, 0.0]]
        >>> seen = pl.DataFrame(
        ...     {"split": ["val"] * 3, "label": [0, 0, 1], "logits": logits},
        ...     schema_overrides={"logits": pl.List(pl.Float32)},
        ... )
        >>> finished = Finished(None, ("deer", "boar"), np.array([90, 10]), seen)
        >>> TunedThreshold().apply(finished)["logits"].to_list()  # the middle of 1 and 3
        [[2.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]
    """

    needs: ClassVar[frozenset[Stored]] = frozenset()
    kinds: ClassVar[frozenset[Kind]] = frozenset({"classes"})
    source: ClassVar[str] = (
        "Lipton, Elkan, Naryanaswamy: Optimal Thresholding of Classifiers to Maximize F1 Measure, "
        "ECML PKDD 2014"
    )

    def apply(self, finished: Finished) -> pl.DataFrame:
        """Shift every row."""
        return finished.with_logits(finished.logits + best_offsets(*finished.validation()))


def best_offsets(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """(C,) offsets of logits (V, C), by coordinate ascent."""
    classes = logits.shape[1]
    truth, guess = np.bincount(labels, minlength=classes), logits.argmax(axis=1)
    hits = np.bincount(labels[guess == labels], minlength=classes)
    best = float(_macro_f1(hits, np.bincount(guess, minlength=classes), truth))
    offsets = np.zeros(classes)
    gained = classes > 1
    while gained:
        gained = False
        for c in range(classes):
            value, offset = _best_offset(logits + offsets, labels, truth, c)
            if value > best + 1e-9:  # less is rounding: F1 is a ratio of whole numbers
                best, gained = value, True
                offsets[c] += offset
    return offsets


def _best_offset(
    logits: NDArray[np.float64], labels: NDArray[np.int64], truth: NDArray[np.int64], c: int
) -> tuple[float, float]:
    """The best macro F1 that one more offset of class c can give, and that offset."""
    others = logits.copy()
    others[:, c] = -np.inf
    rival = others.argmax(axis=1)
    needed = others.max(axis=1) - logits[:, c]
    order = np.argsort(needed)

    # Row k: the k samples that need the smallest offset are taken for c, the rest for its rival.
    by_rival = np.eye(len(truth), dtype=np.int64)[rival[order]]
    guessed = _remaining(by_rival)
    hits = _remaining(by_rival * (rival == labels)[order, np.newaxis])
    guessed[:, c] = np.arange(len(labels) + 1)
    hits[1:, c] = np.cumsum(labels[order] == c)
    values = _macro_f1(hits, guessed, truth)

    edges = np.concatenate([[needed.min() - 2], needed[order], [needed.max() + 2]])
    widths = np.diff(edges)
    values[widths < NARROWEST] = -1.0
    at = np.lexsort((widths, np.round(values, 9)))[-1]
    return float(values[at]), float(edges[at : at + 2].mean())


def _remaining(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(V, C) -> (V + 1, C): the sum of all rows, then without the first, the first two, ..."""
    gone = np.cumsum(rows, axis=0)
    return np.concatenate([gone[-1:], gone[-1:] - gone])


def _macro_f1(
    hits: NDArray[np.int64], guessed: NDArray[np.int64], truth: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean F1 over the classes with samples, along the last axis."""
    scores: NDArray[np.float64] = 2 * hits / np.maximum(guessed + truth, 1)
    mean: NDArray[np.float64] = scores[..., truth > 0].mean(axis=-1)
    return mean
