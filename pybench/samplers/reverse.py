"""The rarer the class, the more often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.draws import drawn_by_class, members
from pybench.seeds import generator
from pybench.types import Draw, SampleContext


@dataclass(frozen=True)
class Reverse:
    r"""Draw a class by the inverse of its size, then one of its samples, with replacement.

    .. math:: p_c \propto 1 / n_c

    In detection a sample is an image and is a member of each of its classes; images without
    objects are a class of their own.

    Returns: N draws. The second and later draws of a sample in an epoch are copies.
    Raises: ValueError if there is no sample.
    Source: Zhou, Cui, Wei, Chen: BBN: Bilateral-Branch Network with Cumulative Learning for
        Long-Tailed Visual Recognition, CVPR 2020 (reversed sampler).

    Example:
        >>> import numpy as np
        >>> from pybench.types import SampleContext
        >>> labels = np.array([0] * 900 + [1] * 100)
        >>> draw = Reverse().plan(SampleContext(labels=labels), seed=0, epoch=0)
        >>> len(draw), bool(870 < labels[draw.indices].sum() < 930)
        (1000, True)
    """

    balances: ClassVar[bool] = True

    def plan(self, context: SampleContext, seed: int, epoch: int) -> Draw:
        """Draw one epoch."""
        grouped = members(context)
        rng = generator(seed, "sampler", epoch)
        return drawn_by_class(context, grouped, 1 / grouped.counts, rng)
