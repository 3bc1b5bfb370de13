"""Deferred re-weighting of another loss."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from pybench import checks
from pybench.class_weights import effective_weights
from pybench.losses import logit_scale
from pybench.losses.ldam import Ldam
from pybench.types import ClassOutput, ClassTarget, Kind, Loss, LossContext, LossFn, Need


@dataclass(frozen=True)
class Drw:
    r"""Another loss, weighted by class only in the last part of training.

    .. math:: w_y^{[\text{progress} \ge \text{at}]}\,\ell(z, y), \quad
        w_c \propto \frac{1-\beta}{1-\beta^{n_c}}

    Fields:
        loss: the loss that is weighted, by default ``ldam``; it reads classes and gives one term
            per sample.
        at: progress of training in [0, 1] from which the weights apply.
        beta: in [0, 1]; 0 leaves all classes alike, 1 is the limit 1 / n_c. The weights sum
            to C.

    Inputs: logits (B, C), and what the loss needs; labels (B,).
    Returns: (B,) terms in the unit of the loss.
    Raises: ValueError if a field is out of range, counts are missing or not C, the loss is of
        the whole batch, or for mixed labels.
    Source: Cao, Wei, Gaidon, Arechiga, Ma: Learning Imbalanced Datasets with
        Label-Distribution-Aware Margin Loss, NeurIPS 2019, algorithm 1.
    Deviations: the mean divides by the number of samples, in the published code by the sum of
        their weights; the learning rate is not lowered at the switch. A class without samples
        weighs 0 and is left out of C.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("drw(loss=ce, beta=1)").prepare(pl.LossContext(counts=[3, 1]))
        >>> fn(torch.zeros(2, 2), [0, 1], progress=0.5)  # log 2
        tensor([0.6931, 0.6931])
        >>> fn(torch.zeros(2, 2), [0, 1], progress=0.8)  # times 1/2 and 3/2
        tensor([0.3466, 1.0397])
    """

    loss: Loss = field(default_factory=Ldam)
    at: float = 0.8
    beta: float = 0.9999

    reads: ClassVar[Kind] = "classes"
    source: ClassVar[str] = (
        "Cao, Wei, Gaidon, Arechiga, Ma: Learning Imbalanced Datasets with "
        "Label-Distribution-Aware Margin Loss, NeurIPS 2019, algorithm 1"
    )
    uses_counts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        reads = self.loss.reads
        checks.require(reads == "classes", "loss", "one that reads classes", f"one of {reads}")
        checks.require(0 <= self.at <= 1, "at", "in [0, 1]", self.at)
        checks.require(0 <= self.beta <= 1, "beta", "in [0, 1]", self.beta)

    @property
    def needs(self) -> frozenset[Need]:
        """What the weighted loss needs."""
        return self.loss.needs

    @property
    def logit_scale(self) -> float:
        """That of the weighted loss."""
        return logit_scale(self.loss)

    def prepare(self, context: LossContext) -> LossFn:
        """Return a module, which holds the state of the weighted loss if it has any."""
        weights = effective_weights(self.beta, "sum_to_c", context, "drw")
        return _Deferred(self.loss.prepare(context), weights, self.at)


class _Deferred(nn.Module):
    def __init__(self, loss: LossFn, weights: Tensor, at: float) -> None:
        super().__init__()
        self.loss, self.weights, self.at = loss, weights, at

    def forward(self, output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
        _, labels = checks.hard_classes("drw", output, target, weights=self.weights)
        terms: Tensor = self.loss(output, target, progress=progress)
        rule = "one that gives a term per sample"
        checks.require(terms.shape == labels.shape, "loss in drw", rule, "one of the whole batch")
        return terms if progress < self.at else terms * self.weights[labels].to(terms.dtype)
