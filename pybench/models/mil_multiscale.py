"""A scorer that looks along time at several scales, after RTFM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from pybench.checks import require
from pybench.models._bags import Dropout, SnippetScorer, bags_of_crops, crops_as_bags
from pybench.types import Kind, ModelContext


@dataclass(frozen=True)
class MilMultiscale:
    """Dilated convolutions and attention along time beside the snippet itself, then two layers.

    Fields:
        width: features per scale, >= 8; the paper's 512 goes with inputs of 2048.
        dropout: before each layer of the scorer, in [0, 1).

    Inputs: snippets (B, S, K, D) or (B, S, D), float32; crops K are scored apart and averaged.
    Returns: a ``BagOutput``; its features (B, S, 4 width) are what ``rtfm`` measures the length of.
    Source: Tian, Pang, Chen, Singh, Verjans, Carneiro: Weakly-supervised Video Anomaly Detection
        with Robust Temporal Feature Magnitude Learning, ICCV 2021, section 3.2.
    Deviations: a linear map brings the input to 4 width features, for a residual connection at any
        D; no batch normalisation in the attention; one hidden layer in the scorer, two there.

    Example:
        >>> network = MilMultiscale(width=8).build(
        ...     ModelContext(num_classes=14, reads="bags", input_shape=(32, 8))
        ... )
        >>> network(torch.rand(2, 32, 8)).features["snippet"].shape
        torch.Size([2, 32, 32])
    """

    width: int = 32
    dropout: float = 0.7

    kind: ClassVar[Kind] = "bags"
    frames: ClassVar[int] = 1
    size: ClassVar[tuple[int, int]] = (1, 1)
    source: ClassVar[str] = (
        "Tian, Pang, Chen, Singh, Verjans, Carneiro: Weakly-supervised Video Anomaly Detection "
        "with Robust Temporal Feature Magnitude Learning, ICCV 2021, section 3.2"
    )

    def __post_init__(self) -> None:
        require(self.width >= 8, "width", ">= 8", self.width)
        require(0 <= self.dropout < 1, "dropout", "in [0, 1)", self.dropout)

    def build(self, context: ModelContext) -> nn.Module:
        """Build the network with fresh weights."""
        return _Network(self.width, self.dropout, context)


class _Network(SnippetScorer):
    def __init__(self, width: int, dropout: float, context: ModelContext) -> None:
        super().__init__(4 * width, context)
        self.input = nn.Conv1d(context.input_shape[-1], 4 * width, 1)
        self.scales = nn.ModuleList(
            nn.Conv1d(4 * width, width, 3, padding=d, dilation=d) for d in (1, 2, 4)
        )
        self.reduce = nn.Conv1d(4 * width, width, 1, bias=False)
        self.attend = nn.ModuleList(nn.Conv1d(width, width // 2, 1) for _ in range(3))
        self.expand = nn.Conv1d(width // 2, width, 1)
        self.fuse = nn.Conv1d(4 * width, 4 * width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm1d(4 * width)
        self.scorer = nn.Sequential(
            Dropout(dropout), nn.Linear(4 * width, 4 * width), nn.ReLU(), Dropout(dropout)
        )

    def body(self, bags: Tensor) -> Tensor:
        maps = self.input(crops_as_bags(bags)).relu()
        near = [scale(maps).relu() for scale in self.scales]
        reduced = self.reduce(maps)
        query, key, value = (layer(reduced) for layer in self.attend)
        among = (query.transpose(1, 2) @ key / query.shape[1] ** 0.5).softmax(-1)
        far = reduced + self.expand(value @ among.transpose(1, 2))
        fused = self.norm(self.fuse(torch.cat([*near, far], dim=1))).relu()
        return bags_of_crops(maps + fused, bags.shape[2])

    def last(self, hidden: Tensor) -> Tensor:
        seen: Tensor = self.scorer(hidden)
        return seen
