"""Cutout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from pybench.checks import require
from pybench.transforms._pictures import OVERSAMPLING, On, PictureTransform

GRAY = 128


@dataclass(frozen=True)
class Cutout(PictureTransform):
    """Cover a square at a random place with gray.

    Fields:
        most: largest side of the square as a share of the shorter side of the picture, in [0, 1];
            the side is drawn evenly up to it. 70 of 224 pixels.
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8.
    Returns: the same shape and labels; the frames of a clip are changed alike.
    Raises: ValueError for a field out of range or inputs that are no pictures.
    Source: table 1 of the over-sampling method for emotion recognition; Keras preprocessing layers.
    Deviations: the square always lies within the picture.

    Example:
        >>> import torch
        >>> picture = torch.full((1, 3, 8, 8), 128, dtype=torch.uint8)  # cut out in gray
        >>> Cutout().change(picture, np.random.default_rng(0)).unique()
        tensor([128], dtype=torch.uint8)
    """

    most: float = 70 / 224
    on: On = "all"

    source: ClassVar[str] = OVERSAMPLING

    def __post_init__(self) -> None:
        require(0 <= self.most <= 1, "most", "in [0, 1]", self.most)

    def change(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """Change frames (T, 3, H, W) alike."""
        height, width = frames.shape[-2:]
        side = int(rng.integers(round(self.most * min(height, width)) + 1))
        top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
        covered = frames.clone()
        covered[..., top : top + side, left : left + side] = GRAY
        return covered
