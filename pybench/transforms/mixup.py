"""Mixup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from pybench.transforms._mixing import Floats, PairTransform, blend


@dataclass(frozen=True)
class Mixup(PairTransform):
    r"""Average two samples of the batch, and their labels by the same share.

    .. math:: \lambda x_i + (1 - \lambda) x_j, \quad \lambda \sim \mathrm{Beta}(\alpha, \alpha)

    Fields:
        alpha: shape of the Beta distribution of shares, >= 0; 0 mixes nothing, 1 is even.
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8.
    Returns: the same shape; labels of the batch, and the mixed ones as probabilities (B, C).
    Raises: ValueError for a field out of range, TypeError for more than one label per sample.
    Source: Zhang, Cisse, Dauphin, Lopez-Paz: mixup: Beyond Empirical Risk Minimization, ICLR 2018,
        section 2.
    Deviations: a share of its own for each sample; pixels are rounded to uint8.

    Example:
        >>> import torch
        >>> from pybench.types import Batch, ClassTarget, Donors
        >>> black_and_grey = torch.tensor([0, 100], dtype=torch.uint8).reshape(2, 1, 1, 1)
        >>> batch = Batch(black_and_grey.expand(2, 4, 4, 3), ClassTarget(torch.tensor([0, 1])))
        >>> donors = Donors(lambda rows: batch, np.array([0, 1]), np.array([1, 1]))
        >>> mixed = Mixup()(batch, np.zeros(2), donors, np.random.default_rng(3))
        >>> grey = mixed.inputs[:, 0, 0, 0] / 100  # as grey as it is of class 1
        >>> bool(((grey - mixed.target.probabilities[:, 1]).abs() <= 0.005).all())
        True
    """

    source: ClassVar[str] = (
        "Zhang, Cisse, Dauphin, Lopez-Paz: mixup: Beyond Empirical Risk Minimization, ICLR 2018, "
        "section 2"
    )

    def mix(
        self, own: Tensor, other: Tensor, kept: Floats, rng: np.random.Generator
    ) -> tuple[Tensor, Floats]:
        """The mixed inputs, and the share that each sample keeps of itself."""
        return blend(own, other, kept), kept
