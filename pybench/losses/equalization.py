"""Equalization loss: rare classes are spared as negatives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid, one_hot

from pybench import checks
from pybench.class_weights import counts_from_one
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class Equalization:
    r"""One binary problem per class, in which other samples do not push a rare class down.

    .. math:: -\log \sigma(z_y) - \sum_{j \ne y} (1 - \lambda\,[n_j < \theta N / C])
        \log(1 - \sigma(z_j))

    Fields:
        lam: share in [0, 1] of its cost as a negative that a rare class is spared; 0 is binary
            cross entropy, 1 the published form.
        threshold: a class is rare when it has fewer samples than threshold times the mean class,
            >= 0.

    Inputs: logits (B, C); labels (B,).
    Returns: (B,) terms >= 0, nats, summed over classes.
    Raises: ValueError if a field is out of range, counts are missing or not C, or for mixed
        labels.
    Source: Tan, Wang, Li, Li, Ouyang, Yin, Yan: Equalization Loss for Long-Tailed Object
        Recognition, CVPR 2020, section 3.2.
    Deviations: the threshold is in mean classes, not in images, so that one value serves 3 and
        1,000 classes. No sample is exempt: the published form keeps the cost of negatives from
        background regions. ``lam`` is an addition. A class without samples counts as if it had one.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("equalization(lam=0.5)").prepare(pl.LossContext(counts=[3, 1]))
        >>> fn(torch.zeros(2, 2), [0, 1]) / torch.tensor(2.0).log()  # class 1 is rare
        tensor([1.5000, 2.0000])
    """

    lam: float = 1.0
    threshold: float = 1.0

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Tan, Wang, Li, Li, Ouyang, Yin, Yan: Equalization Loss for Long-Tailed Object "
        "Recognition, CVPR 2020, section 3.2"
    )
    uses_counts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.require(0 <= self.lam <= 1, "lam", "in [0, 1]", self.lam)
        rule = "finite and >= 0"
        checks.require(0 <= self.threshold < math.inf, "threshold", rule, self.threshold)

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with the rare classes found."""
        counts = counts_from_one(context, "equalization")
        negative = 1 - self.lam * (counts < self.threshold * counts.mean()).double()

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            logits, labels = checks.hard_classes("equalization", output, target, weights=negative)
            is_label = one_hot(labels, logits.shape[1])
            spared = (1 - is_label) * negative.to(logits.dtype)
            return -(is_label * logsigmoid(logits) + spared * logsigmoid(-logits)).sum(1)

        return terms
