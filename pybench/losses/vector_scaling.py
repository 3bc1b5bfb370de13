"""Cross entropy of logits that are scaled and shifted per class."""

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
class VectorScaling:
    r"""Logit adjustment for the start of training, smaller logits of rare classes for its end.

    .. math:: -\log \mathrm{softmax}(\Delta z + \iota)_y, \quad
        \Delta_c = (n_c / n_{\max})^\gamma, \quad \iota_c = \tau \log (n_c / N)

    Fields:
        gamma: exponent of the scales, >= 0; 0 is logit adjustment.
        tau: strength of the shifts, >= 0; 0 is class-dependent temperatures.

    Inputs: logits (B, C); labels (B,), or probabilities (B, C) that weigh the terms of labels.
    Returns: (B,) terms >= 0, nats.
    Raises: ValueError if a field is negative, or counts are missing or not C.
    Source: Kini, Paraskevas, Oymak, Thrampoulidis: Label-Imbalanced and Group-Sensitive
        Classification under Overparameterization, NeurIPS 2021, section 2.
    Deviations: its class weights are all 1, as in its experiments on labels. A class without
        samples counts as if it had one.

    Example:
        >>> import torch, pybench.losses as pl
        >>> spec = "vector_scaling(gamma=0.5, tau=0)"
        >>> fn = pl.loss(spec).prepare(pl.LossContext(counts=[4, 1]))
        >>> z = torch.tensor([[0.0, 3.0]]).log1p()  # odds 1 : 4, scaled 1 : 4^(1/2)
        >>> fn(z, [1]).exp()  # (1 + 2) / 2
        tensor([1.5000])
    """

    gamma: float = 0.15
    tau: float = 1.25

    reads: ClassVar[Kind] = "classes"
    takes_probabilities: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Kini, Paraskevas, Oymak, Thrampoulidis: Label-Imbalanced and Group-Sensitive "
        "Classification under Overparameterization, NeurIPS 2021, section 2"
    )
    uses_counts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.require(0 <= self.gamma < math.inf, "gamma", "finite and >= 0", self.gamma)
        checks.require(0 <= self.tau < math.inf, "tau", "finite and >= 0", self.tau)

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with its scales and shifts computed."""
        counts = counts_from_one(context, "vector_scaling")
        scale = (counts / counts.max()) ** self.gamma
        shift = self.tau * (counts / counts.sum()).log()

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            logits, truth = checks.soft_classes(output, target, weights=scale)
            moved = scale.to(logits.dtype) * logits + shift.to(logits.dtype)
            return cross_entropy(moved, truth, reduction="none")

        return terms
