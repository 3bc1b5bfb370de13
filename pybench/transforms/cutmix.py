"""CutMix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pybench.checks import require
from pybench.transforms._mixing import partners, paste, shares, soft_target, truth
from pybench.transforms._pictures import PICTURES, On, chosen
from pybench.types import Batch, Donors, Inputs


@dataclass(frozen=True)
class CutMix:
    r"""Paste a box of another picture of the batch, and mix the labels by area.

    .. math:: M \odot x_i + (1 - M) \odot x_j, \quad \lambda \sim \mathrm{Beta}(\alpha, \alpha)

    where the box covers 1 - lambda of the area, before it is cut at the border.

    Fields:
        alpha: shape of the Beta distribution of shares, >= 0; 0 mixes nothing, 1 is even.
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8; a clip has one box in all frames.
    Returns: the same shape; labels of the batch, and the mixed ones as probabilities (B, C).
    Raises: ValueError for a field out of range, TypeError for more than one label per sample.
    Source: Yun, Han, Oh, Chun, Choe, Yoo: CutMix: Regularization Strategy to Train Strong
        Classifiers with Localizable Features, ICCV 2019, eq. (1) and (2).
    Deviations: a box of its own for each sample.

    Example:
        >>> CutMix()
        CutMix(alpha=1.0, on='all')
    """

    alpha: float = 1.0
    on: On = "all"

    takes: ClassVar[frozenset[Inputs]] = PICTURES
    source: ClassVar[str] = (
        "Yun, Han, Oh, Chun, Choe, Yoo: CutMix: Regularization Strategy to Train Strong "
        "Classifiers with Localizable Features, ICCV 2019, eq. (1) and (2)"
    )

    def __post_init__(self) -> None:
        require(0 <= self.alpha < math.inf, "alpha", "finite and >= 0", self.alpha)

    def __call__(
        self, batch: Batch, copy: NDArray[np.uint8], donors: Donors, rng: np.random.Generator
    ) -> Batch:
        """Return the batch with its chosen samples changed."""
        kept = shares(rng, chosen(self.on, copy), self.alpha)
        other = partners(batch, rng)
        inputs, kept = paste(batch.inputs, other.inputs, kept, rng)
        target = soft_target(truth(batch), truth(other), kept, len(donors.counts))
        return Batch(inputs, target)
