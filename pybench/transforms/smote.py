"""SMOTE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from pybench.checks import require
from pybench.transforms._mixing import truth
from pybench.transforms._pictures import On, chosen
from pybench.types import Batch, Donors, Inputs


@dataclass(frozen=True)
class Smote:
    r"""Move each feature vector some way towards a neighbour of its class.

    .. math:: x + u (x' - x), \quad u \sim U(0, 1), \quad x' \text{ one of the } k
        \text{ nearest training samples of the class}

    Fields:
        k: neighbours to draw from, >= 1; a class of fewer samples has as many as it has.
        on: which samples are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: features (B, D), float32.
    Returns: the same shape and labels; the only sample of a class stays as it is.
    Raises: ValueError for a field out of range, TypeError for more than one label per sample.
    Source: Chawla, Bowyer, Hall, Kegelmeyer: SMOTE: Synthetic Minority Over-sampling Technique,
        JAIR 2002, section 4.2.
    Deviations: new samples are made of each batch anew, not once before training; which classes get
        them is the sampler's affair.

    Example:
        >>> from pybench.types import Batch, ClassTarget, Donors
        >>> points = torch.tensor([[0.0, 0.0], [2.0, 2.0], [9.0, 9.0]])  # the last of another class
        >>> batch = Batch(points, ClassTarget(torch.tensor([0, 0, 1])))
        >>> def load(rows):
        ...     return Batch(points[rows], ClassTarget(batch.target.labels[rows]))
        >>> donors = Donors(load, np.array([0, 0, 1]), np.array([2, 1]))
        >>> made = Smote()(batch, np.zeros(3), donors, np.random.default_rng(0)).inputs
        >>> bool((made[:2, 0] == made[:2, 1]).all() and (made[:2] <= 2).all()), made[2].tolist()
        (True, [9.0, 9.0])
    """

    k: int = 5
    on: On = "all"

    takes: ClassVar[frozenset[Inputs]] = frozenset({"features"})
    source: ClassVar[str] = (
        "Chawla, Bowyer, Hall, Kegelmeyer: SMOTE: Synthetic Minority Over-sampling Technique, "
        "JAIR 2002, section 4.2"
    )

    def __post_init__(self) -> None:
        require(self.k >= 1, "k", ">= 1", self.k)

    def __call__(
        self, batch: Batch, copy: NDArray[np.uint8], donors: Donors, rng: np.random.Generator
    ) -> Batch:
        """Return the batch with its chosen samples changed."""
        labels, inputs = truth(batch).labels.numpy(), batch.inputs.clone()
        which, steps = chosen(self.on, copy), rng.random(len(copy)).astype(np.float32)
        picks = rng.random(len(copy))
        for number in np.unique(labels[which]).tolist():
            rows = np.flatnonzero(which & (labels == number))
            own = inputs[torch.from_numpy(rows)]
            others = donors(np.flatnonzero(donors.labels == number)).inputs
            order = torch.cdist(own, others).argsort(dim=1, stable=True)
            # The nearest of all is the sample itself, or one just like it.
            near = order[:, 1 : self.k + 1]
            if near.shape[1]:
                pick = torch.from_numpy((picks[rows] * near.shape[1]).astype(np.int64))
                towards = others[near.gather(1, pick.unsqueeze(1)).squeeze(1)]
                inputs[torch.from_numpy(rows)] = own + torch.from_numpy(steps[rows]).unsqueeze(
                    1
                ) * (towards - own)
        return Batch(inputs, batch.target)
