"""Random crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor
from torchvision.transforms.v2 import functional

from pybench.checks import require
from pybench.transforms._pictures import OVERSAMPLING, On, PictureTransform


@dataclass(frozen=True)
class Crop(PictureTransform):
    """Cut out a part at a random place and enlarge it to the whole.

    Fields:
        share: side of the part as a share of the picture's, in (0, 1]; 200 of 224 pixels.
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8.
    Returns: the same shape and labels; the frames of a clip are changed alike.
    Raises: ValueError for a field out of range or inputs that are no pictures.
    Source: table 1 of the over-sampling method for emotion recognition; Keras preprocessing layers.
    Deviations: the part is resized to the picture, so that a batch stays one array.

    Example:
        >>> import torch
        >>> picture = torch.full((1, 3, 8, 8), 7, dtype=torch.uint8)  # an even picture stays even
        >>> Crop().change(picture, np.random.default_rng(0)).unique()
        tensor([7], dtype=torch.uint8)
    """

    share: float = 200 / 224
    on: On = "all"

    source: ClassVar[str] = OVERSAMPLING

    def __post_init__(self) -> None:
        require(0 < self.share <= 1, "share", "in (0, 1]", self.share)

    def change(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """Change frames (T, 3, H, W) alike."""
        sides = frames.shape[-2:]
        height, width = (max(1, round(self.share * side)) for side in sides)
        top = int(rng.integers(sides[0] - height + 1))
        left = int(rng.integers(sides[1] - width + 1))
        changed: Tensor = functional.resized_crop(frames, top, left, height, width, list(sides))
        return changed
