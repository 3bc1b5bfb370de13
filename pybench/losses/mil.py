"""Multiple-instance ranking of abnormal over normal bags."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from pybench import checks
from pybench.types import BagOutput, BagTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class Mil:
    r"""The strongest snippet of an abnormal bag must beat the strongest of a normal one by 1.

    .. math:: \max(0,\, 1 - \max_i f^a_i + \max_i f^n_i)
        + \lambda_1 \sum_{i<S} (f^a_i - f^a_{i+1})^2 + \lambda_2 \sum_i (f^a_i)^2

    Fields:
        pairing: ``"paired"`` sets the i-th abnormal against the i-th normal bag of the batch;
            ``"all_pairs"`` sets each abnormal bag against every normal one, and takes the mean.
        sparsity: ``"l2"`` sums the squares of the scores, ``"l1"`` the scores.
        lambda_smooth: weight of the second term, >= 0.
        lambda_sparse: weight of the third term, >= 0.

    Inputs: scores (B, S) in [0, 1] of abnormal and normal bags; labels (B,).
    Returns: (P,) terms >= 0, one per abnormal bag.
    Raises: ValueError if a weight is negative, a score is outside [0, 1], the batch lacks
        abnormal or normal bags, or pairs do not come out even.
    Source: Sultani, Chen, Shah: Real-World Anomaly Detection in Surveillance Videos, CVPR 2018,
        eq. (6) and (7).
    Deviations: sparsity is squared by default, as in Park, Park, Hong 2022, eq. (3), and
        ``"l1"`` is the original; the weight decay of eq. (7) belongs to the optimiser.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("mil(lambda_smooth=1, lambda_sparse=0)").prepare(pl.LossContext())
        >>> fn((torch.tensor([[0.5, 0.75]]), torch.tensor([[0.25, 0.0]])), [3])  # .5 + 1/16
        tensor([0.5625])
    """

    pairing: Literal["paired", "all_pairs"] = "paired"
    sparsity: Literal["l2", "l1"] = "l2"
    lambda_smooth: float = 8e-5
    lambda_sparse: float = 8e-5

    reads: ClassVar[Kind] = "bags"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Sultani, Chen, Shah: Real-World Anomaly Detection in Surveillance Videos, CVPR 2018, "
        "eq. (6) and (7)"
    )

    def __post_init__(self) -> None:
        for name in ("lambda_smooth", "lambda_sparse"):
            value = getattr(self, name)
            checks.require(0 <= value < math.inf, name, "finite and >= 0", value)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(self, output: BagOutput, target: BagTarget, *, progress: float = 0.0) -> Tensor:
        """Terms (P,)."""
        hinge, penalties, _ = self.parts(output, target)
        return hinge + penalties

    def parts(self, output: BagOutput, target: BagTarget) -> tuple[Tensor, Tensor, Tensor]:
        """The hinge (P,), the weighted smoothness and sparsity (P,), and the classes (P,)."""
        abnormal, normal, classes = checks.bag_scores("mil", output, target)
        # amax shares the gradient among tied snippets, so their order does not matter.
        top, rival = abnormal.amax(1), normal.amax(1)
        if self.pairing == "paired":
            checks.bags_in_pairs("mil", top, rival, "or pairing='all_pairs'")
            hinge = (1 - top + rival).relu()
        else:
            hinge = (1 - top.unsqueeze(1) + rival).relu().mean(1)
        smooth = abnormal.diff(dim=1).square().sum(1)
        sparse = (abnormal.square() if self.sparsity == "l2" else abnormal).sum(1)
        return hinge, self.lambda_smooth * smooth + self.lambda_sparse * sparse, classes
