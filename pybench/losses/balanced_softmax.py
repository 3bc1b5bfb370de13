"""Softmax under the training prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import cross_entropy

from pybench import checks
from pybench.class_weights import counts_from_one
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class BalancedSoftmax:
    r"""Cross entropy whose softmax counts each class as often as it was seen.

    .. math:: -\log \frac{n_y e^{z_y}}{\sum_j n_j e^{z_j}}

    The logits themselves then predict as for equally frequent classes.

    Inputs: logits (B, C); labels (B,), or probabilities (B, C) that weigh the terms of labels.
    Returns: (B,) terms >= 0, nats.
    Raises: ValueError if counts are missing or not C.
    Source: Ren, Yu, Sheng, Ma, Zhao, Yi, Li: Balanced Meta-Softmax for Long-Tailed Visual
        Recognition, NeurIPS 2020, section 3.1.
    Deviations: without the meta sampler. A class without samples counts as if it had one.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("balanced_softmax").prepare(pl.LossContext(counts=[3, 1]))
        >>> fn(torch.zeros(2, 2), [0, 1]).exp()  # 4 / 3, 4 / 1
        tensor([1.3333, 4.0000])
    """

    reads: ClassVar[Kind] = "classes"
    takes_probabilities: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Ren, Yu, Sheng, Ma, Zhao, Yi, Li: Balanced Meta-Softmax for Long-Tailed Visual "
        "Recognition, NeurIPS 2020, section 3.1"
    )
    uses_counts: ClassVar[bool] = True

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with its prior computed."""
        prior = counts_from_one(context, "balanced_softmax").log()

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            logits, truth = checks.soft_classes(output, target, weights=prior)
            return cross_entropy(logits + prior.to(logits.dtype), truth, reduction="none")

        return terms
