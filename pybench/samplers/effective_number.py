"""Every sample by the inverse of its class's effective number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.checks import require
from pybench.core import effective_number
from pybench.draws import drawn_by_class, members
from pybench.seeds import generator
from pybench.types import Draw, SampleContext


@dataclass(frozen=True)
class EffectiveNumber:
    r"""Draw samples with the weights that the class-balanced loss gives them, with replacement.

    .. math:: p_c \propto \frac{n_c}{E(n_c)}, \quad E(n) = \frac{1 - \beta^n}{1 - \beta}

    In detection a sample is an image and is a member of each of its classes; images without
    objects are a class of their own.

    Fields:
        beta: in [0, 1]; 0 draws as the data is, 1 every class as often as any other.

    Returns: N draws. The second and later draws of a sample in an epoch are copies.
    Raises: ValueError if there is no sample, or beta is out of range.
    Source: Cui, Jia, Lin, Song, Belongie: Class-Balanced Loss Based on Effective Number of
        Samples, CVPR 2019, eq. (2) and (6), as sampling instead of weighting.

    Example:
        >>> import numpy as np
        >>> from pybench.types import SampleContext
        >>> labels = np.array([0] * 900 + [1] * 100)
        >>> for beta in (0, 0.99, 1):  # of 0.99: 900 / E = 9.0, 100 / E = 1.58
        ...     draw = EffectiveNumber(beta).plan(SampleContext(labels=labels), seed=0, epoch=0)
        ...     print(f"{labels[draw.indices].mean():.1f}")
        0.1
        0.1
        0.5
    """

    beta: float = 0.999

    balances: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(0 <= self.beta <= 1, "beta", "in [0, 1]", self.beta)

    def plan(self, context: SampleContext, seed: int, epoch: int) -> Draw:
        """Draw one epoch."""
        grouped = members(context)
        weights = grouped.counts / effective_number(grouped.counts, self.beta)
        return drawn_by_class(context, grouped, weights, generator(seed, "sampler", epoch))
