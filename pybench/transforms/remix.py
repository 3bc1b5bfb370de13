"""Remix."""

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
class Remix:
    r"""Mixup whose label goes to the rarer class when it is much rarer and not too faint.

    .. math:: \lambda_y = 0 \text{ if } n_i / n_j \ge \kappa \text{ and } \lambda < \tau; \quad
        1 \text{ if } n_i / n_j \le 1 / \kappa \text{ and } 1 - \lambda < \tau; \quad
        \lambda \text{ otherwise}

    Fields:
        alpha: shape of the Beta distribution of shares, >= 0; 0 mixes nothing, 1 is even.
        kappa: how many times rarer a class must be, >= 1.
        tau: the largest share of the frequent class's picture for that, in [0, 1]; 0 gives mixup.
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8.
    Returns: the same shape; labels of the batch, and the mixed ones as probabilities (B, C).
    Raises: ValueError for a field out of range, TypeError for more than one label per sample.
    Source: Chou, Chang, Pan, Wei, Juan: Remix: Rebalanced Mixup, ECCV workshops 2020, section 3.
    Deviations: a share of its own for each sample; pixels are rounded to uint8.

    Example:
        >>> import torch
        >>> from pybench.types import Batch, ClassTarget, Donors
        >>> black_and_grey = torch.tensor([0, 100], dtype=torch.uint8).reshape(2, 1, 1, 1)
        >>> batch = Batch(black_and_grey.expand(2, 4, 4, 3), ClassTarget(torch.tensor([0, 1])))
        >>> donors = Donors(lambda rows: batch, np.array([0, 1]), np.array([9, 1]))
        >>> mixed = Remix(tau=1)(batch, np.zeros(2), donors, np.random.default_rng(3))
        >>> mixed.target.probabilities[:, 1]  # whatever the shares: 9 / 1 >= 3, so all to class 1
        tensor([1., 1.])
    """

    alpha: float = 1.0
    kappa: float = 3.0
    tau: float = 0.5
    on: On = "all"

    takes: ClassVar[frozenset[Inputs]] = PICTURES
    source: ClassVar[str] = (
        "Chou, Chang, Pan, Wei, Juan: Remix: Rebalanced Mixup, ECCV workshops 2020, section 3"
    )

    def __post_init__(self) -> None:
        require(0 <= self.alpha < math.inf, "alpha", "finite and >= 0", self.alpha)
        require(1 <= self.kappa < math.inf, "kappa", "finite and >= 1", self.kappa)
        require(0 <= self.tau <= 1, "tau", "in [0, 1]", self.tau)

    def __call__(
        self, batch: Batch, copy: NDArray[np.uint8], donors: Donors, rng: np.random.Generator
    ) -> Batch:
        """Return the batch with its chosen samples changed."""
        which = chosen(self.on, copy)
        kept = shares(rng, which, self.alpha)
        other = partners(batch, rng)
        own, its = truth(batch), truth(other)
        ratio = donors.counts[own.labels] / donors.counts[its.labels]
        of_label = np.where((ratio >= self.kappa) & (kept < self.tau), 0.0, kept)
        of_label[(ratio <= 1 / self.kappa) & (1 - kept < self.tau)] = 1.0
        inputs = blend(batch.inputs, other.inputs, kept)
        return Batch(inputs, soft_target(own, its, of_label, len(donors.counts)))
