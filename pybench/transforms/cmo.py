"""Context-rich minority over-sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pybench.checks import require
from pybench.transforms._mixing import drawn_by_class, paste, shares, soft_target, truth
from pybench.transforms._pictures import PICTURES, On, chosen
from pybench.types import Batch, Donors, Inputs


@dataclass(frozen=True)
class Cmo:
    r"""Paste a box of a sample of a rare class onto the pictures of the batch.

    .. math:: M \odot x_b + (1 - M) \odot x_f, \quad f \sim q_c \propto 1 / n_c

    where the box covers 1 - lambda of the area, lambda from Beta(alpha, alpha), and labels mix by
    area.

    Fields:
        alpha: shape of the Beta distribution of shares, >= 0; 0 mixes nothing, 1 is even.
        probability: chance that a sample is pasted onto, in [0, 1].
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8; a clip has one box in all frames.
    Returns: the same shape; labels of the batch, and the mixed ones as probabilities (B, C).
    Raises: ValueError for a field out of range, TypeError for more than one label per sample.
    Source: Park, Hong, Heo, Yun, Choi: The Majority Can Help the Minority: Context-rich Minority
        Oversampling for Long-tailed Classification, CVPR 2022, algorithm 1.
    Deviations: chance, box and share are drawn for each sample, not once per batch; it lasts to the
        end of the training.

    Example:
        >>> import torch
        >>> from pybench.types import Batch, ClassTarget, Donors
        >>> black_and_grey = torch.tensor([0, 100], dtype=torch.uint8).reshape(2, 1, 1, 1)
        >>> batch = Batch(black_and_grey.expand(2, 4, 4, 3), ClassTarget(torch.tensor([0, 1])))
        >>> def load(rows):
        ...     return Batch(batch.inputs[rows], ClassTarget(batch.target.labels[rows]))
        >>> donors = Donors(load, np.array([0, 1]), np.array([1, 1]))
        >>> mixed = Cmo(probability=1)(batch, np.zeros(2), donors, np.random.default_rng(3))
        >>> grey = (mixed.inputs == 100).float().mean((1, 2, 3))  # the grey area is the share
        >>> torch.equal(grey, mixed.target.probabilities[:, 1])
        True
    """

    alpha: float = 1.0
    probability: float = 0.5
    on: On = "all"

    takes: ClassVar[frozenset[Inputs]] = PICTURES
    source: ClassVar[str] = (
        "Park, Hong, Heo, Yun, Choi: The Majority Can Help the Minority: Context-rich Minority "
        "Oversampling for Long-tailed Classification, CVPR 2022, algorithm 1"
    )

    def __post_init__(self) -> None:
        require(0 <= self.alpha < math.inf, "alpha", "finite and >= 0", self.alpha)
        require(0 <= self.probability <= 1, "probability", "in [0, 1]", self.probability)

    def __call__(
        self, batch: Batch, copy: NDArray[np.uint8], donors: Donors, rng: np.random.Generator
    ) -> Batch:
        """Return the batch with its chosen samples changed."""
        which = chosen(self.on, copy) & (rng.random(len(copy)) < self.probability)
        kept = shares(rng, which, self.alpha)
        rarity = 1 / np.maximum(donors.counts, 1)
        other = donors(drawn_by_class(donors, rarity, len(copy), rng))
        inputs, kept = paste(batch.inputs, other.inputs, kept, rng)
        return Batch(inputs, soft_target(truth(batch), truth(other), kept, len(rarity)))
