"""Seesaw loss: two factors on how much a class is pushed down by samples of another."""

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
class Seesaw:
    r"""Rarer classes than the label are pushed down less, confused ones more.

    .. math:: -\log \frac{e^{z_y}}{\sum_j M_{yj} C_{yj} e^{z_j}}, \quad
        M_{yj} = \min(1, n_j / n_y)^p, \quad C_{yj} = \max(1, p_j / p_y)^q

    Both factors are constants for the gradient.

    Fields:
        p: exponent of the mitigation factor M, >= 0; 0 is off.
        q: exponent of the compensation factor C, >= 0; 0 is off. Not the probability.

    Inputs: logits (B, C); labels (B,).
    Returns: (B,) terms >= 0, nats.
    Raises: ValueError if a field is negative, counts are missing or not C, or for mixed labels.
    Source: Wang, Zhang, Zang, Cao, Pang, Gong, Chen, Liu, Loy, Lin: Seesaw Loss for Long-Tailed
        Instance Segmentation, CVPR 2021, section 3.1.
    Deviations: counts are those of the training set instead of those met so far, and p_y has no
        floor, in the published code 0.01. Linear logits and no objectness output. A class
        without samples counts as if it had one.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("seesaw(p=1)").prepare(pl.LossContext(counts=[4, 1]))
        >>> fn(torch.zeros(2, 2), [0, 1]).exp()  # 1 + 1/4, 1 + 1
        tensor([1.2500, 2.0000])
        >>> fn(torch.tensor([[3.0, 1.0]]).log(), [1]).exp()  # 1 + 3^2 * 3
        tensor([28.0000])
    """

    p: float = 0.8
    q: float = 2.0

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Wang, Zhang, Zang, Cao, Pang, Gong, Chen, Liu, Loy, Lin: Seesaw Loss for Long-Tailed "
        "Instance Segmentation, CVPR 2021, section 3.1"
    )
    uses_counts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.require(0 <= self.p < math.inf, "p", "finite and >= 0", self.p)
        checks.require(0 <= self.q < math.inf, "q", "finite and >= 0", self.q)

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with its mitigation factors computed."""
        log_counts = counts_from_one(context, "seesaw").log()
        mitigation = self.p * (log_counts - log_counts.unsqueeze(1)).clamp(max=0)

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            logits, labels = checks.hard_classes("seesaw", output, target, weights=mitigation)
            gap = logits.detach() - logits.detach().gather(1, labels.unsqueeze(1))
            factors = mitigation[labels].to(logits.dtype) + self.q * gap.clamp(min=0)
            return cross_entropy(logits + factors, labels, reduction="none")

        return terms
