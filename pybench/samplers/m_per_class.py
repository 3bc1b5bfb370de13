"""Several samples of a class together, for losses that compare samples of one class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.checks import require
from pybench.draws import dealt_in_turn
from pybench.seeds import generator
from pybench.types import Draw, SampleContext


@dataclass(frozen=True)
class MPerClass:
    """Groups of m samples of one class; the classes come in random order, again and again.

    A batch holds whole groups, of distinct classes unless two rounds of the classes meet in it.
    The samples of a class come in random order; when all have come, they are shuffled anew. In
    detection a sample is an image and is a member of each of its classes; images without objects
    are a class of their own.

    Fields:
        m: samples per group, >= 1.

    Returns: N draws, rounded up to whole groups. The second and later draws of a sample in an
        epoch are copies.
    Raises: ValueError if there is no sample, m < 1, or the batch size is not a multiple of m
        (a batch size of 1, the default of a context, says that there are no batches yet).
    Source: Hermans, Beyer, Leibe: In Defense of the Triplet Loss for Person Re-Identification,
        2017, section 2 (P classes, K samples of each).

    Example:
        >>> import numpy as np
        >>> from pybench.types import SampleContext
        >>> context = SampleContext(labels=np.array([0, 0, 0, 0, 0, 1]), batch_size=4)
        >>> draw = MPerClass(m=2).plan(context, seed=0, epoch=0)
        >>> pairs = context.labels[draw.indices].reshape(-1, 2)
        >>> bool((pairs[:, 0] == pairs[:, 1]).all()), sorted(pairs[:2, 0].tolist())
        (True, [0, 1])
    """

    m: int = 2

    balances: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(self.m >= 1, "m", ">= 1", self.m)

    @property
    def group(self) -> int:
        """Draws that stay together."""
        return self.m

    def plan(self, context: SampleContext, seed: int, epoch: int) -> Draw:
        """Draw one epoch."""
        fits = context.batch_size == 1 or context.batch_size % self.m == 0
        require(fits, "batch_size", f"a multiple of m = {self.m}", context.batch_size)
        return dealt_in_turn(context, self.m, generator(seed, "sampler", epoch))
