"""One of several transforms for each sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from torch import Tensor

from pybench.checks import require
from pybench.transforms._pictures import On, PictureTransform
from pybench.transforms.blur import Blur
from pybench.transforms.contrast import Contrast
from pybench.transforms.crop import Crop
from pybench.transforms.cutout import Cutout
from pybench.transforms.flip import Flip
from pybench.transforms.height import Height
from pybench.transforms.rotation import Rotation
from pybench.transforms.translation import Translation
from pybench.transforms.width import Width
from pybench.transforms.zoom import Zoom

ALL_TEN = (Blur, Crop, Flip, Rotation, Translation, Cutout, Contrast, Height, Width, Zoom)


def _all_ten() -> tuple[PictureTransform, ...]:
    return tuple(transform() for transform in ALL_TEN)


@dataclass(frozen=True)
class OneOf(PictureTransform):
    """Each sample is changed by one transform, drawn evenly from several.

    Fields:
        of: the transforms, joined by ``+``; those of the source by default. Their own ``on`` does
            not count.
        compose: how many different ones a sample gets, one after another, in [1, len(of)].
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8.
    Returns: the same shape and labels; the frames of a clip are changed alike.
    Raises: ValueError for a transform that mixes samples, a field out of range or inputs that are
        no pictures.
    Source: the over-sampling method for emotion recognition, figure 3: a sample drawn again is
        given a transform from the set.
    Deviations: the source does not say how many transforms a copy gets; ``compose`` does. Random
        zoom, which its text counts and its table lacks, is among the ten.

    Example:
        >>> from pybench.transforms import transform
        >>> transform("one_of(of=crop + flip(vertical=False), compose=2)").of[1]
        Flip(horizontal=True, vertical=False, on='all')
    """

    of: tuple[PictureTransform, ...] = field(default_factory=_all_ten)
    compose: int = 1
    on: On = "copies"

    source: ClassVar[str] = "Visual emotion recognition by over-sampling with transforms, figure 3"

    def __post_init__(self) -> None:
        for part in self.of:
            rule = "transforms that change each picture on its own"
            require(isinstance(part, PictureTransform), "of", rule, part)
        rule = f"in [1, {len(self.of)}], the number of transforms"
        require(1 <= self.compose <= len(self.of), "compose", rule, self.compose)

    def change(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """Change frames (T, 3, H, W) alike."""
        for number in rng.choice(len(self.of), self.compose, replace=False).tolist():
            frames = self.of[number].change(frames, rng)
        return frames
