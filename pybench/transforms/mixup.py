"""Mixup."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pybench.checks import require
from pybench.transforms._mixing import blend, partners, shares, soft_target, truth
from pybench.transforms._pictures import PICTURES, On, chosen
from pybench.types import Batch, Donors, Inputs


@dataclass(frozen=True)
class Mixup:
    r"""Average two samples of the batch, and their labels by the same share.

    .. math:: \lambda x_i + (1 - \lambda) x_j, \quad \lambda \sim \mathrm{Beta}(\alpha, \alpha)

    Fields:
        alpha: shape of the Beta distribution of shares, >= 0; 0 mixes nothing, 1 is even.
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8.
    Returns: the same shape; labels of the batch, and the mixed ones as probabilities (B, C).
    Raises: ValueError for a field out of range, TypeError for more than one label per sample.
    Source: Zhang, Cisse, Dauphin, Lopez-Paz: mixup: Beyond Empirical Risk Minimization, ICLR 2018,
        section 2.
    Deviations: a share of its own for each sample; pixels are rounded to uint8.

    Example:
        >>> Mixup()
        Mixup(alpha=1.0, on='all')
    """

    alpha: float = 1.0
    on: On = "all"

    takes: ClassVar[frozenset[Inputs]] = PICTURES
    source: ClassVar[str] = (
        "Zhang, Cisse, Dauphin, Lopez-Paz: mixup: Beyond Empirical Risk Minimization, ICLR 2018, "
        "section 2"
    )

    def __post_init__(self) -> None:
        require(0 <= self.alpha < math.inf, "alpha", "finite and >= 0", self.alpha)

    def __call__(
        self, batch: Batch, copy: NDArray[np.uint8], donors: Donors, rng: np.random.Generator
    ) -> Batch:
        """Return the batch with its chosen samples changed."""
        kept = shares(rng, chosen(self.on, copy), self.alpha)
        other = partners(batch, rng)
        inputs = blend(batch.inputs, other.inputs, kept)
        target = soft_target(truth(batch), truth(other), kept, len(donors.counts))
        return Batch(inputs, target)
