"""Small3D: a network that learns motion from a few hundred clips, on one core, in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pybench.models._parts import classifier
from pybench.types import ClassOutput, Kind, ModelContext


@dataclass(frozen=True)
class Small3D:
    """Three convolutions over luminance and its change, then one over time.

    Fields:
        width: channels of the first layer, >= 1; the others are 2 and 8/3 times as wide.
        dropout: in [0, 1), before the classifier.

    Inputs: clips (B, T, H, W, 3) uint8, 16 frames of 36 x 64.
    Returns: logits (B, C); features ``space``, ``motion`` and ``clip``, each (B, D).
    Source: this project.
    Deviations: none.
    """

    width: int = 16
    dropout: float = 0.2

    kind: ClassVar[Kind] = "classes"
    frames: ClassVar[int] = 16
    size: ClassVar[tuple[int, int]] = (36, 64)
    source: ClassVar[str] = "pybench authors, Small3D, 2026"

    def __post_init__(self) -> None:
        if self.width < 1:
            msg = f"width must be >= 1, got {self.width}"
            raise ValueError(msg)
        if not 0 <= self.dropout < 1:
            msg = f"dropout must be in [0, 1), got {self.dropout}"
            raise ValueError(msg)

    def build(self, context: ModelContext) -> nn.Module:
        """Build the network with fresh weights."""
        return _Network(self.width, self.dropout, context)


class _Network(nn.Module):
    def __init__(self, width: int, dropout: float, context: ModelContext) -> None:
        super().__init__()
        middle, deep = 2 * width, 8 * width // 3
        self.look = nn.Conv3d(3, width, (1, 5, 5), (1, 4, 4), (0, 2, 2), bias=False)
        self.look_norm = nn.BatchNorm3d(width)
        self.move = nn.Conv3d(width, middle, 3, 2, 1, bias=False)
        self.move_norm = nn.BatchNorm3d(middle)
        self.part = nn.Conv3d(middle, deep, 3, (1, 2, 2), 1, bias=False)
        self.part_norm = nn.BatchNorm3d(deep)
        self.time = nn.Conv1d(2 * deep, deep, 3, padding=1, bias=False)
        self.time_norm = nn.BatchNorm1d(deep)
        self.dropout = nn.Dropout(dropout)
        self.feature_dims = {"space": width, "motion": 2 * deep, "clip": 2 * deep}
        self.head = classifier(2 * deep, context)

    @property
    def classifier(self) -> nn.Module:
        """The last layer."""
        return self.head

    def forward(self, clips: Tensor) -> ClassOutput:
        """Logits and features of clips (B, T, H, W, 3) uint8."""
        # The sum over colours stays in integers: it is read once, and most of the input's cost.
        grey = clips.sum(-1, dtype=torch.int16).float().mul_(1 / 190).sub_(1.8).unsqueeze(1)
        change = functional.pad(grey[:, :, 1:] - grey[:, :, :-1], (0, 0, 0, 0, 1, 0))
        seen = torch.cat([grey, 2 * change, 2 * change.abs()], dim=1)
        near = functional.relu(self.look_norm(self.look(seen)))
        maps = functional.relu(self.move_norm(self.move(near)))
        maps = functional.relu(self.part_norm(self.part(maps)))
        per_frame = torch.cat([maps.mean((3, 4)), maps.amax((3, 4))], dim=1)
        course = functional.relu(self.time_norm(self.time(per_frame)))
        clip = torch.cat([course.amax(2), course.mean(2)], dim=1)
        features = {"space": near.mean((2, 3, 4)), "motion": per_frame.mean(2), "clip": clip}
        return ClassOutput(self.head(self.dropout(clip)), features)
