"""Gradient harmonising: decisions of one difficulty share one weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, one_hot

from pybench import checks
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class Ghm:
    r"""One binary problem per class, in which a decision counts less the more are as hard as it.

    .. math:: -\sum_c \beta(g_c) \log p_c, \quad g_c = 1 - p_c, \quad
        \beta(g) = \frac{1}{M R(g)}, \quad p_c = \sigma(\pm z_c)

    with the plus sign for the label, and R(g) the share of all decisions of the batch whose g, the
    size of the gradient of the logit, is in the same of M equal bins. :math:`\beta` is a constant
    for the gradient.

    Fields:
        bins: M, >= 1; 1 is binary cross entropy.
        momentum: weight in [0, 1) of the shares so far, against those of the batch.

    Inputs: logits (B, C); labels (B,).
    Returns: (B,) terms >= 0, nats, summed over classes.
    Raises: ValueError if a field is out of range, or for mixed labels.
    Source: Li, Liu, Wang: Gradient Harmonized Single-Stage Detector, AAAI 2019, section 3.
    Deviations: shares of decisions are averaged in the place of their numbers, so that batches
        may differ in size, and the first batch is their start in the place of 0. The published
        code counts only the bins that hold something as M. Several processes each keep their own
        shares.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("ghm(bins=2, momentum=0)").prepare(pl.LossContext(num_classes=2))
        >>> # g is 1/4 and 1/4, 1/2 and 1/10: three of four are below 1/2, and weigh 1 / (2 * 3/4)
        >>> z = torch.tensor([[3.0, 1 / 3], [1.0, 1 / 9]]).log()
        >>> fn(z, [0, 0])  # 2/3 of log 4/3 twice, 2 log 2 + 2/3 of log 10/9
        tensor([0.3836, 1.4565])
    """

    bins: int = 30
    momentum: float = 0.75

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Li, Liu, Wang: Gradient Harmonized Single-Stage Detector, AAAI 2019, section 3"
    )

    def __post_init__(self) -> None:
        checks.require(self.bins >= 1, "bins", ">= 1", self.bins)
        checks.require(0 <= self.momentum < 1, "momentum", "in [0, 1)", self.momentum)

    def prepare(self, context: LossContext) -> LossFn:
        """Return a module that keeps the shares of the bins."""
        return _Harmony(self, context.device)


class _Harmony(nn.Module):
    shares: Tensor

    def __init__(self, config: Ghm, device: str) -> None:
        super().__init__()
        self.config = config
        zeros = torch.zeros(config.bins, dtype=torch.float64, device=device)
        self.register_buffer("shares", zeros)

    def forward(self, output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
        logits, labels = checks.hard_classes("ghm", output, target)
        checks.require(len(labels) > 0, "batch", "at least one sample", "none")
        signed = torch.where(one_hot(labels, logits.shape[1]).bool(), logits, -logits)
        bins, momentum = self.config.bins, self.config.momentum
        hardness = torch.sigmoid(-signed.detach())
        found = (hardness * bins).long().clamp(max=bins - 1)
        shares = found.flatten().bincount(minlength=bins).double() / found.numel()
        smoothed = momentum * self.shares + (1 - momentum) * shares
        shares = torch.where(self.shares.any(), smoothed, shares)
        if self.training:
            self.shares.copy_(shares)
        weight = 1 / (bins * shares[found])
        return -(weight.to(logits.dtype) * logsigmoid(signed)).sum(1)
