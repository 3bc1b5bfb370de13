"""What every architecture shares: the classifier head, and weights read without running code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from pybench.types import ModelContext


class CosineClassifier(nn.Module):
    """Cosine between features (..., D) and one direction per class: logits (..., C) in [-1, 1]."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, features))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, features: Tensor) -> Tensor:
        """Logits of a batch."""
        directions = functional.normalize(self.weight, dim=1)
        return functional.linear(functional.normalize(features, dim=-1), directions)


def classifier(features: int, context: ModelContext) -> nn.Module:
    """The last layer: linear, or cosine where the loss needs it."""
    if "cosine_head" in context.needs:
        return CosineClassifier(features, context.num_classes)
    return nn.Linear(features, context.num_classes)


def pooled(maps: Tensor) -> Tensor:
    """(B, D, ...) feature maps -> (B, D) means."""
    return maps.flatten(2).mean(2)


def clips_as_tensor(clips: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(B, T, H, W, 3) uint8 -> (B, 3, T, H, W) float32, normalised per channel."""
    moved = clips.permute(0, 4, 1, 2, 3).float()
    offset = torch.tensor(mean, device=clips.device).mul_(255).view(1, 3, 1, 1, 1)
    scale = torch.tensor(std, device=clips.device).mul_(255).view(1, 3, 1, 1, 1)
    return (moved - offset) / scale


def load_weights(model: nn.Module, file: str, head: str) -> None:
    """Load a state dict from a ``.safetensors`` file, or a torch file without running its code.

    The classifier ``head`` is left out when it is of another number of classes.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that holds more than tensors, or weights of another architecture.
    """
    path = Path(file)
    if not path.is_file():
        msg = f"weights must name a file, got {file!r}"
        raise FileNotFoundError(msg)
    state = _read(path)
    own = model.state_dict()
    kept = {
        name: value
        for name, value in state.items()
        if not (name.startswith(head) and name in own and own[name].shape != value.shape)
    }
    missing = [n for n in own if n not in kept and not n.startswith(head)]
    wrong = [n for n, v in kept.items() if n not in own or own[n].shape != v.shape]
    if missing or wrong:
        msg = (
            f"weights must be of this architecture, got {file!r} with "
            f"{len(missing)} tensors missing, {len(wrong)} foreign, first {(missing + wrong)[0]!r}"
        )
        raise ValueError(msg)
    model.load_state_dict(kept, strict=False)


def _read(path: Path) -> Mapping[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            msg = f"weights must be a whole safetensors file, got {path}: {error}"
            raise ValueError(msg) from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).partition("\n")[0]
        msg = f"weights must hold tensors only, got {path}: {reason}; convert it to safetensors"
        raise ValueError(msg) from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        msg = f"weights must be a dictionary of tensors, got {type(state).__name__} in {path}"
        raise ValueError(msg)
    return state
