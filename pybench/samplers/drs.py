"""Deferred re-sampling: the data as it is at first, then every class as often as any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.checks import require
from pybench.samplers.class_balanced import ClassBalanced
from pybench.samplers.natural import Natural
from pybench.types import Draw, SampleContext


@dataclass(frozen=True)
class Drs:
    """``natural`` until a share of the epochs has passed, then ``class_balanced``.

    Fields:
        at: share of the epochs, in [0, 1]; 0 is balanced throughout, 1 natural throughout.

    Returns: N draws. The second and later draws of a sample in an epoch are copies.
    Raises: ValueError if at is out of range, or there is no sample to balance.
    Source: Cao, Wei, Gaidon, Arechiga, Ma: Learning Imbalanced Datasets with Label-Distribution-
        Aware Margin Loss, NeurIPS 2019, section 3.3, as sampling; there at 160 of 200
        epochs.

    Example:
        >>> import numpy as np
        >>> from pybench.types import SampleContext
        >>> context = SampleContext(labels=np.array([0] * 900 + [1] * 100), epochs=5)
        >>> for epoch in (0, 3, 4):
        ...     draw = Drs(at=0.8).plan(context, seed=0, epoch=epoch)
        ...     print(f"{context.labels[draw.indices].mean():.1f}")
        0.1
        0.1
        0.5
    """

    at: float = 0.8

    balances: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(0 <= self.at <= 1, "at", "in [0, 1]", self.at)

    def plan(self, context: SampleContext, seed: int, epoch: int) -> Draw:
        """Draw one epoch."""
        first = self.at == 1 or epoch < self.at * context.epochs
        sampler = Natural() if first else ClassBalanced()
        return sampler.plan(context, seed, epoch)
