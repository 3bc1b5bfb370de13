"""One small valid input per kind of problem, for every contract test."""

from __future__ import annotations

from dataclasses import replace
from types import EllipsisType

import torch

from pybench.types import (
    BagOutput,
    BagTarget,
    BoxOutput,
    BoxTarget,
    ClassOutput,
    ClassTarget,
    Kind,
    LossContext,
    Output,
    Target,
)

CLASSES = 4
COUNTS = (40, 20, 8, 3)

NOT_BY_SAMPLE = {
    *("balanced_contrastive", "supcon", "equalization_v2", "gcl"),
    *("equalized_focal", "ghm", "lade", "paco", "smooth_ap"),
}
"""Losses whose terms depend on the labels of the whole batch, or change from call to call."""


def context() -> LossContext:
    return LossContext(
        counts=COUNTS,
        feature_dims={"stage1": 5, "stage2": 6},
        generator=torch.Generator().manual_seed(0),
    )


def example(
    kind: Kind, *, scale: float = 1.0, dtype: torch.dtype = torch.float64, seed: int = 0
) -> tuple[Output, Target]:
    """An output whose tensors ask for gradients, and its target; ``scale`` saturates it."""
    rng = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    def leaf(values: torch.Tensor) -> torch.Tensor:
        return values.to(dtype).requires_grad_()

    if kind == "classes":
        features = {
            "stage1": leaf(scale * normal(6, 5, 2, 3)),
            "stage2": leaf(scale * normal(6, 6)),
        }
        labels = torch.tensor([0, 1, 2, 3, 0, 1])
        return ClassOutput(leaf(scale * normal(6, CLASSES)), features), ClassTarget(labels)
    if kind == "bags":
        logits = normal(6, 5, 1) * scale
        features = {"snippets": leaf(scale * normal(6, 5, 6))}
        # Scores near 0 and 1 as a saturated sigmoid gives them, yet leaves of their own.
        scores = leaf(logits.squeeze(-1).sigmoid())
        return (
            BagOutput(scores, leaf(logits), features),
            BagTarget(torch.tensor([0, 4, 1, 4, 2, 4]), normal=4),
        )
    corners = normal(2, 3, 2).abs() * 5
    true = torch.cat([corners, corners + 1 + normal(2, 3, 2).abs() * 5], -1)
    boxes = leaf(true + scale * normal(2, 3, 4))
    features = {"cells": leaf(scale * normal(2, 3, 5))}
    return (
        BoxOutput(leaf(scale * normal(2, 3, CLASSES)), boxes, features),
        BoxTarget(torch.tensor([[0, 1, 3], [2, 0, 0]]), true),
    )


def leaves(output: Output) -> list[torch.Tensor]:
    """The tensors of an output that a gradient may reach."""
    first = {
        "classes": ["logits"],
        "bags": ["scores", "logits"],
        "boxes": ["logits", "boxes"],
    }[output.kind]
    return [getattr(output, name) for name in first] + list(output.features.values())


def with_leaves(output: Output, values: tuple[torch.Tensor, ...]) -> Output:
    """The same output made of other tensors, in the order of :func:`leaves`."""
    names = list(output.features)
    head, tail = values[: len(values) - len(names)], values[len(values) - len(names) :]
    features = dict(zip(names, tail, strict=True))
    if isinstance(output, ClassOutput):
        return replace(output, logits=head[0], features=features)
    if isinstance(output, BagOutput):
        return replace(output, scores=head[0], logits=head[1], features=features)
    return replace(output, logits=head[0], boxes=head[1], features=features)


def samples(output: Output, target: Target, order: torch.Tensor) -> tuple[Output, Target]:
    """The samples of a batch in another order."""
    rows = tuple(tensor[order] for tensor in leaves(output))
    labels = target.labels[order]
    if isinstance(target, BoxTarget):
        return with_leaves(output, rows), replace(target, labels=labels, boxes=target.boxes[order])
    return with_leaves(output, rows), replace(target, labels=labels)


def orders(kind: Kind, terms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | EllipsisType]:
    """Another order of an example's samples, and the order of the terms that follows from it.

    Bags move as pairs of an abnormal and a normal one, since some losses rank within pairs.
    """
    order = {"classes": [3, 0, 5, 1, 4, 2], "bags": [4, 5, 0, 1, 2, 3], "boxes": [1, 0]}[kind]
    if terms.ndim == 0:
        return torch.tensor(order), ...
    every = torch.arange(len(terms)).reshape(3 if kind == "bags" else len(order), -1)
    return torch.tensor(order), every[[2, 0, 1] if kind == "bags" else order].flatten()
