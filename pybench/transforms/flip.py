"""Random flip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pybench.transforms._pictures import PICTURES, On, chosen, each
from pybench.types import Batch, Donors, Inputs


@dataclass(frozen=True)
class Flip:
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
        >>> Flip(horizontal=True, vertical=True, on='all')
        Flip(horizontal=True, vertical=True, on='all')
    """

    horizontal: bool = True
    vertical: bool = True
    on: On = "all"

    takes: ClassVar[frozenset[Inputs]] = PICTURES
    source: ClassVar[str] = (
        "Visual emotion recognition by over-sampling with transforms, table 1, in the semantics of "
        "Keras preprocessing layers (Chollet et al., 2015)"
    )

    def __call__(
        self, batch: Batch, copy: NDArray[np.uint8], donors: Donors, rng: np.random.Generator
    ) -> Batch:
        """Return the batch with its chosen samples changed."""

        def change(frames: Tensor) -> Tensor:
            sideways, upside_down = rng.random(2) < 0.5
            axes = [3] * bool(self.horizontal and sideways)
            axes += [2] * bool(self.vertical and upside_down)
            return frames.flip(axes)

        return each(batch, chosen(self.on, copy), change)
