"""Rare classes more often, but not as often as frequent ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pybench.draws import drawn_by_class, members
from pybench.seeds import generator
from pybench.types import Draw, SampleContext


@dataclass(frozen=True)
class SquareRoot:
    r"""Draw a class by the square root of its size, then one of its samples, with replacement.

    .. math:: p_c \propto \sqrt{n_c}

    In detection a sample is an image and is a member of each of its classes; images without
    objects are a class of their own.

    Returns: N draws. The second and later draws of a sample in an epoch are copies.
    Raises: ValueError if there is no sample.
    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition,
        ICLR 2020, eq. (1) with q = 1/2.

    Example:
        >>> import numpy as np
        >>> from pybench.types import SampleContext
        >>> labels = np.array([0] * 900 + [1] * 100)
        >>> draw = SquareRoot().plan(SampleContext(labels=labels), seed=0, epoch=0)
        >>> len(draw), bool(200 < labels[draw.indices].sum() < 300)  # 1000 * 10 / (30 + 10)
        (1000, True)
    """

    balances: ClassVar[bool] = True

    def plan(self, context: SampleContext, seed: int, epoch: int) -> Draw:
        """Draw one epoch."""
        grouped = members(context)
        rng = generator(seed, "sampler", epoch)
        return drawn_by_class(context, grouped, np.sqrt(grouped.counts), rng)
