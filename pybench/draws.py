"""What samplers share: the members of each class, and which draws are extra copies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pybench.checks import require
from pybench.types import Draw, SampleContext

CELLS = 2**16


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
        at = _below(self.counts[rows], len(rows), rng)
        drawn: NDArray[np.int64] = self.samples[self.starts[rows] + at]
        return drawn

    def each(self) -> Iterator[NDArray[np.int64]]:
        """The members of one class after another."""
        yield from np.split(self.samples, self.starts[1:])

    def deal(self, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """(K, size) members of each class, dealt from a shuffled deck; a new one when it is out."""
        dealt = np.empty((len(self.counts), size), dtype=np.int64)
        for row, deck in zip(dealt, self.each(), strict=True):
            if len(deck) >= size:
                row[:] = rng.choice(deck, size, replace=False)
                continue
            decks = np.tile(deck, (-(-size // len(deck)), 1))
            row[:] = rng.permuted(decks, axis=1, out=decks).reshape(-1)[:size]
        return dealt


def with_replacement(
    samples: NDArray[np.int64], size: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """(size,) of the samples, each equally likely at each draw."""
    drawn: NDArray[np.int64] = samples[_below(len(samples), size, rng)]
    return drawn


def _below(
    bound: int | NDArray[np.int64], size: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    # A float times the bound is off uniform by 2^-53 at most, and 5 times as fast as a bounded
    # integer for each draw.
    return (rng.random(size) * bound).astype(np.int64)


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


def drawn_by_class(
    context: SampleContext, grouped: Members, weights: NDArray[np.float64], rng: np.random.Generator
) -> Draw:
    """N independent draws: a class with probability proportional to its weight, then a member.

    Args:
        context: the training samples, N of them.
        grouped: their classes.
        weights: (K,) >= 0, one per class of ``grouped``; all 0 is taken as all equal.
        rng: where the random numbers come from.
    """
    rows = chosen(weights if weights.any() else np.ones(len(weights)), len(context), rng)
    return with_repeats_marked(grouped.draw(rows, rng), len(context))


def chosen(weights: NDArray[np.float64], size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(size,) indices drawn independently, each with probability proportional to its weight.

    Args:
        weights: (K,) >= 0, not all 0.
        size: number of draws.
        rng: where the random numbers come from.
    """
    ends = np.cumsum(weights / weights.sum())
    ends[np.flatnonzero(weights)[-1] :] = 1.0  # what rounding leaves is not of a class of weight 0
    # The unit interval in 2^16 cells: nearly all lie within one share and are looked up, which is
    # 8 times as fast as a search per draw. Only those with a border inside are searched.
    borders = np.searchsorted(ends, np.arange(CELLS + 1) / CELLS, side="right")
    mixed = borders[:-1] != borders[1:]
    cells = rng.integers(CELLS, size=size, dtype=np.uint16)
    drawn: NDArray[np.int64] = borders[:-1][cells]
    searched = np.flatnonzero(mixed[cells])
    at = (cells[searched] + rng.random(len(searched))) / CELLS
    drawn[searched] = np.searchsorted(ends, at, side="right")
    return drawn


def dealt_in_turn(context: SampleContext, group: int, rng: np.random.Generator) -> Draw:
    """Groups of one class, the classes in turn, the members of each from a shuffled deck.

    Each round holds every class once, in random order. There are as many groups as N samples need,
    the last one whole.
    """
    grouped = members(context)
    classes, groups = len(grouped.classes), -(-len(context) // group)
    rounds = -(-groups // classes)
    # Group r of class c is number c * rounds + r.
    turns = np.ascontiguousarray(np.arange(classes * rounds).reshape(classes, rounds).T)
    turns = rng.permuted(turns, axis=1, out=turns).reshape(-1)[:groups]
    drawn = grouped.deal(rounds * group, rng).reshape(-1, group)[turns].reshape(-1)
    if context.labels is None:  # an image may have come in the deck of another class
        return with_repeats_marked(drawn, len(context))
    again = np.arange(rounds * group) >= grouped.counts[:, np.newaxis]
    return Draw(drawn, again.reshape(-1, group)[turns].reshape(-1).view(np.uint8))


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
