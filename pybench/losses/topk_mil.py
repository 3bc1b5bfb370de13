"""Cross entropy of a bag by its strongest snippets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pybench import checks
from pybench.types import BagOutput, BagTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class TopkMil:
    r"""A bag is as abnormal as the mean of its k strongest snippets.

    .. math:: -y \log s - (1 - y) \log(1 - s), \quad s = \frac{1}{k} \sum_{i \in \mathrm{top}_k} f_i

    Fields:
        k: snippets that speak for a bag, >= 1; 1 takes the maximum.

    Inputs: scores (B, S) in [0, 1], S >= k; labels (B,).
    Returns: (B,) terms >= 0, one per bag, nats.
    Raises: ValueError if k is below 1 or above S, a score is outside [0, 1], or the batch lacks
        abnormal or normal bags.
    Source: Paul, Roy, Roy-Chowdhury: W-TALC: Weakly-supervised Temporal Activity Localization and
        Classification, ECCV 2018, section 3.
    Deviations: one sigmoid for "abnormal" in the place of a softmax over activities, and k does
        not grow with the length of the video. The logarithm of 0 is that of the smallest
        normal number.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("topk_mil(k=2)").prepare(pl.LossContext())
        >>> bags = torch.tensor([[0.75, 0.0, 0.25]]), torch.tensor([[0.5, 0.5, 0.0]])
        >>> fn(bags, [3]) / torch.tensor(2.0).log()  # both bags have s = 1/2
        tensor([1., 1.])
    """

    k: int = 3

    reads: ClassVar[Kind] = "bags"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Paul, Roy, Roy-Chowdhury: W-TALC: Weakly-supervised Temporal Activity Localization and "
        "Classification, ECCV 2018, section 3"
    )

    def __post_init__(self) -> None:
        checks.require(self.k >= 1, "k", ">= 1", self.k)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(self, output: BagOutput, target: BagTarget, *, progress: float = 0.0) -> Tensor:
        """Terms (B,)."""
        checks.bag_scores("topk_mil", output, target)
        scores = checks.widened(output.scores)
        checks.enough_snippets(self.k, scores)
        strongest = scores.topk(self.k, dim=1).values.mean(1)
        return bag_cross_entropy(strongest, target.labels != target.normal)


def bag_cross_entropy(scores: Tensor, abnormal: Tensor) -> Tensor:
    """(B,) binary cross entropy of bag scores in [0, 1], finite at 0 and 1 and under autocast."""
    of_truth = torch.where(abnormal, scores, 1 - scores)
    return -of_truth.clamp(min=torch.finfo(scores.dtype).tiny).log()
