"""What metrics of classes share: checked inputs, the confusion matrix, means that skip None."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pybench import core
from pybench.checks import require
from pybench.types import BootstrapUnit, Kind

Score: TypeAlias = float | None


class ClassMetric(ABC):
    """What a metric of classes is unless it says otherwise; it only has to score checked inputs."""

    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    kind: ClassVar[Kind] = "classes"
    bootstrap: ClassVar[BootstrapUnit] = "sample"

    def __call__(
        self, truth: ArrayLike, scores: ArrayLike, *, classes: Sequence[str] | None = None
    ) -> dict[str, Score]:
        """Score labels (N,) and scores (N, C); ``""`` is the overall value."""
        return self.score(scored(truth, scores, classes))

    @abstractmethod
    def score(self, data: Scored) -> dict[str, Score]:
        """Score checked inputs."""


class ProbabilityMetric(ClassMetric):
    """A metric of classes that reads probabilities, and is the better the smaller."""

    higher_is_better: ClassVar[bool] = False

    def __call__(
        self, truth: ArrayLike, scores: ArrayLike, *, classes: Sequence[str] | None = None
    ) -> dict[str, Score]:
        """Score labels (N,) and probabilities (N, C); ``""`` is the overall value."""
        return self.score(probabilities(truth, scores, classes))


class Scored(NamedTuple):
    """Checked inputs of a metric: labels (N,), scores (N, C) and C class names."""

    truth: NDArray[np.int64]
    scores: NDArray[np.float64]
    classes: tuple[str, ...]


def scored(truth: ArrayLike, scores: ArrayLike, classes: Sequence[str] | None) -> Scored:
    """Check the inputs of a metric; without names, classes are called by their number.

    Raises:
        ValueError: shapes, a label outside [0, C), a score that is not finite, not C names.
    """
    labels, values = np.asarray(truth), np.asarray(scores, dtype=np.float64)
    require(
        values.ndim == 2 and values.shape[1] > 0 and labels.shape == values.shape[:1],
        "truth and scores",
        "of shape (N,) and (N, C)",
        f"{labels.shape} and {values.shape}",
    )
    whole = labels.dtype.kind in "iu" or not len(labels)
    require(whole, "truth", "class indices", f"values of {labels.dtype}")
    outside = np.flatnonzero((labels < 0) | (labels >= values.shape[1]))
    if len(outside):
        got = f"{labels[outside[0]]} at sample {outside[0]}"
        require(False, "truth", f"in [0, {values.shape[1]})", got)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        require(False, "scores", "finite", f"{values[row, column]} at sample {row}")
    names = tuple(classes) if classes is not None else tuple(map(str, range(values.shape[1])))
    require(len(names) == values.shape[1], "classes", f"{values.shape[1]} names", len(names))
    return Scored(labels.astype(np.int64), values, names)


def confusion(data: Scored) -> NDArray[np.int64]:
    """(C, C) samples by true class (rows) and predicted class, the one of the largest score."""
    return core.confusion_f1(data.truth, data.scores.argmax(1), len(data.classes))["confusion"]


def ratios(above: NDArray[np.int64], below: NDArray[np.int64]) -> list[Score]:
    """Quotients, None where the divisor is 0."""
    pairs = zip(above.tolist(), below.tolist(), strict=True)
    return [a / b if b else None for a, b in pairs]


def with_mean(classes: Sequence[str], values: Sequence[Score]) -> dict[str, Score]:
    """Values by class name, and their mean as ``""``: over the defined ones, None without any."""
    return {"": mean(values), **dict(zip(classes, values, strict=True))}


def mean(values: Iterable[Score]) -> Score:
    """Mean of the values that are defined; None without any.

    Example:
        >>> mean([0.5, None, 1.0]), mean([None])
        (0.75, None)
    """
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def probabilities(truth: ArrayLike, scores: ArrayLike, classes: Sequence[str] | None) -> Scored:
    """Check the inputs of a metric whose scores are probabilities.

    Raises:
        ValueError: as :func:`scored`, or a row that is negative somewhere or does not sum to 1.
    """
    data = scored(truth, scores, classes)
    wrong = (data.scores < 0).any(1) | (abs(data.scores.sum(1) - 1) > 1e-3)
    if wrong.any():
        at = int(wrong.argmax())
        got = f"{data.scores[at].tolist()} at sample {at}"
        require(False, "scores", "probabilities that sum to 1", got, "apply softmax to logits")
    return data


def by_class(data: Scored, values: NDArray[np.float64]) -> dict[str, Score]:
    """Mean (N,) value over all samples as ``""``, then over the samples of each class."""
    groups = [values, *(values[data.truth == c] for c in range(len(data.classes)))]
    means = [float(group.mean()) if len(group) else None for group in groups]
    return dict(zip(("", *data.classes), means, strict=True))


def equal_width(values: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """(N,) bin of each value in [0, 1]; bin b is (b / bins, (b + 1) / bins], 0 is in the first."""
    return np.searchsorted(np.arange(1, bins) / bins, values, side="left").astype(np.int64)


def equal_mass(values: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """(N,) bin of each value, as many in each; equal values share a bin, so order is no matter."""
    rank = np.searchsorted(np.sort(values), values, side="left")
    return np.asarray(rank * bins // max(len(values), 1), dtype=np.int64)


def calibration_gap(
    claimed: NDArray[np.float64], happened: NDArray[np.bool_], bins: NDArray[np.int64]
) -> Score:
    """Mean over samples of their bin's |mean claimed probability - frequency|; None without any."""
    if not len(claimed):
        return None
    gaps = np.bincount(bins, weights=claimed - happened)
    return float(abs(gaps).sum() / len(claimed))
