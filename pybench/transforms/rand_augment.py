"""RandAugment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor
from torchvision.transforms import v2

from pybench.checks import require
from pybench.transforms._pictures import On, PictureTransform, seeded


@dataclass(frozen=True)
class RandAugment(PictureTransform):
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
        >>> import torch
        >>> two = torch.full((2, 3, 8, 8), 200, dtype=torch.uint8)  # a clip of two equal frames
        >>> rng = np.random.default_rng(0)
        >>> one, other = RandAugment().change(two, rng)
        >>> torch.equal(one, other), torch.equal(RandAugment(n=0).change(two, rng), two)
        (True, True)
    """

    n: int = 2
    m: int = 9
    on: On = "all"

    source: ClassVar[str] = (
        "Cubuk, Zoph, Shlens, Le: RandAugment: Practical Automated Data Augmentation with a "
        "Reduced Search Space, CVPR 2020, figure 2"
    )

    def __post_init__(self) -> None:
        require(self.n >= 0, "n", ">= 0", self.n)
        require(0 <= self.m <= 30, "m", "in [0, 30]", self.m)

    def change(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """Change frames (T, 3, H, W) alike."""
        augment = v2.RandAugment(num_ops=self.n, magnitude=self.m)
        with seeded(rng):
            changed: Tensor = augment(frames)
        return changed
