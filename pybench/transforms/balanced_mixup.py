"""Balanced mixup."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pybench.checks import require
from pybench.transforms._mixing import blend, drawn_by_class, shares, soft_target, truth
from pybench.transforms._pictures import PICTURES, On, chosen
from pybench.types import Batch, Donors, Inputs


@dataclass(frozen=True)
class BalancedMixup:
    r"""Average each sample with one of a class drawn evenly.

    .. math:: \lambda x_C + (1 - \lambda) x_I, \quad \lambda \sim \mathrm{Beta}(\alpha, 1)

    where x_I is of the batch as sampled and x_C of a class-balanced draw.

    Fields:
        alpha: shape of the Beta distribution, >= 0; 0 mixes nothing, and the mean share of the
            balanced sample is alpha / (alpha + 1).
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8.
    Returns: the same shape; labels of the batch, and the mixed ones as probabilities (B, C).
    Raises: ValueError for a field out of range, TypeError for more than one label per sample.
    Source: Galdran, Carneiro, Gonzalez Ballester: Balanced-MixUp for Highly Imbalanced Medical
        Image Classification, MICCAI 2021, section 2.
    Deviations: a share of its own for each sample; pixels are rounded to uint8.

    Example:
        >>> import torch
        >>> from pybench.types import Batch, ClassTarget, Donors
        >>> black_and_grey = torch.tensor([0, 100], dtype=torch.uint8).reshape(2, 1, 1, 1)
        >>> batch = Batch(black_and_grey.expand(2, 4, 4, 3), ClassTarget(torch.tensor([0, 1])))
        >>> def load(rows):
        ...     return Batch(batch.inputs[rows], ClassTarget(batch.target.labels[rows]))
        >>> donors = Donors(load, np.array([0, 1]), np.array([1, 1]))
        >>> mixed = BalancedMixup()(batch, np.zeros(2), donors, np.random.default_rng(3))
        >>> grey = mixed.inputs[:, 0, 0, 0] / 100  # as grey as it is of class 1
        >>> bool(((grey - mixed.target.probabilities[:, 1]).abs() <= 0.005).all())
        True
    """

    alpha: float = 0.2
    on: On = "all"

    takes: ClassVar[frozenset[Inputs]] = PICTURES
    source: ClassVar[str] = (
        "Galdran, Carneiro, Gonzalez Ballester: Balanced-MixUp for Highly Imbalanced Medical Image "
        "Classification, MICCAI 2021, section 2"
    )

    def __post_init__(self) -> None:
        require(0 <= self.alpha < math.inf, "alpha", "finite and >= 0", self.alpha)

    def __call__(
        self, batch: Batch, copy: NDArray[np.uint8], donors: Donors, rng: np.random.Generator
    ) -> Batch:
        """Return the batch with its chosen samples changed."""
        # The balanced sample's share is Beta(alpha, 1), so what it leaves is Beta(1, alpha).
        kept = shares(rng, chosen(self.on, copy), self.alpha, own=1.0)
        even = np.ones(len(donors.counts))
        other = donors(drawn_by_class(donors, even, len(copy), rng))
        inputs = blend(batch.inputs, other.inputs, kept)
        return Batch(inputs, soft_target(truth(batch), truth(other), kept, len(even)))
