"""Cross entropy with its first polynomial coefficient moved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from pybench import checks
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class Poly1:
    r"""Cross entropy plus a multiple of the probability of being wrong.

    .. math:: -\log p_y + \varepsilon\,(1 - p_y), \quad p = \mathrm{softmax}(z)

    Fields:
        epsilon: what is added to the coefficient 1 of 1 - p in the series of -log p, finite and
            >= -1; 0 is cross entropy.

    Inputs: logits (B, C); labels (B,), or probabilities (B, C) that weigh the terms of labels.
    Returns: (B,) terms >= 0, nats.
    Raises: ValueError if epsilon is below -1.
    Source: Leng, Tan, Liu, Cubuk, Shi, Cheng, Anguelov: PolyLoss: A Polynomial Expansion
        Perspective of Classification Loss Functions, ICLR 2022, section 4.
    Deviations: none.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("poly1(epsilon=0.5)").prepare(pl.LossContext(num_classes=2))
        >>> fn(torch.zeros(1, 2), [0]) - torch.tensor(2.0).log()  # 1/2 * 1/2
        tensor([0.2500])
    """

    epsilon: float = 1.0

    reads: ClassVar[Kind] = "classes"
    takes_probabilities: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Leng, Tan, Liu, Cubuk, Shi, Cheng, Anguelov: PolyLoss: A Polynomial Expansion "
        "Perspective of Classification Loss Functions, ICLR 2022, section 4"
    )

    def __post_init__(self) -> None:
        checks.require(-1 <= self.epsilon < math.inf, "epsilon", "finite and >= -1", self.epsilon)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(
        self, output: ClassOutput, target: ClassTarget, *, progress: float = 0.0
    ) -> Tensor:
        """Terms (B,)."""
        logits, truth = checks.soft_classes(output, target)
        t = truth if truth.is_floating_point() else one_hot(truth, logits.shape[1])
        # The p of the other classes, summed: 1 - p_y loses its digits where p_y rounds to 1.
        wrong = (logits.softmax(1) * (1 - t)).sum(1)
        return cross_entropy(logits, truth, reduction="none") + self.epsilon * wrong
