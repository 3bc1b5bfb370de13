"""Label smoothing that grows with the size of the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pybench import checks
from pybench.class_weights import counts_from_one
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class LabelAwareSmoothing:
    r"""Frequent classes, of which a model is too sure, are smoothed more than rare ones.

    .. math:: -(1-\varepsilon_y) \log p_y - \frac{\varepsilon_y}{C-1} \sum_{j \ne y} \log p_j,
        \quad \varepsilon_c = \varepsilon_- + (\varepsilon_+ - \varepsilon_-)\, f(x_c), \quad
        x_c = \frac{n_c - n_{\min}}{n_{\max} - n_{\min}}

    Fields:
        head: smoothing of the most frequent class, in [0, 1].
        tail: smoothing of the rarest class, in [0, head].
        shape: ``"concave"`` f = sin(pi x / 2), ``"linear"`` x or ``"convex"`` 1 - cos(pi x / 2).

    Inputs: logits (B, C), C >= 2; labels (B,).
    Returns: (B,) terms >= 0, nats.
    Raises: ValueError if a field is out of range, counts are missing or not C, or for mixed
        labels.
    Source: Zhong, Cui, Liu, Jia: Improving Calibration for Long-Tailed Recognition, CVPR 2021,
        section 3.2.
    Deviations: as the formula says; the published code spreads the smoothing over all classes, the
        label among them. Classes that are all of one size are smoothed by ``tail``. A class
        without samples counts as if it had one.

    Example:
        >>> import math, torch, pybench.losses as pl
        >>> spec = "label_aware_smoothing(head=0.5, tail=0)"
        >>> fn = pl.loss(spec).prepare(pl.LossContext(counts=[3, 1]))
        >>> z = torch.tensor([[math.log(3.0), 0.0]] * 2)  # p = 3/4, 1/4
        >>> fn(z, [0, 1]).exp()  # (4/3 * 4/1)^(1/2), 4
        tensor([2.3094, 4.0000])
    """

    head: float = 0.4
    tail: float = 0.1
    shape: Literal["concave", "linear", "convex"] = "concave"

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Zhong, Cui, Liu, Jia: Improving Calibration for Long-Tailed Recognition, CVPR 2021, "
        "section 3.2"
    )

    def __post_init__(self) -> None:
        checks.require(0 <= self.head <= 1, "head", "in [0, 1]", self.head)
        rule = f"in [0, head] = [0, {self.head}]"
        checks.require(0 <= self.tail <= self.head, "tail", rule, self.tail)

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with the smoothing of each class computed."""
        counts = counts_from_one(context, "label_aware_smoothing")
        x = (counts - counts.min()) / (counts.max() - counts.min()).clamp(min=1)
        quarter = x * torch.pi / 2
        shapes = {"concave": quarter.sin(), "linear": x, "convex": 1 - quarter.cos()}
        smoothing = self.tail + (self.head - self.tail) * shapes[self.shape]

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            logits, labels = checks.hard_classes(
                "label_aware_smoothing", output, target, weights=smoothing, least=2
            )
            epsilon = smoothing.to(logits.dtype)[labels].unsqueeze(1)
            spread = (epsilon / (logits.shape[1] - 1)).expand_as(logits)
            targets = spread.scatter(1, labels.unsqueeze(1), 1 - epsilon)
            return cross_entropy(logits, targets, reduction="none")

        return terms
