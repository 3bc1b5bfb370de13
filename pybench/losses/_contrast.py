"""What losses that compare the directions of features share."""

from __future__ import annotations

import torch
from torch import Tensor

from pybench import checks
from pybench.types import ClassOutput, ClassTarget

TINY = 1e-12


def directions(features: Tensor) -> Tensor:
    """Rows (B, D) at unit length; a row shorter than 1e-12 has no direction and becomes 0."""
    norm = features.norm(dim=1, keepdim=True)
    return torch.where(norm > TINY, features / norm.clamp(min=TINY), 0.0)


def last_features(
    loss: str, output: ClassOutput, target: ClassTarget, classes: int | None = None
) -> tuple[Tensor, Tensor]:
    """What the classifier head reads, (B, D), and labels (B,), of a batch that is not empty.

    Args:
        loss: the loss that asks, for messages.
        output: its last layer is taken.
        target: hard labels.
        classes: C that the loss was prepared for, where it matters.
    """
    logits, labels = checks.hard_classes(loss, output, target)
    checks.require(len(labels) > 0, "batch", "at least one sample", "none")
    wanted = logits.shape[1] if classes is None else classes
    checks.require(logits.shape[1] == wanted, "logits", f"of {wanted} classes", logits.shape[1])
    (features,) = checks.feature_layers(loss, output, tuple(output.features)[-1:])
    return features, labels
