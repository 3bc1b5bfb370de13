"""Cross entropy divided by how much a sample moves the decision boundary."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from pybench import checks
from pybench.class_weights import class_weights
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need

FLOOR = 1e-3


@dataclass(frozen=True)
class InfluenceBalanced:
    r"""Samples that sway an overfitted boundary weigh less, once training has found one.

    .. math:: \frac{\alpha\,w_y}{\|p - t\|_1\,\|h\|_1 + 10^{-3}}\,(-\log p_y), \quad
        w_c \propto 1 / n_c

    The factor is a constant for the gradient. Before ``at`` the loss is cross entropy.

    Fields:
        alpha: factor of all terms, > 0.
        at: progress of training in [0, 1] from which the influence counts.

    Inputs: logits (B, C), C >= 2; features, of which the last layer (B, D) or (B, D, ...) is h;
        labels (B,).
    Returns: (B,) terms >= 0, nats over the unit of h.
    Raises: ValueError if a field is out of range, counts or features are missing, or for mixed
        labels.
    Source: Park, Lim, Jeon, Choi: Influence-Balanced Loss for Imbalanced Visual Classification,
        ICCV 2021, section 3.
    Deviations: the weights w sum to C and the denominator has a floor, as in the published code,
        which differentiates the factor as well. A class without samples weighs 0.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("influence_balanced(alpha=2, at=0)").prepare(pl.LossContext(counts=[3, 1]))
        >>> z, h = torch.zeros(2, 2), torch.tensor([[1.0, -0.999]]).expand(2, 2)
        >>> fn((z, h), [0, 1]) / torch.tensor(2.0).log()  # 2 w / (1 * 1.999 + .001), w = 1/2, 3/2
        tensor([0.5000, 1.5000])
    """

    alpha: float = 1000.0
    at: float = 0.5

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset({"features"})
    source: ClassVar[str] = (
        "Park, Lim, Jeon, Choi: Influence-Balanced Loss for Imbalanced Visual Classification, "
        "ICCV 2021, section 3"
    )
    uses_counts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.require(0 < self.alpha < math.inf, "alpha", "finite and > 0", self.alpha)
        checks.require(0 <= self.at <= 1, "at", "in [0, 1]", self.at)

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with its class weights computed."""
        weights = class_weights("inverse", context, "influence_balanced")

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            name = "influence_balanced"
            logits, labels = checks.hard_classes(name, output, target, weights=weights, least=2)
            last = checks.feature_layers(name, output, [*output.features][-1:])[0]
            label = labels.unsqueeze(1)
            others = logits.scatter(1, label, -math.inf).logsumexp(1)
            odds = logits.gather(1, label).squeeze(1) - others
            values = -logsigmoid(odds)
            if progress < self.at:
                return values
            # For one label the distance of p from t is twice what p gives to the other classes.
            influence = 2 * (-odds.detach()).sigmoid() * last.detach().abs().sum(1)
            factor = self.alpha * weights[labels] / (influence + FLOOR)
            return factor.to(values.dtype) * values

        return terms
