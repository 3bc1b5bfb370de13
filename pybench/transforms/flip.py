"""Random flip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from pybench.transforms._pictures import OVERSAMPLING, On, PictureTransform


@dataclass(frozen=True)
class Flip(PictureTransform):
    """Mirror at the vertical and at the horizontal axis, each with chance 1/2.

    Fields:
        horizontal: whether left and right may change places.
        vertical: whether top and bottom may.
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8.
    Returns: the same shape and labels; the frames of a clip are changed alike.
    Raises: ValueError for a field out of range or inputs that are no pictures.
    Source: table 1 of the over-sampling method for emotion recognition; Keras preprocessing layers.
    Deviations: none.

    Example:
        >>> import torch
        >>> picture = torch.full((1, 3, 8, 8), 7, dtype=torch.uint8)  # an even picture stays even
        >>> Flip().change(picture, np.random.default_rng(0)).unique()
        tensor([7], dtype=torch.uint8)
    """

    horizontal: bool = True
    vertical: bool = True
    on: On = "all"

    source: ClassVar[str] = OVERSAMPLING

    def change(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """Change frames (T, 3, H, W) alike."""
        sideways, upside_down = rng.random(2) < 0.5
        axes = [3] * bool(self.horizontal and sideways)
        axes += [2] * bool(self.vertical and upside_down)
        return frames.flip(axes)
