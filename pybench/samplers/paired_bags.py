"""Bags in pairs, an abnormal and a normal one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.bags import paired_plan
from pybench.samplers.natural import Natural
from pybench.types import Draw, Kind, SampleContext


@dataclass(frozen=True)
class PairedBags:
    """Every abnormal bag once, in a new order each epoch, with a normal bag behind each.

    A loss of bags is shown pairs whatever the sampler; this one shows them to losses of classes
    too. Normal bags come in random order, each as often as any other give or take one. Without a
    normal class there is nothing to pair, and the draw is that of ``natural``.

    Returns: 2 draws per abnormal bag, none of them a copy.
    Raises: ValueError if there is a normal class but no normal or no abnormal bag.
    Source: Sultani, Chen, Shah: Real-World Anomaly Detection in Surveillance Videos, CVPR 2018
        (batches of 30 abnormal and 30 normal bags).

    Example:
        >>> import numpy as np
        >>> from pybench.types import SampleContext
        >>> context = SampleContext(labels=np.array([0, 1, 2, 2, 2]), normal=2)
        >>> draw = PairedBags().plan(context, seed=0, epoch=0)
        >>> sorted(draw.indices[::2].tolist()), context.labels[draw.indices[1::2]]
        ([0, 1], array([2, 2]))
    """

    group: ClassVar[int] = 2
    kinds: ClassVar[frozenset[Kind]] = frozenset({"bags"})

    def plan(self, context: SampleContext, seed: int, epoch: int) -> Draw:
        """Draw one epoch."""
        if context.normal is None:
            return Natural().plan(context, seed, epoch)
        return paired_plan(Natural(), context, seed, epoch)
