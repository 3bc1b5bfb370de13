"""Class-dependent temperatures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import cross_entropy

from pybench import checks
from pybench.class_weights import counts_from_one
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class Cdt:
    r"""The logit of a rare class is shrunk while training, so that it learns to be larger.

    .. math:: -\log \mathrm{softmax}(z / a)_y, \quad a_c = (n_{\max} / n_c)^\gamma

    Fields:
        gamma: exponent of the temperatures, >= 0; 0 is cross entropy.

    Inputs: logits (B, C); labels (B,), or probabilities (B, C) that weigh the terms of labels.
    Returns: (B,) terms >= 0, nats.
    Raises: ValueError if gamma is negative, or counts are missing or not C.
    Source: Ye, Chen, Zhan, Chao: Identifying and Compensating for Feature Deviation in Imbalanced
        Deep Learning, arXiv 2001.01385, 2020, section 4.
    Deviations: a class without samples counts as if it had one.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("cdt(gamma=0.5)").prepare(pl.LossContext(counts=[4, 1]))
        >>> z = torch.tensor([[0.0, 3.0]]).log1p()  # odds 1 : 4, cooled 1 : 4^(1/2)
        >>> fn(z, [1]).exp()  # (1 + 2) / 2
        tensor([1.5000])
    """

    gamma: float = 0.3

    reads: ClassVar[Kind] = "classes"
    takes_probabilities: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Ye, Chen, Zhan, Chao: Identifying and Compensating for Feature Deviation in Imbalanced "
        "Deep Learning, arXiv 2001.01385, 2020, section 4"
    )
    uses_counts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.require(0 <= self.gamma < math.inf, "gamma", "finite and >= 0", self.gamma)

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with its temperatures computed."""
        counts = counts_from_one(context, "cdt")
        temperatures = (counts.max() / counts) ** self.gamma

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            logits, truth = checks.soft_classes(output, target, weights=temperatures)
            return cross_entropy(logits / temperatures.to(logits.dtype), truth, reduction="none")

        return terms
