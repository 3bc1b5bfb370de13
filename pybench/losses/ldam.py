"""Label-distribution-aware margins on cosines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from pybench import checks
from pybench.class_weights import counts_from_one
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class Ldam:
    r"""Cross entropy of scaled cosines in which a label must win by a margin, a rare one by more.

    .. math:: -\log \mathrm{softmax}(s(\cos\theta - \Delta_y e_y))_y, \quad
        \Delta_c \propto n_c^{-1/4}

    Fields:
        max_margin: margin of the rarest class, in cosines, >= 0; 0 is scaled cross entropy.
        scale: s, > 0; it multiplies the cosine and the margin.

    Inputs: logits (B, C), cosines in [-1, 1] from a cosine head; labels (B,).
    Returns: (B,) terms >= 0, nats.
    Raises: ValueError if a field is out of range, counts are missing or not C, or for mixed
        labels.
    Source: Cao, Wei, Gaidon, Arechiga, Ma: Learning Imbalanced Datasets with
        Label-Distribution-Aware Margin Loss, NeurIPS 2019, section 3.2.
    Deviations: none from the published code, where the scale comes from; some ports leave the
        margin unscaled. A class without samples counts as if it had one.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("ldam(scale=2)").prepare(pl.LossContext(counts=[16, 1]))
        >>> fn(torch.zeros(2, 2), [0, 1]).exp()  # margins 1/4 and 1/2: 1 + e^(1/2), 1 + e
        tensor([2.6487, 3.7183])
    """

    max_margin: float = 0.5
    scale: float = 30.0

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset({"cosine_head"})
    source: ClassVar[str] = (
        "Cao, Wei, Gaidon, Arechiga, Ma: Learning Imbalanced Datasets with "
        "Label-Distribution-Aware Margin Loss, NeurIPS 2019, section 3.2"
    )
    uses_counts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        rule = "finite and >= 0"
        checks.require(0 <= self.max_margin < math.inf, "max_margin", rule, self.max_margin)
        checks.require(0 < self.scale < math.inf, "scale", "finite and > 0", self.scale)

    @property
    def logit_scale(self) -> float:
        """What a cosine is multiplied by to be the logit of a prediction."""
        return self.scale

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with its margins computed."""
        counts = counts_from_one(context, "ldam")
        margins = self.max_margin * (counts.min() / counts) ** 0.25

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            cosines, labels = checks.hard_classes("ldam", output, target, weights=margins)
            margin = one_hot(labels, cosines.shape[1]) * margins.to(cosines.dtype)
            return cross_entropy(self.scale * (cosines - margin), labels, reduction="none")

        return terms
