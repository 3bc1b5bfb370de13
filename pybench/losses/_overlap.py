"""How far two boxes overlap, with a gradient that stays finite for boxes without area."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 1e-7
"""Floor of what is divided by: square pixels, or pixels of a side."""


class Overlap(NamedTuple):
    """Of N pairs of boxes.

    Fields:
        iou: (N,) in [0, 1].
        union: (N,) square pixels.
        hull: (N, 2) sides of the smallest box that holds all corners, pixels.
    """

    iou: Tensor
    union: Tensor
    hull: Tensor


def overlap(predicted: Tensor, true: Tensor) -> Overlap:
    """Compare boxes (N, 4) xyxy pair by pair.

    A predicted box whose corners are swapped has no area, and so has IoU 0.
    """
    shared = torch.minimum(predicted[:, 2:], true[:, 2:]) - torch.maximum(
        predicted[:, :2], true[:, :2]
    )
    intersection = shared.clamp(min=0).prod(1)
    union = sides(predicted).prod(1) + sides(true).prod(1) - intersection
    corners = torch.stack([predicted[:, :2], predicted[:, 2:], true[:, :2], true[:, 2:]])
    hull = corners.amax(0) - corners.amin(0)
    return Overlap(intersection / union.clamp(min=EPSILON), union, hull)


def sides(boxes: Tensor) -> Tensor:
    """(N, 2) width and height of boxes (N, 4), not below 0."""
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)


def centre_distance(predicted: Tensor, true: Tensor, hull: Tensor) -> Tensor:
    """(N,) squared distance of the centres, over the squared diagonal of ``hull`` (N, 2)."""
    apart = (predicted[:, :2] + predicted[:, 2:] - true[:, :2] - true[:, 2:]) / 2
    return apart.square().sum(1) / hull.square().sum(1).clamp(min=EPSILON)
