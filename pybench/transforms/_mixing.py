"""What transforms that mix samples share: shares, blended inputs, soft labels, donors by class."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pybench.checks import require
from pybench.transforms._pictures import PICTURES, On, chosen, refuse_others
from pybench.types import Batch, ClassTarget, Donors, Inputs, Labels

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairTransform(ABC):
    """A transform that mixes each picture with another of its batch, by a share from Beta."""

    alpha: float = 1.0
    on: On = "all"

    takes: ClassVar[frozenset[Inputs]] = PICTURES

    def __post_init__(self) -> None:
        require(0 <= self.alpha < math.inf, "alpha", "finite and >= 0", self.alpha)

    def __call__(
        self, batch: Batch, copy: NDArray[np.uint8], donors: Donors, rng: np.random.Generator
    ) -> Batch:
        """Return the batch with its chosen samples changed."""
        kept = shares(rng, chosen(self.on, copy), self.alpha)
        other = partners(batch, rng)
        inputs, kept = self.mix(batch.inputs, other.inputs, kept, rng)
        target = soft_target(truth(batch), truth(other), kept, len(donors.counts))
        return Batch(inputs, target)

    @abstractmethod
    def mix(
        self, own: Tensor, other: Tensor, kept: Floats, rng: np.random.Generator
    ) -> tuple[Tensor, Floats]:
        """The mixed inputs, and the share that each sample keeps of itself."""


def shares(
    rng: np.random.Generator, which: NDArray[np.bool_], alpha: float, own: float | None = None
) -> Floats:
    """(B,) share of itself that each sample keeps: Beta(own, alpha), 1 where not chosen.

    ``own`` is ``alpha`` unless given; with alpha = 0 every share is 1.
    """
    if alpha == 0:
        return np.ones(len(which))
    drawn = rng.beta(alpha if own is None else own, alpha, len(which))
    return np.where(which, drawn, 1.0)


def partners(batch: Batch, rng: np.random.Generator) -> Batch:
    """The samples of a batch in another order."""
    target = truth(batch)
    order = torch.from_numpy(rng.permutation(len(batch.inputs)))
    soft = None if target.probabilities is None else target.probabilities[order]
    return Batch(batch.inputs[order], ClassTarget(target.labels[order], soft))


def truth(batch: Batch) -> ClassTarget:
    """The target of a batch, or a TypeError when its samples have more than one label each."""
    if not isinstance(batch.target, ClassTarget):
        msg = f"target must have one label per sample, got {type(batch.target).__name__}"
        raise TypeError(msg)
    return batch.target


def blend(own: Tensor, other: Tensor, share: Floats) -> Tensor:
    """``share`` of one input and the rest of another, in the dtype of the first."""
    require(own.shape == other.shape, "inputs", f"of shape {tuple(own.shape)}", tuple(other.shape))
    kept = torch.from_numpy(share).to(torch.float32).reshape(-1, *[1] * (own.ndim - 1))
    mixed = kept * own + (1 - kept) * other
    return mixed.to(own.dtype) if own.is_floating_point() else mixed.round().to(own.dtype)


def paste(
    own: Tensor, other: Tensor, share: Floats, rng: np.random.Generator
) -> tuple[Tensor, Floats]:
    """Paste a box of ``1 - share`` of the area of each other picture at its place into the own.

    Returns:
        The pictures, and the share of the area that each keeps: the box is cut at the border.
    """
    refuse_others(own)
    require(own.shape == other.shape, "inputs", f"of shape {tuple(own.shape)}", tuple(other.shape))
    sides = np.array(own.shape[-3:-1])
    half = np.sqrt(1 - share)[:, None] * sides / 2
    centre = rng.random((len(own), 2)) * sides
    low = np.clip(np.round(centre - half), 0, sides).astype(np.int64)
    high = np.clip(np.round(centre + half), 0, sides).astype(np.int64)
    mixed = own.clone()
    for number, (top, left, bottom, right) in enumerate(np.hstack([low, high]).tolist()):
        mixed[number, ..., top:bottom, left:right, :] = other[
            number, ..., top:bottom, left:right, :
        ]
    return mixed, 1 - (high - low).prod(1) / sides.prod()


def soft_target(own: ClassTarget, other: ClassTarget, share: Floats, classes: int) -> ClassTarget:
    """``share`` of one label and the rest of another as probabilities (B, C), float32."""
    kept = torch.from_numpy(share).to(torch.float32).unsqueeze(1)
    mixed = kept * _probabilities(own, classes) + (1 - kept) * _probabilities(other, classes)
    return ClassTarget(own.labels, mixed)


def drawn_by_class(donors: Donors, weights: Floats, size: int, rng: np.random.Generator) -> Labels:
    """(size,) training samples: a class in proportion to its weight, then evenly one of it."""
    weights = np.where(donors.counts > 0, weights, 0.0)
    classes = rng.choice(len(weights), size, p=weights / weights.sum())
    order = np.argsort(donors.labels, kind="stable")
    place = np.floor(rng.random(size) * donors.counts[classes]).astype(np.int64)
    begins = np.cumsum(donors.counts) - donors.counts
    return np.asarray(order[begins[classes] + place], dtype=np.int64)


def _probabilities(target: ClassTarget, classes: int) -> Tensor:
    if target.probabilities is not None:
        return target.probabilities.to(torch.float32)
    return functional.one_hot(target.labels, classes).to(torch.float32)
