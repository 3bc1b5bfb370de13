"""Rare classes topped up with copies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from pybench.checks import require
from pybench.draws import members, with_replacement
from pybench.seeds import generator, permutation
from pybench.types import Draw, SampleContext


@dataclass(frozen=True)
class RandomOver:
    r"""Every sample once, and random copies of each class that is below a target size.

    .. math:: \max(0,\; T - n_c) \;\text{copies of class c, drawn with replacement}

    In detection n_c counts images that show class c, and a copied image brings its other objects
    with it; images without objects are a class of their own.

    Fields:
        target: T, the size to reach: ``"max"`` the largest class, ``"median"`` the median class
            (rounded up), or a number >= 1. Larger classes stay as they are.

    Returns: N draws and the copies, shuffled together.
    Raises: ValueError if there is no sample, or target < 1.
    Source: Japkowicz, Stephen: The Class Imbalance Problem: A Systematic Study, Intelligent Data
        Analysis 2002.

    Example:
        >>> import numpy as np
        >>> from pybench.types import SampleContext
        >>> labels = np.array([0, 0, 0, 1])
        >>> draw = RandomOver().plan(SampleContext(labels=labels), seed=0, epoch=0)
        >>> sorted(draw.indices.tolist()), int(draw.copy.sum())
        ([0, 1, 2, 3, 3, 3], 2)
    """

    target: Literal["max", "median"] | int = "max"

    balances: ClassVar[bool] = True

    def __post_init__(self) -> None:
        named = self.target in ("max", "median")
        size = isinstance(self.target, int) and self.target >= 1
        require(named or size, "target", "'max', 'median' or >= 1", repr(self.target))

    def plan(self, context: SampleContext, seed: int, epoch: int) -> Draw:
        """Draw one epoch."""
        rng = generator(seed, "sampler", epoch)
        grouped = members(context)
        missing = np.maximum(0, self._size(grouped.counts.tolist()) - grouped.counts)
        copies = [
            with_replacement(c, size, rng) for c, size in zip(grouped.each(), missing, strict=True)
        ]
        drawn = np.concatenate([np.arange(len(context)), *copies])
        order = permutation(len(drawn), seed, "sampler", epoch, "order")
        return Draw(drawn[order], (order >= len(context)).view(np.uint8))

    def _size(self, counts: list[int]) -> int:
        if isinstance(self.target, int):
            return self.target
        return max(counts) if self.target == "max" else math.ceil(float(np.median(counts)))
