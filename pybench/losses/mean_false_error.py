"""Squared error, averaged within each class before it is summed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import one_hot

from pybench import checks
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class MeanFalseError:
    r"""Every class of the batch counts the same, however many samples it has there.

    .. math:: \sum_c e_c \;\text{or}\; \sum_c e_c^2, \quad
        e_c = \frac{1}{B_c} \sum_{i: y_i = c} \tfrac{1}{2} \|p_i - t_i\|_2^2, \quad
        p = \mathrm{softmax}(z)

    Fields:
        squared: whether the errors of the classes are squared, which also draws them together.

    Inputs: logits (B, C); labels (B,).
    Returns: 0-d, in [0, C]. A class that is not in the batch adds 0.
    Raises: ValueError for an empty batch or mixed labels.
    Source: Wang, Liu, Wu, Cao, Meng, Kennedy: Training Deep Neural Networks on Imbalanced Data
        Sets, IJCNN 2016, section 4.
    Deviations: any number of classes where the source has two (false positive and false negative
        error); softmax outputs.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("mean_false_error").prepare(pl.LossContext(num_classes=2))
        >>> fn(torch.zeros(3, 2), [0, 0, 1])  # 1/4 + 1/4
        tensor(0.5000)
    """

    squared: bool = False

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Wang, Liu, Wu, Cao, Meng, Kennedy: Training Deep Neural Networks on Imbalanced Data "
        "Sets, IJCNN 2016, section 4"
    )

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(
        self, output: ClassOutput, target: ClassTarget, *, progress: float = 0.0
    ) -> Tensor:
        """One value for the batch."""
        logits, labels = checks.hard_classes("mean_false_error", output, target)
        checks.require(len(labels) > 0, "batch", "at least one sample", "none")
        is_label = one_hot(labels, logits.shape[1])
        errors = (logits.softmax(1) - is_label).square().sum(1, keepdim=True) / 2
        per_class = (is_label * errors).sum(0) / is_label.sum(0).clamp(min=1)
        return (per_class.square() if self.squared else per_class).sum()
