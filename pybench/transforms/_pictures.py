"""What transforms of pictures share: one change per sample, the same for all frames of a clip."""

from __future__ import annotations

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pybench.checks import require
from pybench.types import Batch, Donors, Inputs

On: TypeAlias = Literal["copies", "all"]
"""Which samples are changed: only the extra copies that a sampler drew, or all."""

OVERSAMPLING = (
    "Visual emotion recognition by over-sampling with transforms, table 1, in the semantics of "
    "Keras preprocessing layers (Chollet et al., 2015)"
)
"""Source of the ten transforms of that method."""

PICTURES: frozenset[Inputs] = frozenset({"images", "clips"})


class PictureTransform(ABC):
    """A transform that changes each picture, or the frames of each clip, on its own."""

    on: On
    takes: ClassVar[frozenset[Inputs]] = PICTURES

    def __call__(
        self, batch: Batch, copy: NDArray[np.uint8], donors: Donors, rng: np.random.Generator
    ) -> Batch:
        """Return the batch with its chosen samples changed."""
        return each(batch, chosen(self.on, copy), lambda frames: self.change(frames, rng))

    @abstractmethod
    def change(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """Change frames (T, 3, H, W) of uint8, all alike; an image is one frame."""


@dataclass(frozen=True)
class Stretch(PictureTransform):
    """A transform that stretches or squeezes each picture by a factor drawn evenly."""

    factor: float = 0.3
    on: On = "all"

    source: ClassVar[str] = OVERSAMPLING

    def __post_init__(self) -> None:
        require(0 <= self.factor < 1, "factor", "in [0, 1)", self.factor)

    def change(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """Change frames (T, 3, H, W) alike."""
        return warp(frames, zoom=self.zoom(1 + within(rng, self.factor)))

    @abstractmethod
    def zoom(self, factor: float) -> tuple[float, float]:
        """The vertical and the horizontal factor."""


def chosen(on: On, copy: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(B,) whether each sample is changed."""
    return copy.astype(bool) if on == "copies" else np.ones(len(copy), dtype=bool)


def each(batch: Batch, which: NDArray[np.bool_], change: Callable[[Tensor], Tensor]) -> Batch:
    """Change some samples, each by a call of its own.

    Args:
        batch: images (B, H, W, 3) or clips (B, T, H, W, 3), uint8.
        which: (B,) whether each is changed.
        change: frames (T, 3, H, W) uint8 -> frames of that shape; an image has one frame.

    Raises:
        ValueError: inputs that are no pictures.
    """
    refuse_others(batch.inputs)
    inputs = batch.inputs.clone()
    for number in np.flatnonzero(which).tolist():
        frames = inputs[number].reshape(-1, *inputs.shape[-3:]).movedim(-1, 1)
        inputs[number] = change(frames).movedim(1, -1).reshape(inputs.shape[1:])
    return replace(batch, inputs=inputs)


def refuse_others(inputs: Tensor) -> None:
    """Raise a ValueError unless inputs are images or clips of uint8."""
    fine = inputs.ndim in (4, 5) and inputs.shape[-1] == 3 and inputs.dtype == torch.uint8
    require(
        fine,
        "inputs",
        "images (B, H, W, 3) or clips (B, T, H, W, 3) of uint8",
        f"{tuple(inputs.shape)} of {inputs.dtype}",
    )


def warp(
    frames: Tensor,
    *,
    turn: float = 0.0,
    zoom: tuple[float, float] = (1.0, 1.0),
    shift: tuple[float, float] = (0.0, 0.0),
) -> Tensor:
    """Turn, zoom and shift pictures about their centre; what lies outside is their mirror image.

    Args:
        frames: (T, 3, H, W) uint8.
        turn: angle, radians.
        zoom: (vertical, horizontal) factor, > 1 enlarges what is seen.
        shift: (down, right) share of height and width.
    """
    height, width = frames.shape[-2:]
    sine, cosine = math.sin(turn), math.cos(turn)
    # Rows: where in the picture the x and the y of a pixel come from, both in [-1, 1].
    source = torch.tensor(
        [
            [cosine / zoom[1], -sine * height / width / zoom[1], -2 * shift[1]],
            [sine * width / height / zoom[0], cosine / zoom[0], -2 * shift[0]],
        ]
    )
    grid = functional.affine_grid(source[None], [1, 3, height, width], align_corners=False)
    moved = functional.grid_sample(
        frames.float(),
        grid.expand(len(frames), -1, -1, -1),
        padding_mode="reflection",
        align_corners=False,
    )
    return moved.round().clamp(0, 255).to(torch.uint8)


def within(rng: np.random.Generator, most: float) -> float:
    """A number drawn evenly from [-most, most]."""
    return float(rng.uniform(-most, most))


@contextlib.contextmanager
def seeded(rng: np.random.Generator) -> Iterator[None]:
    """Draw torch's random numbers from a seed that ``rng`` gives, then go on as before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        yield
