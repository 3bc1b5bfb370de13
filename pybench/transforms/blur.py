"""Gaussian blur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor
from torchvision.transforms.v2 import functional

from pybench.checks import require
from pybench.transforms._pictures import OVERSAMPLING, On, PictureTransform


@dataclass(frozen=True)
class Blur(PictureTransform):
    """Blur with a Gaussian whose kernel size is drawn from the odd numbers of a range.

    Fields:
        least: smallest kernel size, odd, >= 1.
        most: largest kernel size, odd, >= least; pictures must be larger than half of it.
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8.
    Returns: the same shape and labels; the frames of a clip are changed alike.
    Raises: ValueError for a field out of range or inputs that are no pictures.
    Source: table 1 of the over-sampling method for emotion recognition; Keras preprocessing layers.
    Deviations: sigma is torchvision's 0.15 k + 0.35 for kernel size k.

    Example:
        >>> import torch
        >>> picture = torch.full((1, 3, 8, 8), 7, dtype=torch.uint8)  # an even picture stays even
        >>> Blur().change(picture, np.random.default_rng(0)).unique()
        tensor([7], dtype=torch.uint8)
    """

    least: int = 3
    most: int = 7
    on: On = "all"

    source: ClassVar[str] = OVERSAMPLING

    def __post_init__(self) -> None:
        odd = self.least % 2 == self.most % 2 == 1
        fine = odd and 1 <= self.least <= self.most
        require(fine, "least and most", "odd, 1 <= least <= most", (self.least, self.most))

    def change(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """Change frames (T, 3, H, W) alike."""
        size = int(2 * rng.integers(self.least // 2, self.most // 2 + 1) + 1)
        changed: Tensor = functional.gaussian_blur(frames, [size, size])
        return changed
