"""Random height."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pybench.checks import require
from pybench.transforms._pictures import PICTURES, On, chosen, each, warp, within
from pybench.types import Batch, Donors, Inputs


@dataclass(frozen=True)
class Height:
    """Stretch or squeeze vertically about the centre by a factor drawn evenly.

    Fields:
        factor: the factor is in [1 - factor, 1 + factor], in [0, 1).
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8.
    Returns: the same shape and labels; the frames of a clip are changed alike.
    Raises: ValueError for a field out of range or inputs that are no pictures.
    Source: table 1 of the over-sampling method for emotion recognition; Keras preprocessing layers.
    Deviations: the picture keeps its size, cut or mirrored at the border, so that a batch stays one
        array.

    Example:
        >>> Height(factor=0.3, on='all')
        Height(factor=0.3, on='all')
    """

    factor: float = 0.3
    on: On = "all"

    takes: ClassVar[frozenset[Inputs]] = PICTURES
    source: ClassVar[str] = (
        "Visual emotion recognition by over-sampling with transforms, table 1, in the semantics of "
        "Keras preprocessing layers (Chollet et al., 2015)"
    )

    def __post_init__(self) -> None:
        require(0 <= self.factor < 1, "factor", "in [0, 1)", self.factor)

    def __call__(
        self, batch: Batch, copy: NDArray[np.uint8], donors: Donors, rng: np.random.Generator
    ) -> Batch:
        """Return the batch with its chosen samples changed."""

        def change(frames: Tensor) -> Tensor:
            return warp(frames, zoom=(1 + within(rng, self.factor), 1.0))

        return each(batch, chosen(self.on, copy), change)
