"""Every class as often as any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.draws import members, with_repeats_marked
from pybench.seeds import generator
from pybench.types import Draw, SampleContext


@dataclass(frozen=True)
class ClassBalanced:
    r"""Draw a class at random, then one of its samples, with replacement.

    .. math:: p_c = 1 / K \quad \text{over the K classes that have samples}

    In detection a sample is an image and is a member of each of its classes; images without
    objects are a class of their own.

    Returns: N draws. The second and later draws of a sample in an epoch are copies.
    Raises: ValueError if there is no sample.
    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition,
        ICLR 2020, eq. (1) with q = 0.

    Example:
        >>> import numpy as np
        >>> from pybench.types import SampleContext
        >>> labels = np.array([0] * 900 + [1] * 100)
        >>> draw = ClassBalanced().plan(SampleContext(labels=labels), seed=0, epoch=0)
        >>> len(draw), bool(450 < labels[draw.indices].sum() < 550)
        (1000, True)
    """

    balances: ClassVar[bool] = True

    def plan(self, context: SampleContext, seed: int, epoch: int) -> Draw:
        """Draw one epoch."""
        rng = generator(seed, "sampler", epoch)
        grouped = members(context)
        rows = rng.integers(len(grouped.classes), size=len(context))
        return with_repeats_marked(grouped.draw(rows, rng), len(context))
