"""Random contrast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional

from pybench.checks import require
from pybench.transforms._pictures import PICTURES, On, chosen, each, within
from pybench.types import Batch, Donors, Inputs


@dataclass(frozen=True)
class Contrast:
    """Pull the pixels from or towards their mean by a factor drawn evenly.

    Fields:
        factor: the factor is in [1 - factor, 1 + factor], in [0, 1].
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8.
    Returns: the same shape and labels; the frames of a clip are changed alike.
    Raises: ValueError for a field out of range or inputs that are no pictures.
    Source: table 1 of the over-sampling method for emotion recognition; Keras preprocessing layers.
    Deviations: the mean is of the frame's gray picture, torchvision's way, not of each channel.

    Example:
        >>> Contrast(factor=0.3, on='all')
        Contrast(factor=0.3, on='all')
    """

    factor: float = 0.3
    on: On = "all"

    takes: ClassVar[frozenset[Inputs]] = PICTURES
    source: ClassVar[str] = (
        "Visual emotion recognition by over-sampling with transforms, table 1, in the semantics of "
        "Keras preprocessing layers (Chollet et al., 2015)"
    )

    def __post_init__(self) -> None:
        require(0 <= self.factor <= 1, "factor", "in [0, 1]", self.factor)

    def __call__(
        self, batch: Batch, copy: NDArray[np.uint8], donors: Donors, rng: np.random.Generator
    ) -> Batch:
        """Return the batch with its chosen samples changed."""

        def change(frames: Tensor) -> Tensor:
            changed: Tensor = functional.adjust_contrast(frames, 1 + within(rng, self.factor))
            return changed

        return each(batch, chosen(self.on, copy), change)
