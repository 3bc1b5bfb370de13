"""Gaussian clouded logits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pybench import checks
from pybench.class_weights import counts_from_one
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class Gcl:
    r"""Cross entropy of scaled cosines that are lowered at random, those of rare classes by more.

    .. math:: -\log \mathrm{softmax}(s(\cos\theta - \delta\,|\varepsilon|))_y, \quad
        \delta_c = \nu\,\frac{\log n_{\max} - \log n_c}{\log n_{\max} - \log n_{\min}}

    with :math:`\varepsilon_c` normal of standard deviation 1/3, clipped to [-1, 1], and drawn
    anew for each logit.

    Fields:
        noise: cloud size nu of the rarest class, in cosines, >= 0; 0 is scaled cross entropy.
        scale: s, > 0.

    Inputs: logits (B, C), cosines in [-1, 1] from a cosine head; labels (B,).
    Returns: (B,) terms >= 0, nats. Random: they depend on the context's generator.
    Raises: ValueError if a field is out of range, counts are missing or not C, or for mixed
        labels.
    Source: Li, Cheung, Lu: Long-Tailed Visual Recognition via Gaussian Clouded Logit Adjustment,
        CVPR 2022, section 3.
    Deviations: none from the published code, with its extra margin at 0; retraining the
        classifier is a step of its own. Classes that are all of one size have no clouds. A class
        without samples counts as if it had one.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("gcl(noise=0, scale=2)").prepare(pl.LossContext(counts=[3, 1]))
        >>> fn(torch.tensor([[1.0, 0.0]]), [1]).exp()  # e^2 + 1
        tensor([8.3891])
    """

    noise: float = 1.0
    scale: float = 30.0

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset({"cosine_head"})
    source: ClassVar[str] = (
        "Li, Cheung, Lu: Long-Tailed Visual Recognition via Gaussian Clouded Logit Adjustment, "
        "CVPR 2022, section 3"
    )
    uses_counts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.require(0 <= self.noise < math.inf, "noise", "finite and >= 0", self.noise)
        checks.require(0 < self.scale < math.inf, "scale", "finite and > 0", self.scale)

    @property
    def logit_scale(self) -> float:
        """What a cosine is multiplied by to be the logit of a prediction."""
        return self.scale

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with its cloud sizes computed."""
        rarity = -counts_from_one(context, "gcl").log()
        rarity = rarity - rarity.min()
        cloud = self.noise * rarity / rarity.max() if rarity.any() else rarity

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            cosines, labels = checks.hard_classes("gcl", output, target, weights=cloud)
            # In float32 always, so that a seed gives the same clouds in every precision.
            epsilon = torch.randn(
                cosines.shape, generator=context.generator, device=cosines.device
            ).div(3)
            lowered = cosines - cloud.to(cosines.dtype) * epsilon.abs().clamp(max=1)
            return cross_entropy(self.scale * lowered, labels, reduction="none")

        return terms
