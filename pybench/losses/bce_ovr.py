"""Binary cross entropy of each class against the rest, with weighted positives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid, one_hot

from pybench import checks
from pybench.class_weights import Reweighted, class_weights
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class BceOvr(Reweighted):
    r"""One binary problem per class, in which the samples of a rare class count for more.

    .. math:: -\sum_c \left[ w_c t_c \log \sigma(z_c) + (1-t_c) \log(1-\sigma(z_c)) \right]

    Fields:
        weights: ``"balanced"`` N / (C n_c); ``"inverse"``, ``"inverse_sqrt"`` and
            ``"effective:b"`` scaled to sum to C; or a list of C weights >= 0. Only the positive
            side of a class is weighted, as by ``pos_weight`` of torch.

    Inputs: logits (B, C); labels (B,), or probabilities (B, C) in the place of t.
    Returns: (B,) terms >= 0, nats, summed over classes.
    Raises: ValueError for unknown or negative weights, missing counts, or not C weights.
    Source: Lee, Han: Comparison of Loss Function for Multi-Class Classification of Collision
        Events in Imbalanced Black-Box Video Data, eq. (2).
    Deviations: none; the class frequency weight is read as balanced weights. A class without
        samples weighs 0 as a positive, and is still a negative.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("bce_ovr(weights=[2.5, 1])").prepare(pl.LossContext())
        >>> fn(torch.zeros(2, 2), [0, 1]) / torch.tensor(2.0).log()  # 2.5 + 1, 1 + 1
        tensor([3.5000, 2.0000])
    """

    reads: ClassVar[Kind] = "classes"
    takes_probabilities: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Lee, Han: Comparison of Loss Function for Multi-Class Classification of Collision Events "
        "in Imbalanced Black-Box Video Data, eq. (2)"
    )

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with its weights computed."""
        weights = class_weights(self.weights, context, "bce_ovr")

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            logits, truth = checks.soft_classes(output, target, weights=weights)
            t = truth if truth.is_floating_point() else one_hot(truth, logits.shape[1])
            positive = weights.to(logits.dtype) * t * logsigmoid(logits)
            return -(positive + (1 - t) * logsigmoid(-logits)).sum(1)

        return terms
