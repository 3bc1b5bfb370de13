"""Contrast of features by their cosine, at every layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pybench import checks
from pybench.losses._contrast import directions
from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class FeatureSimilarity:
    r"""Features of one class should point the same way, those of two classes at right angles.

    .. math:: \sum_l \frac{1}{B^2} \sum_{i,j} (s^l_{ij} - [c_i = c_j])^2, \quad
        s^l_{ij} = \frac{h^l_i \cdot h^l_j}{\|h^l_i\|\,\|h^l_j\|}

    Fields:
        layers: names of the layers to sum over; None takes all that the model reports.
        exclude_diagonal: whether to leave out the pairs i = j, which are always met.
        pair_balance: whether same-class and different-class pairs are averaged apart and
            weigh 1/2 each (an absent kind adds 0), so that a rare class is not drowned by the
            pairs within the frequent one.

    Inputs: features, per layer (B, D) or maps (B, D, ...), which are averaged; labels (B,). Of
        boxes, cells with an object are compared with one another and with hard negatives.
    Returns: 0-d, in [0, 4 L] for L layers. Add it to a loss of the logits.
    Raises: ValueError for an unknown layer, an empty batch or mixed labels.
    Source: Lee et al., Feature Similarity Contrastive Learning for Imbalanced Fine-Grained
        Wildlife Image Classification, eq. (1) to (3).
    Deviations: the printed eq. (1) divides by the norm of h_i twice; both norms are meant. A
        vector shorter than 1e-12 has similarity 0 and no gradient. ``exclude_diagonal`` and
        ``pair_balance`` are additions.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("feature_similarity").prepare(pl.LossContext(num_classes=2))
        >>> h = torch.tensor([[1.0, 0.0], [3.0, 4.0]])  # s = .6 between two classes
        >>> fn((torch.zeros(2, 2), h), [0, 1])  # 2 * .36 / 4
        tensor(0.1800)
    """

    layers: tuple[str, ...] | None = None
    exclude_diagonal: bool = False
    pair_balance: bool = False

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset({"features"})
    compares_samples: ClassVar[bool] = True
    source: ClassVar[str] = (
        "Lee, Park, Son, Do, Yang, Park: Feature Similarity Contrastive Learning for Imbalanced "
        "Fine-Grained Wildlife Image Classification, eq. (1) to (3)"
    )

    def __post_init__(self) -> None:
        checks.require(self.layers != (), "layers", "at least one name, or None for all", "none")

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself: the loss has no state."""
        return self

    def __call__(
        self, output: ClassOutput, target: ClassTarget, *, progress: float = 0.0
    ) -> Tensor:
        """One value for the batch."""
        _, labels = checks.hard_classes("feature_similarity", output, target)
        checks.require(len(labels) > 0, "batch", "at least one sample", "none")
        same = (labels.unsqueeze(1) == labels).to(torch.float32)
        pairs = torch.ones_like(same)
        if self.exclude_diagonal:
            pairs.fill_diagonal_(0)
        kinds = [same * pairs, (1 - same) * pairs] if self.pair_balance else [pairs]
        layers = checks.feature_layers("feature_similarity", output, self.layers)
        # Autocast would take the products of unit vectors to half precision.
        with torch.autocast(output.logits.device.type, enabled=False):
            errors = [(_cosines(layer) - same).square() for layer in layers]
            means = [(e * k).sum() / k.sum().clamp(min=1) for e in errors for k in kinds]
        return torch.stack(means).sum() / len(kinds)


def _cosines(features: Tensor) -> Tensor:
    """(B, B) cosines of the rows, 0 where a row has no direction."""
    units = directions(features)
    return units @ units.T
