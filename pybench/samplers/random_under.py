"""Frequent classes thinned out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from pybench.checks import require
from pybench.draws import members
from pybench.seeds import generator
from pybench.types import Draw, SampleContext


@dataclass(frozen=True)
class RandomUnder:
    r"""At most a target size of each class, another random choice every epoch.

    .. math:: \min(n_c,\; T) \;\text{samples of class c, drawn without replacement}

    In detection n_c counts images that show class c, images without objects are a class of their
    own, and an image is kept when any of its classes chose it.

    Fields:
        target: T, the size to thin to: ``"min"`` the smallest class that has samples,
            ``"median"`` the median class (rounded up), or a number >= 1. Smaller classes stay as
            they are.

    Returns: the draws in random order, none of them a copy.
    Raises: ValueError if there is no sample, or target < 1.
    Source: Japkowicz, Stephen: The Class Imbalance Problem: A Systematic Study, Intelligent Data
        Analysis 2002; there the choice is made once.

    Example:
        >>> import numpy as np
        >>> from pybench.types import SampleContext
        >>> labels = np.array([0, 0, 0, 0, 1, 1])
        >>> draw = RandomUnder().plan(SampleContext(labels=labels), seed=0, epoch=0)
        >>> np.bincount(labels[draw.indices])
        array([2, 2])
    """

    target: Literal["min", "median"] | int = "min"

    balances: ClassVar[bool] = True

    def __post_init__(self) -> None:
        named = self.target in ("min", "median")
        size = isinstance(self.target, int) and self.target >= 1
        require(named or size, "target", "'min', 'median' or >= 1", repr(self.target))

    def plan(self, context: SampleContext, seed: int, epoch: int) -> Draw:
        """Draw one epoch."""
        rng = generator(seed, "sampler", epoch)
        grouped = members(context)
        size = self._size(grouped.counts.tolist())
        kept = np.concatenate([rng.permutation(samples)[:size] for samples in grouped.each()])
        if context.label_sets is not None:
            kept = np.unique(kept)
        return Draw(rng.permutation(kept), np.zeros(len(kept), dtype=np.uint8))

    def _size(self, counts: list[int]) -> int:
        if isinstance(self.target, int):
            return self.target
        return min(counts) if self.target == "min" else math.ceil(float(np.median(counts)))
