"""Models: one file, one architecture. A model maps a batch of inputs to a typed output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pybench.registry import Registry
from pybench.types import Kind, ModelContext

if TYPE_CHECKING:
    from torch import nn


class Model(Protocol):
    """A configured architecture."""

    @property
    def kind(self) -> Kind:
        """Kind of output it gives."""
        ...

    @property
    def source(self) -> str:
        """Authors, title and year."""
        ...

    @property
    def frames(self) -> int:
        """Frames of a clip it takes; 1 for images and features."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the pictures it takes."""
        ...

    def build(self, context: ModelContext) -> nn.Module:
        """Build the network with fresh weights drawn from torch's global generator.

        The module has ``feature_dims``, a dict layer name -> D of the features it gives, and
        ``classifier``, the last layer, with ``weight`` (C, D) and, if it has one, ``bias`` (C,).
        """
        ...


models: Registry[Model] = Registry("pybench.models", "build")
