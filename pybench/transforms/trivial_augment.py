"""TrivialAugment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor
from torchvision.transforms import v2

from pybench.transforms._pictures import On, PictureTransform, seeded


@dataclass(frozen=True)
class TrivialAugment(PictureTransform):
    """One operation drawn evenly from 14, at a magnitude drawn evenly.

    Fields:
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8.
    Returns: the same shape and labels; the frames of a clip are changed alike.
    Raises: ValueError for a field out of range or inputs that are no pictures.
    Source: Mueller, Hutter: TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation,
        ICCV 2021, algorithm 1.
    Deviations: operations and their wide ranges are torchvision's.

    Example:
        >>> import torch
        >>> two = torch.full((2, 3, 8, 8), 200, dtype=torch.uint8)  # a clip of two equal frames
        >>> one, other = TrivialAugment().change(two, np.random.default_rng(0))
        >>> torch.equal(one, other)
        True
    """

    on: On = "all"

    source: ClassVar[str] = (
        "Mueller, Hutter: TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation, "
        "ICCV 2021"
    )

    def change(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """Change frames (T, 3, H, W) alike."""
        augment = v2.TrivialAugmentWide()
        with seeded(rng):
            changed: Tensor = augment(frames)
        return changed
