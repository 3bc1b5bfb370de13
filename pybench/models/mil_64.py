"""A small scorer of snippets, the default of bag tasks on a CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from pybench.checks import require
from pybench.models._bags import Dropout, SnippetScorer
from pybench.types import Kind, ModelContext


@dataclass(frozen=True)
class Mil64:
    """One hidden layer of 64 units: D-64-1.

    Fields:
        dropout: before the last layer, in [0, 1).

    Inputs: snippets (B, S, K, D) or (B, S, D), float32; crops K are scored apart and averaged.
    Returns: a ``BagOutput``; its features are the hidden layer after its ReLU.
    Source: ours, for speed; the shape is that of Sultani, Chen, Shah, CVPR 2018, without the layer
        of 32.

    Example:
        >>> import torch
        >>> network = Mil64().build(ModelContext(num_classes=14, reads="bags", input_shape=(32, 8)))
        >>> network(torch.rand(2, 32, 8)).scores.shape
        torch.Size([2, 32])
    """

    dropout: float = 0.0

    kind: ClassVar[Kind] = "bags"
    frames: ClassVar[int] = 1
    size: ClassVar[tuple[int, int]] = (1, 1)
    source: ClassVar[str] = (
        "Sultani, Chen, Shah: Real-World Anomaly Detection in Surveillance Videos, CVPR 2018"
    )

    def __post_init__(self) -> None:
        require(0 <= self.dropout < 1, "dropout", "in [0, 1)", self.dropout)

    def build(self, context: ModelContext) -> nn.Module:
        """Build the network with fresh weights."""
        return _Network(self.dropout, context)


class _Network(SnippetScorer):
    def __init__(self, dropout: float, context: ModelContext) -> None:
        super().__init__(64, context)
        self.hidden = nn.Linear(context.input_shape[-1], 64)
        self.dropout = Dropout(dropout)

    def body(self, bags: Tensor) -> Tensor:
        hidden: Tensor = self.hidden(bags)
        return hidden.relu()

    def last(self, hidden: Tensor) -> Tensor:
        seen: Tensor = self.dropout(hidden)
        return seen
