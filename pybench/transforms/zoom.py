"""Random zoom."""

from __future__ import annotations

from dataclasses import dataclass

from pybench.transforms._pictures import Stretch


@dataclass(frozen=True)
class Zoom(Stretch):
    """Enlarge or shrink about the centre by a factor drawn evenly.

    Fields:
        factor: the factor is in [1 - factor, 1 + factor], in [0, 1).
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8.
    Returns: the same shape and labels; the frames of a clip are changed alike.
    Raises: ValueError for a field out of range or inputs that are no pictures.
    Source: table 1 of the over-sampling method for emotion recognition; Keras preprocessing layers.
    Deviations: the source's table has no row for it; the magnitude is that of height and width.

    Example:
        >>> import numpy as np, torch
        >>> picture = torch.full((1, 3, 8, 8), 7, dtype=torch.uint8)  # an even picture stays even
        >>> Zoom().change(picture, np.random.default_rng(0)).unique()
        tensor([7], dtype=torch.uint8)
    """

    def zoom(self, factor: float) -> tuple[float, float]:
        """The vertical and the horizontal factor."""
        return (factor, factor)
