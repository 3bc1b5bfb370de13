"""Supervised contrast in which every class counts alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from pybench import checks
from pybench.losses._contrast import directions, last_features
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class BalancedContrastive:
    r"""Supervised contrast whose denominator averages over each class, with a prototype of each.

    .. math:: -\frac{1}{|P(i)|} \sum_{p \in P(i)} \log \frac{\exp(h_i \cdot h_p / \tau)}
        {\sum_c \frac{1}{|A_c(i)|} \sum_{a \in A_c(i)} \exp(h_i \cdot h_a / \tau)}

    with h the features of the batch and one learned prototype per class, all at unit length,
    A_c(i) those of class c but i itself, and P(i) those of the class of i but i itself.

    Fields:
        temperature: tau > 0.

    Inputs: features, the last layer (B, D) or maps (B, D, ...), of both views; labels (B,), those
        of the second view repeated. Bags and boxes have one view; of boxes, cells with an object
        are compared with one another and with hard negatives.
    Returns: (B,) terms >= 0, nats. Add it to a loss of the logits.
    Raises: ValueError if temperature is not > 0, the number of classes or the size of the
        features is not known, for an empty batch, mixed labels or features of another size.
    Source: Zhu, Wang, Chen, Chen, Jiang: Balanced Contrastive Learning for Long-Tailed Visual
        Recognition, CVPR 2022, section 3.
    Deviations: prototypes are parameters of the loss in the space of the features that the
        classifier reads; in the source both features and the classifier's weights pass through
        a projection first. The logit-compensated cross entropy beside it is
        ``logit_adjustment``. A vector shorter than 1e-12 has similarity 0.

    Example:
        >>> import torch, pybench.losses as pl
        >>> context = pl.LossContext(num_classes=3, feature_dims=[2])
        >>> fn = pl.loss("balanced_contrastive(temperature=1e9)").prepare(context)
        >>> terms = fn((torch.zeros(2, 3), torch.eye(2)), [0, 1])  # all alike: each class 1/3
        >>> terms.detach() / torch.tensor(3.0).log()
        tensor([1., 1.])
    """

    temperature: float = 0.1

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset({"features", "two_views"})
    compares_samples: ClassVar[bool] = True
    source: ClassVar[str] = (
        "Zhu, Wang, Chen, Chen, Jiang: Balanced Contrastive Learning for Long-Tailed Visual "
        "Recognition, CVPR 2022, section 3"
    )

    def __post_init__(self) -> None:
        fine = 0 < self.temperature < math.inf
        checks.require(fine, "temperature", "finite and > 0", self.temperature)

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with fresh prototypes, drawn from the context's generator."""
        return _Prototypes(self.temperature, context)


class _Prototypes(nn.Module):
    def __init__(self, temperature: float, context: LossContext) -> None:
        super().__init__()
        dims = context.feature_dims
        known = list(dims.values()) if isinstance(dims, Mapping) else list(dims)
        name = "of balanced_contrastive"
        checks.require(bool(known), f"feature_dims {name}", "given", "none")
        classes = context.num_classes
        if classes is None:
            msg = f"num_classes {name} must be given, got None; pass LossContext(num_classes=...)"
            raise ValueError(msg)
        self.temperature = temperature
        start = torch.randn(classes, known[-1], generator=context.generator, device=context.device)
        self.prototypes = nn.Parameter(start)

    def forward(self, output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
        """Terms (B,)."""
        classes, size = self.prototypes.shape
        features, labels = last_features("balanced_contrastive", output, target, classes)
        checks.require(features.shape[1] == size, "features", f"of size {size}", features.shape[1])
        samples = len(labels)
        of = torch.cat([labels, torch.arange(classes, device=labels.device)])
        itself = torch.eye(samples, len(of), dtype=torch.bool, device=labels.device)
        same = labels.unsqueeze(1) == of
        alike = same & ~itself
        # Members of each column's class, without the row itself; a prototype is always left.
        members = of.bincount(minlength=classes)[of] - same.long()
        # Autocast would take the products of unit vectors to half precision.
        with torch.autocast(features.device.type, enabled=False):
            keys = directions(torch.cat([features, self.prototypes.to(features.dtype)]))
            similarity = keys[:samples] @ keys.T / self.temperature
            averaged = similarity - members.clamp(min=1).to(similarity.dtype).log()
            total = averaged.masked_fill(itself, -math.inf).logsumexp(1, keepdim=True)
        return torch.where(alike, total - similarity, 0.0).sum(1) / alike.sum(1)
