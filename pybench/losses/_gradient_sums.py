"""What losses share that balance classes by the gradients that these have had."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pybench import checks
from pybench.types import LossContext

TINY = 1e-10


class GradientSums(nn.Module):
    """Sums of the absolute gradients of each class's logit, by the sign of the class.

    They are added up in double precision, and only while training.
    """

    positive: Tensor
    negative: Tensor

    def __init__(self, loss: str, context: LossContext) -> None:
        super().__init__()
        classes = context.num_classes or 0
        remedy = "pass LossContext(num_classes=...)"
        checks.require(classes > 0, "num_classes", f"known for {loss}", None, remedy)
        for name in ("positive", "negative"):
            zeros = torch.zeros(classes, dtype=torch.float64, device=context.device)
            self.register_buffer(name, zeros)

    def add(self, pull: Tensor, is_label: Tensor) -> None:
        """Add the absolute gradients (B, C) of a batch, positive where a class is the label."""
        if self.training:
            pull = pull.detach().double()
            self.positive += (pull * is_label).sum(0)
            self.negative += (pull * ~is_label).sum(0)

    def ratio(self, unmet: float) -> Tensor:
        """(C,) positive by negative gradient; ``unmet`` before a class's first negative one."""
        met = self.negative > 0
        return torch.where(met, self.positive / self.negative.clamp(min=TINY), unmet)
