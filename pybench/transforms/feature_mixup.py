"""Mixup of features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pybench.checks import require
from pybench.transforms._mixing import blend, partners, shares, soft_target, truth
from pybench.transforms._pictures import On, chosen
from pybench.types import BagTarget, Batch, Donors, Inputs


@dataclass(frozen=True)
class FeatureMixup:
    r"""Average two feature vectors of the batch, and their labels by the same share.

    .. math:: \lambda x_i + (1 - \lambda) x_j, \quad \lambda \sim \mathrm{Beta}(\alpha, \alpha)

    Fields:
        alpha: shape of the Beta distribution of shares, >= 0; 0 mixes nothing, 1 is even.
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: features (B, D), or bags of them (B, S, D), float32.
    Returns: the same shape; labels of the batch, and the mixed ones as probabilities (B, C). A bag
        is mixed with a training bag of its own class, snippet by snippet, and keeps its label.
    Raises: ValueError for a field out of range, TypeError for more than one label per sample.
    Source: Verma et al., Manifold Mixup: Better Representations by Interpolating Hidden States,
        ICML 2019, section 2.
    Deviations: of the features that a task is made of, not of a layer of the model; a share of its
        own for each sample. Bags are not mixed across classes: a bag has one class.

    Example:
        >>> import torch
        >>> from pybench.types import Batch, ClassTarget, Donors
        >>> batch = Batch(torch.tensor([[0.0], [1.0]]), ClassTarget(torch.tensor([0, 1])))
        >>> donors = Donors(lambda rows: batch, np.array([0, 1]), np.array([1, 1]))
        >>> mixed = FeatureMixup()(batch, np.zeros(2), donors, np.random.default_rng(3))
        >>> torch.equal(mixed.inputs[:, 0], mixed.target.probabilities[:, 1])  # as far as it is 1
        True
    """

    alpha: float = 1.0
    on: On = "all"

    takes: ClassVar[frozenset[Inputs]] = frozenset({"features"})
    takes_bags: ClassVar[bool] = True
    source: ClassVar[str] = (
        "Verma, Lamb, Beckham, Najafi, Mitliagkas, Lopez-Paz, Bengio: Manifold Mixup: Better "
        "Representations by Interpolating Hidden States, ICML 2019, section 2"
    )

    def __post_init__(self) -> None:
        require(0 <= self.alpha < math.inf, "alpha", "finite and >= 0", self.alpha)

    def __call__(
        self, batch: Batch, copy: NDArray[np.uint8], donors: Donors, rng: np.random.Generator
    ) -> Batch:
        """Return the batch with its chosen samples changed."""
        kept = shares(rng, chosen(self.on, copy), self.alpha)
        if isinstance(batch.target, BagTarget):
            alike = [np.flatnonzero(donors.labels == c) for c in batch.target.labels.tolist()]
            other = donors(np.array([rng.choice(rows) for rows in alike]))
            return Batch(blend(batch.inputs, other.inputs, kept), batch.target)
        other = partners(batch, rng)
        inputs = blend(batch.inputs, other.inputs, kept)
        target = soft_target(truth(batch), truth(other), kept, len(donors.counts))
        return Batch(inputs, target)
