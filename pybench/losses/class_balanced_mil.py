"""Multiple-instance ranking that weighs a bag by how rare its class is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pybench import checks
from pybench.class_weights import Normalise, effective_weights
from pybench.losses.mil import Mil
from pybench.types import BagOutput, BagTarget, LossContext, LossFn


@dataclass(frozen=True)
class ClassBalancedMil(Mil):
    r"""The ranking of ``mil``, weighted by the effective number of bags of the abnormal class.

    .. math:: w_y \max(0,\, 1 - \max_i f^a_i + \max_i f^n_i)
        + \lambda_1 \sum_{i<S} (f^a_i - f^a_{i+1})^2 + \lambda_2 \sum_i (f^a_i)^2, \quad
        w_c \propto \frac{1-\beta}{1-\beta^{n_c}}

    Fields:
        pairing: as in ``mil``.
        sparsity: as in ``mil``.
        lambda_smooth: weight of the second term, >= 0.
        lambda_sparse: weight of the third term, >= 0.
        beta: in [0, 1]; 0 leaves all classes alike, 1 is the limit 1 / n_c.
        normalise: ``"sum_to_c"`` scales the weights to sum to the number of abnormal classes,
            ``"mean_one"`` to a mean of 1 over the abnormal bags, ``"none"`` leaves them.

    Inputs: scores (B, S) in [0, 1] of abnormal and normal bags; labels (B,).
    Returns: (P,) terms >= 0, one per abnormal bag.
    Raises: ValueError as ``mil``, if beta is out of range, counts are missing, or a bag is of a
        class that was not counted.
    Source: Park, Park, Hong: Analyzing the Importance of Balanced Action Classes in Weakly
        Supervised Video Anomaly Detection, 2022, eq. (2) and (3).
    Deviations: the printed eq. (2) has a minus sign, which would make the hinge grow. How the
        weights are scaled is not stated; "none" shrinks the hinge up to a hundredfold beside
        the other two terms. A class without bags weighs 0.

    Example:
        >>> import torch, pybench.losses as pl
        >>> spec = "class_balanced_mil(beta=1, lambda_smooth=0, lambda_sparse=0)"
        >>> fn = pl.loss(spec).prepare(pl.LossContext(counts=[1, 3]))  # weights 1.5 and .5
        >>> half = torch.full((2, 1), 0.5)
        >>> fn((half, half), [0, 1])
        tensor([1.5000, 0.5000])
    """

    beta: float = 0.999
    normalise: Normalise = "sum_to_c"

    source: ClassVar[str] = (
        "Park, Park, Hong: Analyzing the Importance of Balanced Action Classes in Weakly "
        "Supervised Video Anomaly Detection, 2022, eq. (2) and (3)"
    )
    uses_counts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.require(0 <= self.beta <= 1, "beta", "in [0, 1]", self.beta)

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with its weights computed."""
        weights = effective_weights(self.beta, self.normalise, context, "class_balanced_mil")

        def terms(output: BagOutput, target: BagTarget, *, progress: float = 0.0) -> Tensor:
            hinge, penalties, classes = self.parts(output, target)
            largest = int(classes.max())
            rule = f"counted by class, {len(weights)} of them"
            checks.require(largest < len(weights), "abnormal bags", rule, f"class {largest}")
            return weights[classes].to(hinge.dtype) * hinge + penalties

        return terms
