"""How a loss of kind ``"classes"`` is shown the output of a task of another kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pybench.types import (
    BagOutput,
    BagTarget,
    BoxOutput,
    BoxTarget,
    ClassOutput,
    ClassTarget,
    Output,
    Target,
)

if TYPE_CHECKING:
    from torch import Tensor

SNIPPETS_PER_TOP = 16
"""A bag of S snippets is summarised by the mean of its S // 16 + 1 strongest, per class."""

HARD_RATIO, HARD_LEAST = 3, 8
"""Hard negatives per cell with an object, and how many of a batch without any."""


def class_view(output: Output, target: Target) -> tuple[ClassOutput, ClassTarget, Tensor | None]:
    """Show any output as logits (N, C) with labels (N,).

    - classes: as they are.
    - bags: video logits, per class the mean of the top snippets; one sample per bag. Its features
      are the mean over the top snippets of its own class.
    - boxes: every cell is a sample, and the sum of the terms is divided by the number of
      positive cells (at least 1).

    Returns:
        The output, the target, and what the sum of terms is divided by (None = their number).
    """
    if isinstance(output, BagOutput) and isinstance(target, BagTarget):
        top = output.logits.shape[1] // SNIPPETS_PER_TOP + 1
        strongest = output.logits.topk(min(top, output.logits.shape[1]), dim=1)
        own = target.labels.reshape(-1, 1, 1).expand(-1, strongest.indices.shape[1], 1)
        speaking = strongest.indices.gather(2, own)
        features = {
            name: layer.gather(1, speaking.expand(-1, -1, layer.shape[-1])).mean(1)
            for name, layer in output.features.items()
        }
        return ClassOutput(strongest.values.mean(1), features), ClassTarget(target.labels), None
    if isinstance(output, BoxOutput) and isinstance(target, BoxTarget):
        labels = target.labels.reshape(-1)
        features = {name: layer.flatten(0, -2) for name, layer in output.features.items()}
        logits = output.logits.flatten(0, -2)
        return ClassOutput(logits, features), ClassTarget(labels), positives(target)
    if isinstance(output, ClassOutput) and isinstance(target, ClassTarget):
        return output, target, None
    msg = f"output and target must be of one kind, got {output.kind} and {type(target).__name__}"
    raise TypeError(msg)


def with_hard_negatives(
    output: ClassOutput, target: ClassTarget
) -> tuple[ClassOutput, ClassTarget]:
    """The cells that a loss compares with one another: those with an object, and hard negatives.

    Hard negatives are the background cells that look most like an object: the least probable as
    background, ties by position. There are three per cell with an object; 8 without any.
    """
    background = target.labels == 0
    found, empty = (~background).nonzero().squeeze(1), background.nonzero().squeeze(1)
    logits = output.logits.detach()[empty]
    likeness = logits[:, 1:].logsumexp(1) - logits[:, 0]
    count = HARD_RATIO * len(found) or HARD_LEAST
    chosen = torch.cat([found, empty[likeness.sort(descending=True, stable=True).indices[:count]]])
    features = {name: layer[chosen] for name, layer in output.features.items()}
    return ClassOutput(output.logits[chosen], features), ClassTarget(target.labels[chosen])


def positives(target: BoxTarget) -> Tensor:
    """How many cells hold an object, at least 1: what a sum over cells is divided by."""
    return (target.labels > 0).sum().clamp(min=1)
