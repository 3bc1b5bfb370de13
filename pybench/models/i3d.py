"""I3D: Inception inflated to 3-D, on RGB clips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pybench.models._parts import classifier, clips_as_tensor, load_weights, pooled
from pybench.types import ClassOutput, Kind, ModelContext

BLOCKS = (
    # name, (kernel, stride) of the pooling before it, then the widths of figure 3's branches:
    # 1x1x1 | 1x1x1 -> 3x3x3 | 1x1x1 -> 3x3x3 | pool -> 1x1x1
    ("mixed_3b", ((1, 3, 3), (1, 2, 2)), (64, 96, 128, 16, 32, 32)),
    ("mixed_3c", None, (128, 128, 192, 32, 96, 64)),
    ("mixed_4b", ((3, 3, 3), (2, 2, 2)), (192, 96, 208, 16, 48, 64)),
    ("mixed_4c", None, (160, 112, 224, 24, 64, 64)),
    ("mixed_4d", None, (128, 128, 256, 24, 64, 64)),
    ("mixed_4e", None, (112, 144, 288, 32, 64, 64)),
    ("mixed_4f", None, (256, 160, 320, 32, 128, 128)),
    ("mixed_5b", ((2, 2, 2), (2, 2, 2)), (256, 160, 320, 32, 128, 128)),
    ("mixed_5c", None, (384, 192, 384, 48, 128, 128)),
)
WIDTH = 1024
DROPOUT = 0.5
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class I3D:
    """Inflated Inception-v1 on RGB; 12.3 million parameters with 3 classes.

    Fields:
        weights: a ``.safetensors`` file or torch state dict with the names of this module, read
            without running code; empty = random weights.

    Inputs: clips (B, T, H, W, 3) uint8, 16 frames of 224 x 224.
    Returns: logits (B, C); features ``mixed_3c``, ``mixed_4f``, ``mixed_5c``, each (B, D).
    Source: Carreira, Zisserman: Quo Vadis, Action Recognition? A New Model and the Kinetics
        Dataset, CVPR 2017, figure 3.
    Deviations: features are averaged over time before the classifier instead of logits after it,
        which is the same for a linear classifier.
    """

    weights: str = ""

    kind: ClassVar[Kind] = "classes"
    frames: ClassVar[int] = 16
    size: ClassVar[tuple[int, int]] = (224, 224)
    source: ClassVar[str] = (
        "Carreira, Zisserman: Quo Vadis, Action Recognition? A New Model and the Kinetics "
        "Dataset, CVPR 2017, figure 3"
    )

    def build(self, context: ModelContext) -> nn.Module:
        """Build the network, with weights from the file if one is given."""
        return _Network(self.weights, context)


class _Network(nn.Module):
    def __init__(self, weights: str, context: ModelContext) -> None:
        super().__init__()
        self.conv_1a = _Unit(3, 64, (7, 7, 7), (2, 2, 2))
        self.conv_2b = _Unit(64, 64)
        self.conv_2c = _Unit(64, 192, (3, 3, 3))
        channels = 192
        for name, _, widths in BLOCKS:
            self.add_module(name, _Inception(channels, widths))
            channels = widths[0] + widths[2] + widths[4] + widths[5]
        self.dropout = nn.Dropout(DROPOUT)
        self.head = classifier(WIDTH, context)
        self.feature_dims = {"mixed_3c": 480, "mixed_4f": 832, "mixed_5c": WIDTH}
        if weights:
            load_weights(self, weights, head="head.")

    @property
    def classifier(self) -> nn.Module:
        """The last layer."""
        return self.head

    def forward(self, clips: Tensor) -> ClassOutput:
        maps = _pool(self.conv_1a(clips_as_tensor(clips, HALF, HALF)), (1, 3, 3), (1, 2, 2))
        maps = self.conv_2c(self.conv_2b(maps))
        features = {}
        for name, before, _ in BLOCKS:
            if before is not None:
                maps = _pool(maps, *before)
            maps = getattr(self, name)(maps)
            if name in self.feature_dims:
                features[name] = pooled(maps)
        return ClassOutput(self.head(self.dropout(features["mixed_5c"])), features)


class _Unit(nn.Module):
    """Convolution with TensorFlow's "same" padding, batch normalisation, ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int, int] = (1, 1, 1),
        stride: tuple[int, int, int] = (1, 1, 1),
    ) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, bias=False)
        self.norm = nn.BatchNorm3d(outputs, eps=1e-3, momentum=0.01)

    def forward(self, maps: Tensor) -> Tensor:
        padded = functional.pad(maps, _same(maps, self.kernel, self.stride))
        return functional.relu(self.norm(self.conv(padded)))


class _Inception(nn.Module):
    def __init__(self, inputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        one, before_a, a, before_b, b, after = widths
        self.one = _Unit(inputs, one)
        self.before_a, self.a = _Unit(inputs, before_a), _Unit(before_a, a, (3, 3, 3))
        self.before_b, self.b = _Unit(inputs, before_b), _Unit(before_b, b, (3, 3, 3))
        self.after_pool = _Unit(inputs, after)

    def forward(self, maps: Tensor) -> Tensor:
        branches = [
            self.one(maps),
            self.a(self.before_a(maps)),
            self.b(self.before_b(maps)),
            self.after_pool(_pool(maps, (3, 3, 3), (1, 1, 1))),
        ]
        return torch.cat(branches, dim=1)


def _pool(maps: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    return functional.max_pool3d(functional.pad(maps, _same(maps, kernel, stride)), kernel, stride)


def _same(maps: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> list[int]:
    """Padding, last axis first, that gives ceil(size / stride) outputs; the odd one goes behind."""
    padding: list[int] = []
    for size, window, step in zip(
        reversed(maps.shape[2:]), reversed(kernel), reversed(stride), strict=True
    ):
        total = max((-(-size // step) - 1) * step + window - size, 0)
        padding += [total // 2, total - total // 2]
    return padding
