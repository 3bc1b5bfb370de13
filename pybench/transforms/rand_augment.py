"""RandAugment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms import v2

from pybench.checks import require
from pybench.transforms._pictures import PICTURES, On, chosen, each, seeded
from pybench.types import Batch, Donors, Inputs


@dataclass(frozen=True)
class RandAugment:
    """A few operations drawn evenly from 14, all at one magnitude.

    Fields:
        n: operations per sample, >= 0.
        m: magnitude, in [0, 30].
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8.
    Returns: the same shape and labels; the frames of a clip are changed alike.
    Raises: ValueError for a field out of range or inputs that are no pictures.
    Source: Cubuk, Zoph, Shlens, Le: RandAugment: Practical Automated Data Augmentation with a
        Reduced Search Space, CVPR 2020, figure 2.
    Deviations: operations and their ranges are torchvision's.

    Example:
        >>> RandAugment(n=2, m=9)
        RandAugment(n=2, m=9, on='all')
    """

    n: int = 2
    m: int = 9
    on: On = "all"

    takes: ClassVar[frozenset[Inputs]] = PICTURES
    source: ClassVar[str] = (
        "Cubuk, Zoph, Shlens, Le: RandAugment: Practical Automated Data Augmentation with a "
        "Reduced Search Space, CVPR 2020, figure 2"
    )

    def __post_init__(self) -> None:
        require(self.n >= 0, "n", ">= 0", self.n)
        require(0 <= self.m <= 30, "m", "in [0, 30]", self.m)

    def __call__(
        self, batch: Batch, copy: NDArray[np.uint8], donors: Donors, rng: np.random.Generator
    ) -> Batch:
        """Return the batch with its chosen samples changed."""
        augment = v2.RandAugment(num_ops=self.n, magnitude=self.m)

        def change(frames: Tensor) -> Tensor:
            with seeded(rng):
                changed: Tensor = augment(frames)
            return changed

        return each(batch, chosen(self.on, copy), change)
