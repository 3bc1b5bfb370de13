"""Random translation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from pybench.checks import require
from pybench.transforms._pictures import OVERSAMPLING, On, PictureTransform, warp, within


@dataclass(frozen=True)
class Translation(PictureTransform):
    """Shift down and to the right by shares of height and width drawn evenly.

    Fields:
        share: largest shift either way, in [0, 1].
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8.
    Returns: the same shape and labels; the frames of a clip are changed alike.
    Raises: ValueError for a field out of range or inputs that are no pictures.
    Source: table 1 of the over-sampling method for emotion recognition; Keras preprocessing layers.
    Deviations: none.

    Example:
        >>> import torch
        >>> picture = torch.full((1, 3, 8, 8), 7, dtype=torch.uint8)  # an even picture stays even
        >>> Translation().change(picture, np.random.default_rng(0)).unique()
        tensor([7], dtype=torch.uint8)
    """

    share: float = 0.3
    on: On = "all"

    source: ClassVar[str] = OVERSAMPLING

    def __post_init__(self) -> None:
        require(0 <= self.share <= 1, "share", "in [0, 1]", self.share)

    def change(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """Change frames (T, 3, H, W) alike."""
        return warp(frames, shift=(within(rng, self.share), within(rng, self.share)))
