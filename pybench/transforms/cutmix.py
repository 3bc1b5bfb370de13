"""CutMix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from pybench.transforms._mixing import Floats, PairTransform, paste


@dataclass(frozen=True)
class CutMix(PairTransform):
    r"""Paste a box of another picture of the batch, and mix the labels by area.

    .. math:: M \odot x_i + (1 - M) \odot x_j, \quad \lambda \sim \mathrm{Beta}(\alpha, \alpha)

    where the box covers 1 - lambda of the area, before it is cut at the border.

    Fields:
        alpha: shape of the Beta distribution of shares, >= 0; 0 mixes nothing, 1 is even.
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8; a clip has one box in all frames.
    Returns: the same shape; labels of the batch, and the mixed ones as probabilities (B, C).
    Raises: ValueError for a field out of range, TypeError for more than one label per sample.
    Source: Yun, Han, Oh, Chun, Choe, Yoo: CutMix: Regularization Strategy to Train Strong
        Classifiers with Localizable Features, ICCV 2019, eq. (1) and (2).
    Deviations: a box of its own for each sample.

    Example:
        >>> import torch
        >>> from pybench.types import Batch, ClassTarget, Donors
        >>> black_and_grey = torch.tensor([0, 100], dtype=torch.uint8).reshape(2, 1, 1, 1)
        >>> batch = Batch(black_and_grey.expand(2, 4, 4, 3), ClassTarget(torch.tensor([0, 1])))
        >>> donors = Donors(lambda rows: batch, np.array([0, 1]), np.array([1, 1]))
        >>> mixed = CutMix()(batch, np.zeros(2), donors, np.random.default_rng(3))
        >>> grey = (mixed.inputs == 100).float().mean((1, 2, 3))  # the grey area is the share
        >>> torch.equal(grey, mixed.target.probabilities[:, 1])
        True
    """

    source: ClassVar[str] = (
        "Yun, Han, Oh, Chun, Choe, Yoo: CutMix: Regularization Strategy to Train Strong "
        "Classifiers with Localizable Features, ICCV 2019, eq. (1) and (2)"
    )

    def mix(
        self, own: Tensor, other: Tensor, kept: Floats, rng: np.random.Generator
    ) -> tuple[Tensor, Floats]:
        """The mixed inputs, and the share that each sample keeps of itself."""
        return paste(own, other, kept, rng)
