"""What samplers share: the members of each class, and which draws are extra copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pybench.checks import require
from pybench.types import Draw, SampleContext


@dataclass(frozen=True, eq=False)
class Members:
    """The samples of each class that has some; in detection an image belongs to all its classes.

    Fields:
        classes: (K,) the classes that have members, ascending; -1 holds images without objects.
        counts: (K,) members of each.
        samples: the members of the first class, then of the second, ..., each ascending.
    """

    classes: NDArray[np.int64]
    counts: NDArray[np.int64]
    samples: NDArray[np.int64]

    @property
    def starts(self) -> NDArray[np.int64]:
        """(K,) where each class begins in ``samples``."""
        return np.cumsum(self.counts) - self.counts

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """One random member, with replacement, for each row of ``classes`` that is asked for."""
        # A float times the size is off uniform by 2^-53 at most, and 5 times as fast as a bounded
        # integer per row.
        at = (rng.random(len(rows)) * self.counts[rows]).astype(np.int64)
        drawn: NDArray[np.int64] = self.samples[self.starts[rows] + at]
        return drawn


def members(context: SampleContext) -> Members:
    """Group the training samples by class.

    Example:
        >>> grouped = members(SampleContext(labels=np.array([2, 0, 2])))
        >>> grouped.classes, grouped.counts, grouped.samples
        (array([0, 2]), array([1, 2]), array([1, 0, 2]))
    """
    require(len(context) > 0, "labels", "of at least one sample", "none")
    if context.labels is not None:
        return _grouped(context.labels)
    sets = [np.unique(s) if len(s) else np.array([-1]) for s in context.label_sets or ()]
    shifted = _grouped(np.concatenate(sets).astype(np.int64) + 1)
    images = np.repeat(np.arange(len(sets)), [len(s) for s in sets])
    return Members(shifted.classes - 1, shifted.counts, images[shifted.samples])


def _grouped(labels: NDArray[np.int64]) -> Members:
    counts = np.bincount(labels)
    # Up to 16 bits numpy sorts by radix, which is what makes ten million labels cheap.
    order = np.argsort(labels.astype(np.min_scalar_type(len(counts))), kind="stable")
    present = np.flatnonzero(counts)
    return Members(present, counts[present], order)


def with_repeats_marked(indices: NDArray[np.int64], total: int) -> Draw:
    """A draw in which the second and later occurrences of a sample are extra copies.

    Example:
        >>> with_repeats_marked(np.array([3, 1, 3, 3]), total=4).copy
        array([0, 0, 1, 1], dtype=uint8)
    """
    # Half as wide where that is enough: both steps wait for memory, not for arithmetic.
    width = np.int32 if len(indices) <= np.iinfo(np.int32).max else np.int64
    positions = np.arange(len(indices), dtype=width)
    first = np.empty(total, dtype=width)
    first[indices[::-1]] = positions[::-1]  # of equal indices the last written stays: the first
    return Draw(indices, (first[indices] != positions).view(np.uint8))
