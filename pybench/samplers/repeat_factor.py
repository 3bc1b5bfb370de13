"""Images of rare classes repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pybench.checks import require
from pybench.draws import members, with_repeats_marked
from pybench.seeds import generator, permutation
from pybench.types import Draw, SampleContext


@dataclass(frozen=True)
class RepeatFactor:
    r"""Every sample once, and those that show a class rarer than a threshold more often.

    .. math:: r_i = \max_{c \in i} \max\!\left(1, \sqrt{t / f_c}\right), \quad f_c = n_c / N

    with n_c the images that show class c. The fraction of r_i is rounded up or down at random,
    anew each epoch, so that r_i is kept in the mean. Images without objects come once. With one
    label per sample, i shows that class.

    Fields:
        t: threshold, in (0, 1]; classes in at least this share of the images are left alone.

    Returns: the draws in random order, N or more. The second and later draws of a sample are
        copies.
    Raises: ValueError if there is no sample, or t is out of range.
    Source: Gupta, Dollar, Girshick: LVIS: A Dataset for Large Vocabulary Instance Segmentation,
        CVPR 2019 (repeat factor sampling).

    Example:
        >>> import numpy as np
        >>> from pybench.types import SampleContext
        >>> labels = np.array([0] * 15 + [1])
        >>> draw = RepeatFactor(t=0.25).plan(SampleContext(labels=labels), seed=0, epoch=0)
        >>> np.bincount(labels[draw.indices])  # sqrt(4/16 / (1/16)) = 2
        array([15,  2])
    """

    t: float = 0.001

    balances: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(0 < self.t <= 1, "t", "in (0, 1]", self.t)

    def plan(self, context: SampleContext, seed: int, epoch: int) -> Draw:
        """Draw one epoch."""
        rng = generator(seed, "sampler", epoch)
        factors = self._factors(context)
        whole = np.floor(factors)
        times = (whole + (rng.random(len(factors)) < factors - whole)).astype(np.int64)
        once = np.repeat(np.arange(len(factors)), times)
        order = permutation(len(once), seed, "sampler", epoch, "order")
        return with_repeats_marked(once[order], len(factors))

    def _factors(self, context: SampleContext) -> NDArray[np.float64]:
        """(N,) how often each sample comes in the mean."""
        grouped = members(context)
        of_class = np.maximum(1.0, np.sqrt(self.t * len(context) / grouped.counts))
        of_class[grouped.classes < 0] = 1.0
        factors = np.ones(len(context))
        for factor, samples in zip(of_class, grouped.each(), strict=True):
            factors[samples] = np.maximum(factors[samples], factor)
        return factors
