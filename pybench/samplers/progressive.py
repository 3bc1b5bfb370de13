"""From the data as it is to every class as often as any other, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.draws import drawn_by_class, members
from pybench.seeds import generator
from pybench.types import Draw, SampleContext


@dataclass(frozen=True)
class Progressive:
    r"""Draw a class, its chances moving from natural to equal, then one of its samples.

    .. math:: p_c(t) = \left(1 - \tfrac{t}{T-1}\right) \frac{n_c}{N} + \tfrac{t}{T-1}\,\frac{1}{K}

    with t the epoch of T, and K the classes that have samples. A training of one epoch is natural;
    epochs beyond T stay equal. Samples are drawn with replacement from the first epoch on. In
    detection a sample is an image and is a member of each of its classes; images without objects
    are a class of their own.

    Returns: N draws. The second and later draws of a sample in an epoch are copies.
    Raises: ValueError if there is no sample.
    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition,
        ICLR 2020, eq. (2).

    Example:
        >>> import numpy as np
        >>> from pybench.types import SampleContext
        >>> context = SampleContext(labels=np.array([0] * 900 + [1] * 100), epochs=3)
        >>> for epoch in range(3):
        ...     draw = Progressive().plan(context, seed=0, epoch=epoch)
        ...     print(round(context.labels[draw.indices].mean(), 1))
        0.1
        0.3
        0.5
    """

    balances: ClassVar[bool] = True

    def plan(self, context: SampleContext, seed: int, epoch: int) -> Draw:
        """Draw one epoch."""
        grouped = members(context)
        way = min(epoch / max(context.epochs - 1, 1), 1.0)
        natural = grouped.counts / grouped.counts.sum()
        weights = (1 - way) * natural + way / len(grouped.counts)
        return drawn_by_class(context, grouped, weights, generator(seed, "sampler", epoch))
