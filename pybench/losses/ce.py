"""Cross entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import cross_entropy

from pybench import checks
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class CrossEntropy:
    r"""The negative log probability of the label: the baseline of every table.

    .. math:: -\sum_j t_j \log p_j, \quad
        t_j = (1-\varepsilon)\,[j=y] + \varepsilon / C, \quad p = \mathrm{softmax}(z)

    Fields:
        smoothing: share of the target spread evenly over all classes, in [0, 1]; 0 is off.

    Inputs: logits (B, C); labels (B,), or probabilities (B, C) in the place of [j=y].
    Returns: (B,) terms >= 0, nats.
    Raises: ValueError if smoothing is outside [0, 1].
    Source: smoothing is of Szegedy et al., Rethinking the Inception Architecture for Computer
        Vision, CVPR 2016, section 7.
    Deviations: none.

    Example:
        >>> import math, pybench.losses as pl
        >>> fn = pl.loss("ce").prepare(pl.LossContext(num_classes=2))
        >>> import torch
        >>> fn(torch.tensor([[math.log(3.0), 0.0]]), [0]).exp()  # 1 / p = 4 / 3
        tensor([1.3333])
    """

    smoothing: float = 0.0

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    takes_probabilities: ClassVar[bool] = True
    source: ClassVar[str] = (
        "Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception Architecture for "
        "Computer Vision, CVPR 2016, section 7 (smoothing)"
    )

    def __post_init__(self) -> None:
        checks.require(0 <= self.smoothing <= 1, "smoothing", "in [0, 1]", self.smoothing)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(
        self, output: ClassOutput, target: ClassTarget, *, progress: float = 0.0
    ) -> Tensor:
        """Terms (B,)."""
        logits, truth = checks.soft_classes(output, target)
        return cross_entropy(logits, truth, reduction="none", label_smoothing=self.smoothing)
