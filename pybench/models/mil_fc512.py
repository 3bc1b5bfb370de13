"""The fully connected scorer of the multiple-instance ranking papers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from pybench.checks import require
from pybench.models._bags import Dropout, SnippetScorer, glorot
from pybench.types import Kind, ModelContext


@dataclass(frozen=True)
class MilFc512:
    """Three layers, D-512-32-1: a ReLU after the first only, dropout after the first two.

    Fields:
        dropout: after the layers of 512 and of 32, in [0, 1).

    Inputs: snippets (B, S, K, D) or (B, S, D), float32; crops K are scored apart and averaged.
    Returns: a ``BagOutput``; its features are the 32 of the second layer, which has no activation.
    Source: Sultani, Chen, Shah: Real-World Anomaly Detection in Surveillance Videos, CVPR 2018,
        section 4; as 3 fully connected layers in Park, Park, Hong 2022.
    Deviations: the penalty of 1e-3 on squared weights and Adagrad belong to the budget:
        ``Budget(optimiser="adagrad", lr=0.01, weight_decay=2e-3)``, which decays biases as well.
        For a loss of classes the last layer has C outputs.

    Example:
        >>> import torch
        >>> context = ModelContext(num_classes=14, reads="bags", input_shape=(32, 1, 2048))
        >>> sum(p.numel() for p in MilFc512().build(context).parameters())  # 2049*512 + 513*32 + 33
        1065537
    """

    dropout: float = 0.6

    kind: ClassVar[Kind] = "bags"
    frames: ClassVar[int] = 1
    size: ClassVar[tuple[int, int]] = (1, 1)
    source: ClassVar[str] = (
        "Sultani, Chen, Shah: Real-World Anomaly Detection in Surveillance Videos, CVPR 2018, "
        "section 4"
    )

    def __post_init__(self) -> None:
        require(0 <= self.dropout < 1, "dropout", "in [0, 1)", self.dropout)

    def build(self, context: ModelContext) -> nn.Module:
        """Build the network with fresh weights."""
        return _Network(self.dropout, context)


class _Network(SnippetScorer):
    def __init__(self, dropout: float, context: ModelContext) -> None:
        super().__init__(32, context)
        self.first = nn.Linear(context.input_shape[-1], 512)
        self.second = nn.Linear(512, 32)
        self.dropout = Dropout(dropout)
        glorot(self)

    def body(self, bags: Tensor) -> Tensor:
        hidden: Tensor = self.second(self.dropout(self.first(bags).relu_()))
        return hidden

    def last(self, hidden: Tensor) -> Tensor:
        seen: Tensor = self.dropout(hidden)
        return seen
