"""A two-layer network for every kind of toy task."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pybench.types import BagOutput, BoxOutput, ClassOutput, Kind, ModelContext, Output


@dataclass(frozen=True)
class ToyNet:
    """Linear, ReLU, linear; over whole samples, or over the snippets or cells of each."""

    kind: ClassVar[Kind] = "classes"
    source: ClassVar[str] = "made for the tests"
    hidden: int = 16
    shape: str = "classes"

    def build(self, context: ModelContext) -> nn.Module:
        return _Net(self.hidden, self.shape, context)


class _Net(nn.Module):
    def __init__(self, hidden: int, shape: str, context: ModelContext) -> None:
        super().__init__()
        self.shape, self.reads, self.classes = shape, context.reads, context.num_classes
        self.cosine = "cosine_head" in context.needs
        axes = context.input_shape if shape == "classes" else context.input_shape[1:]
        self.body = nn.Linear(math.prod(axes), hidden)
        outputs = 1 if context.reads == "bags" else context.num_classes
        self.head = nn.Linear(hidden, outputs, bias=not self.cosine)
        self.place = nn.Linear(hidden, 4) if shape == "boxes" else None
        self.feature_dims = {"body": hidden}

    @property
    def classifier(self) -> nn.Module:
        return self.head

    def forward(self, inputs: Tensor) -> Output:
        start = 1 if self.shape == "classes" else 2
        flat = inputs.float().flatten(start) / (255 if inputs.dtype == torch.uint8 else 1)
        hidden = functional.relu(self.body(flat))
        if self.cosine:
            weight = functional.normalize(self.head.weight, dim=-1)
            logits = functional.linear(functional.normalize(hidden, dim=-1), weight)
        else:
            logits = self.head(hidden)
        features = {"body": hidden}
        if self.shape == "bags":
            scores = (
                torch.sigmoid(logits[..., 0])
                if self.reads == "bags"
                else 1 - logits.softmax(-1)[..., -1]
            )
            return BagOutput(scores, logits, features)
        if self.place is not None:
            return BoxOutput(logits, self.place(hidden), features)
        return ClassOutput(logits, features)
