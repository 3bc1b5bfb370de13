"""What models of bags share: every snippet and every crop is scored alike, crops are averaged."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from pybench.models._parts import CosineClassifier
from pybench.types import BagOutput, ModelContext

SIXTEEN_BITS = 2**16


class SnippetScorer(nn.Module):
    """A body over snippets (B, S, K, D) and the last layer of the task.

    For a loss that reads bags the score is a sigmoid; for one that reads classes it is the chance
    of any class but the normal one, the last.
    """

    def __init__(self, width: int, context: ModelContext) -> None:
        super().__init__()
        self.classes = context.reads == "classes"
        outputs = context.num_classes if self.classes else 1
        cosine = "cosine_head" in context.needs
        self.head = CosineClassifier(width, outputs) if cosine else nn.Linear(width, outputs)
        self.feature_dims = {"snippet": width}

    @property
    def classifier(self) -> nn.Module:
        """The last layer."""
        return self.head

    @abstractmethod
    def body(self, bags: Tensor) -> Tensor:
        """Features (B, S, K, D') of snippets (B, S, K, D)."""

    def last(self, hidden: Tensor) -> Tensor:
        """What the head reads, of the features that are reported."""
        return hidden

    def forward(self, bags: Tensor) -> BagOutput:
        """Scores (B, S), logits and features of bags (B, S, K, D) or (B, S, D)."""
        hidden = self.body(bags if bags.ndim == 4 else bags.unsqueeze(2))
        logits = self.head(self.last(hidden))
        scores = 1 - logits.softmax(-1)[..., -1] if self.classes else logits[..., 0].sigmoid()
        if hidden.shape[2] == 1:
            return BagOutput(scores[:, :, 0], logits[:, :, 0], {"snippet": hidden[:, :, 0]})
        return BagOutput(scores.mean(2), logits.mean(2), {"snippet": hidden.mean(2)})


class Dropout(nn.Module):
    """Torch's dropout at a third of its price on a CPU, where it is 40 % of a scorer's time.

    A number of 16 bits decides for each element, so that p is rounded to a multiple of 2^-16; what
    is kept is scaled by the rounded share.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, values: Tensor) -> Tensor:
        """Values of which a share p is 0 while training, anew in each call."""
        limit = min(round(self.p * SIXTEEN_BITS), SIXTEEN_BITS - 1)
        if not self.training or not limit:
            return values
        words = torch.empty(values.numel() // 4 + 1, dtype=torch.int64, device=values.device)
        bits = words.random_(-(2**63), None).view(torch.int16)[: values.numel()]
        kept = bits.view(values.shape) >= limit - SIXTEEN_BITS // 2
        return values * (kept * (SIXTEEN_BITS / (SIXTEEN_BITS - limit))).to(values.dtype)


def glorot(module: nn.Module) -> None:
    """Glorot's normal initialisation of linear layers, biases at zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)


def crops_as_bags(bags: Tensor) -> Tensor:
    """(B, S, K, D) -> (B K, D, S), for layers that look along time."""
    return torch.movedim(bags, 2, 1).flatten(0, 1).transpose(1, 2)


def bags_of_crops(maps: Tensor, crops: int) -> Tensor:
    """The inverse of :func:`crops_as_bags`."""
    along = maps.transpose(1, 2)
    return torch.movedim(along.reshape(-1, crops, *along.shape[1:]), 1, 2)
