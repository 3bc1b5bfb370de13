"""Cross entropy of logits that are shifted by the training prior."""

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
class LogitAdjustment:
    r"""A rare label must win by a margin that grows with the rarity.

    .. math:: -\log \mathrm{softmax}(z + \tau \log \pi)_y, \quad \pi_c = n_c / N

    Fields:
        tau: strength, >= 0; 0 is cross entropy, 1 is consistent for the balanced error.

    Inputs: logits (B, C); labels (B,), or probabilities (B, C) that weigh the terms of labels.
    Returns: (B,) terms >= 0, nats.
    Raises: ValueError if tau is negative, or counts are missing or not C.
    Source: Menon, Jayasumana, Rawat, Jain, Veit, Kumar: Long-Tail Learning via Logit Adjustment,
        ICLR 2021, eq. (10).
    Deviations: a class without samples counts as if it had one.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("logit_adjustment(tau=2)").prepare(pl.LossContext(counts=[3, 1]))
        >>> fn(torch.zeros(2, 2), [0, 1]).exp()  # (9 + 1) / 9, (9 + 1) / 1
        tensor([ 1.1111, 10.0000])
    """

    tau: float = 1.0

    reads: ClassVar[Kind] = "classes"
    takes_probabilities: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Menon, Jayasumana, Rawat, Jain, Veit, Kumar: Long-Tail Learning via Logit Adjustment, "
        "ICLR 2021, eq. (10)"
    )
    uses_counts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.require(0 <= self.tau < math.inf, "tau", "finite and >= 0", self.tau)

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with its shifts computed."""
        counts = counts_from_one(context, "logit_adjustment")
        shift = self.tau * (counts / counts.sum()).log()

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            logits, truth = checks.soft_classes(output, target, weights=shift)
            return cross_entropy(logits + shift.to(logits.dtype), truth, reduction="none")

        return terms
