"""Box regression that lifts the gradient of nearly right boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pybench import checks
from pybench.types import BoxOutput, BoxTarget, Kind, LossContext, LossFn, Need

STEEPEST = 50.0


@dataclass(frozen=True)
class BalancedL1:
    r"""Distance of coordinates whose gradient grows as a logarithm, then stays.

    .. math:: \sum_{k=1}^4 \beta \ell(|d_k| / \beta), \quad
        \ell(x) = \begin{cases} \frac{\alpha}{b} (b x + 1) \ln(b x + 1) - \alpha x & x < 1 \\
        \gamma x + \gamma / b - \alpha & \text{otherwise} \end{cases}, \quad
        \alpha \ln(b + 1) = \gamma

    Fields:
        alpha: > 0; a smaller one lifts the gradient of small distances more.
        gamma: gradient of a distance beyond beta, > 0 and at most 50 alpha.
        beta: where the gradient stops growing, in pixels, > 0.

    Inputs: boxes (N, 4) or (B, A, 4) xyxy in pixels, predicted and true; labels, 0 = background.
    Returns: (N,) or (B A,) terms >= 0, one per cell, 0 on background, pixels. Their sum is to be
        divided by the positive cells.
    Raises: ValueError if a field is out of range or shapes differ.
    Source: Pang, Chen, Shi, Feng, Ouyang, Lin: Libra R-CNN: Towards Balanced Learning for Object
        Detection, CVPR 2019, section 3.3.
    Deviations: pixels in the place of offsets normalised by an anchor; beta, 1 in the source,
        scales the distance so that value and gradient stay continuous.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("balanced_l1").prepare(pl.LossContext())  # b = e^3 - 1
        >>> cell, box = torch.zeros(1, 2), torch.tensor([[0.0, 0.0, 0.0, 3.0]])
        >>> fn((cell, box), (torch.tensor([1]), torch.zeros(1, 4)))  # 4.5 + 1.5 / b - .5
        tensor([4.0786])
    """

    alpha: float = 0.5
    gamma: float = 1.5
    beta: float = 1.0

    reads: ClassVar[Kind] = "boxes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Pang, Chen, Shi, Feng, Ouyang, Lin: Libra R-CNN: Towards Balanced Learning for Object "
        "Detection, CVPR 2019, section 3.3"
    )

    def __post_init__(self) -> None:
        for name in ("alpha", "gamma", "beta"):
            value = getattr(self, name)
            checks.require(0 < value < math.inf, name, "finite and > 0", value)
        steep = self.gamma <= STEEPEST * self.alpha
        checks.require(steep, "gamma", f"at most {STEEPEST:g} alpha", self.gamma)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(self, output: BoxOutput, target: BoxTarget, *, progress: float = 0.0) -> Tensor:
        """Terms (N,)."""
        predicted, true, _ = checks.cell_boxes(output, target)
        distance = (predicted - true).abs() / self.beta
        b = math.expm1(self.gamma / self.alpha)
        near = distance.clamp(max=1)
        curved = self.alpha * ((near + 1 / b) * (b * near).log1p() - near)
        values = torch.where(distance < 1, curved, self.gamma * (distance + 1 / b) - self.alpha)
        return self.beta * values.sum(-1)
