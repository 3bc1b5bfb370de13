"""R3D-18: an 18-layer residual network with 3-D convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from pybench.models._parts import classifier, clips_as_tensor, load_weights, pooled
from pybench.types import ClassOutput, Kind, ModelContext

MEAN, STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
"""Of Kinetics-400, as the published weights expect."""
WIDTHS = {"layer1": 64, "layer2": 128, "layer3": 256, "layer4": 512}


@dataclass(frozen=True)
class R3D18:
    """Residual network on clips; 33.4 million parameters with 400 classes.

    Fields:
        weights: a ``.safetensors`` or torch state dict of torchvision's ``r3d_18``, read without
            running code; empty = random weights.

    Inputs: clips (B, T, H, W, 3) uint8, 16 frames of 112 x 112.
    Returns: logits (B, C); features ``layer1`` .. ``layer4``, each (B, D).
    Source: Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition,
        CVPR 2018; torchvision's implementation.
    Deviations: none.
    """

    weights: str = ""

    kind: ClassVar[Kind] = "classes"
    frames: ClassVar[int] = 16
    size: ClassVar[tuple[int, int]] = (112, 112)
    source: ClassVar[str] = (
        "Tran, Wang, Torresani, Ray, LeCun, Paluri: A Closer Look at Spatiotemporal Convolutions "
        "for Action Recognition, CVPR 2018, table 1 (R3D)"
    )

    def build(self, context: ModelContext) -> nn.Module:
        """Build the network, with weights from the file if one is given."""
        return _Network(self.weights, context)


class _Network(nn.Module):
    def __init__(self, weights: str, context: ModelContext) -> None:
        super().__init__()
        from torchvision.models.video import r3d_18

        self.body = r3d_18(weights=None)
        self.body.fc = classifier(WIDTHS["layer4"], context)
        self.feature_dims = WIDTHS
        if weights:
            load_weights(self.body, weights, head="fc.")

    @property
    def classifier(self) -> nn.Module:
        """The last layer."""
        head: nn.Module = self.body.fc
        return head

    def forward(self, clips: Tensor) -> ClassOutput:
        maps = self.body.stem(clips_as_tensor(clips, MEAN, STD))
        features = {}
        for name in WIDTHS:
            maps = getattr(self.body, name)(maps)
            features[name] = pooled(maps)
        return ClassOutput(self.body.fc(features["layer4"]), features)
