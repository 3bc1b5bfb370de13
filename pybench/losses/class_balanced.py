"""Losses weighted by the effective number of samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid, one_hot

from pybench import checks
from pybench.class_weights import Normalise, effective_weights
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class ClassBalanced:
    r"""Any of three losses, weighted by how many samples of the label's class are not repeats.

    .. math:: w_y\,\ell(z, y), \quad w_c \propto \frac{1-\beta}{1-\beta^{n_c}}

    with :math:`\ell` the softmax cross entropy, or the sum over classes of the binary cross
    entropy, or of the binary focal loss :math:`(1-p_t)^\gamma(-\log p_t)`.

    Fields:
        base: ``"ce"``, ``"sigmoid"`` or ``"focal"``.
        beta: in [0, 1]; 0 leaves all classes alike, 1 is the limit 1 / n_c.
        gamma: focusing exponent of ``"focal"``, >= 0.
        normalise: ``"sum_to_c"`` scales the weights to sum to C, ``"mean_one"`` to a mean of 1
            over the training samples, ``"none"`` leaves them.

    Inputs: logits (B, C); labels (B,).
    Returns: (B,) terms >= 0, nats, summed over classes.
    Raises: ValueError if a field is out of range or counts are missing.
    Source: Cui, Jia, Lin, Song, Belongie: Class-Balanced Loss Based on Effective Number of
        Samples, CVPR 2019, section 4.
    Deviations: a class without samples weighs 0 and is left out of C.

    Example:
        >>> import torch, pybench.losses as pl
        >>> spec = "class_balanced(beta=0.5, normalise='none')"
        >>> fn = pl.loss(spec).prepare(pl.LossContext(counts=[1, 2]))
        >>> fn(torch.zeros(2, 2), [0, 1]) / torch.tensor(2.0).log()  # .5 / .5, .5 / .75
        tensor([1.0000, 0.6667])
    """

    base: Literal["ce", "sigmoid", "focal"] = "ce"
    beta: float = 0.999
    gamma: float = 2.0
    normalise: Normalise = "sum_to_c"

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Cui, Jia, Lin, Song, Belongie: Class-Balanced Loss Based on Effective Number of Samples, "
        "CVPR 2019, section 4"
    )
    uses_counts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        known = ("ce", "sigmoid", "focal")
        checks.require(self.base in known, "base", f"one of {known}", repr(self.base))
        checks.require(0 <= self.beta <= 1, "beta", "in [0, 1]", self.beta)
        checks.require(0 <= self.gamma < math.inf, "gamma", "finite and >= 0", self.gamma)

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with its weights computed."""
        weights = effective_weights(self.beta, self.normalise, context, "class_balanced")

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            logits, labels = checks.hard_classes("class_balanced", output, target, weights=weights)
            return self._unweighted(logits, labels) * weights[labels].to(logits.dtype)

        return terms

    def _unweighted(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.base == "ce":
            return cross_entropy(logits, labels, reduction="none")
        is_label = one_hot(labels, logits.shape[1]).bool()
        signed = torch.where(is_label, logits, -logits)
        log_p, log_rest = logsigmoid(signed), logsigmoid(-signed)
        gamma = self.gamma if self.base == "focal" else 0.0
        return -((gamma * log_rest).exp() * log_p).sum(1)
