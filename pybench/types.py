"""The nouns that components exchange: outputs, targets, batches, draws and contexts.

Shape letters, used in every docstring of the project: B batch, N samples, C class, T frame,
S snippet of a bag, A anchor or cell, H and W image, D feature.

Three kinds of problem share one vocabulary:

- ``"classes"``: one label per image or clip.
- ``"bags"``: one label per video, scores per snippet. The last class is the normal one.
- ``"boxes"``: one label and one box per cell. Class 0 is the background.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Kind: TypeAlias = Literal["classes", "bags", "boxes"]
Need: TypeAlias = Literal["features", "two_views", "cosine_head"]
Counts: TypeAlias = Literal["original", "sampled"]
Inputs: TypeAlias = Literal["images", "clips", "features", "cells"]
BootstrapUnit: TypeAlias = Literal["sample", "group"]
"""What an interval of a metric draws as a whole: an image, clip or video, or a group of them."""
Features: TypeAlias = "Mapping[str, Tensor]"
Labels: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClassOutput:
    """What a classifier gives.

    Fields:
        logits: (B, C) unnormalised scores.
        features: layer name -> (B, D) pooled or (B, D, ...) maps, first layer first; the last
            entry is what the classifier head reads.
    """

    logits: Tensor
    features: Features = field(default_factory=dict)
    kind: Kind = field(default="classes", init=False)


@dataclass(frozen=True, eq=False)
class BagOutput:
    """What a model of bags gives.

    Fields:
        scores: (B, S) anomaly score of each snippet in [0, 1].
        logits: (B, S, C) per snippet when the loss reads classes, (B, S, 1) when it reads bags.
        features: name -> (B, S, D).
    """

    scores: Tensor
    logits: Tensor
    features: Features = field(default_factory=dict)
    kind: Kind = field(default="bags", init=False)


@dataclass(frozen=True, eq=False)
class BoxOutput:
    """What a detector gives.

    Fields:
        logits: (B, A, C) per cell; class 0 is the background. Also (A, C).
        boxes: (B, A, 4) xyxy in pixels. Also (A, 4).
        features: name -> (B, A, D).
    """

    logits: Tensor
    boxes: Tensor
    features: Features = field(default_factory=dict)
    kind: Kind = field(default="boxes", init=False)


@dataclass(frozen=True, eq=False)
class ClassTarget:
    """The truth for a :class:`ClassOutput`.

    Fields:
        labels: (B,) int64 in [0, C).
        probabilities: (B, C) rows that sum to 1 (mixed or smoothed labels), or None.
    """

    labels: Tensor
    probabilities: Tensor | None = None


@dataclass(frozen=True, eq=False)
class BagTarget:
    """The truth for a :class:`BagOutput`: (B,) int64 class of each bag, and the normal class."""

    labels: Tensor
    normal: int


@dataclass(frozen=True, eq=False)
class BoxTarget:
    """The truth for a :class:`BoxOutput`: labels (B, A) int64, 0 = background; boxes (B, A, 4)."""

    labels: Tensor
    boxes: Tensor


Output: TypeAlias = ClassOutput | BagOutput | BoxOutput
Target: TypeAlias = ClassTarget | BagTarget | BoxTarget


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs (B, ...) as the model takes them, with their truth."""

    inputs: Tensor
    target: Target


@dataclass(frozen=True, eq=False)
class Draw:
    """What a sampler drew for one epoch; nothing is copied in memory.

    Fields:
        indices: (M,) int64 positions in the training labels.
        copy: (M,) uint8, 0 = an original, 1 = an extra copy of a sample drawn before.
    """

    indices: NDArray[np.int64]
    copy: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True, eq=False)
class SampleContext:
    """What a sampler may know.

    Fields:
        labels: (N,) int64 label of each training sample, or None for detection.
        label_sets: for detection, the distinct classes present in each image.
        groups: (N,) int64 camera, video or sequence of each sample, or None.
        num_classes: C; by default one more than the largest label.
        normal: the normal class of a bag task, or None.
        batch_size: samples per step.
        epochs: epochs of the whole training, for schedules.
        history: per finished epoch, (C,) validation F1.
    """

    labels: Labels | None = None
    label_sets: Sequence[Labels] | None = None
    groups: Labels | None = None
    num_classes: int | None = None
    normal: int | None = None
    batch_size: int = 1
    epochs: int = 1
    history: Sequence[NDArray[np.float64]] = ()

    def __post_init__(self) -> None:
        if (self.labels is None) == (self.label_sets is None):
            msg = "labels must be given, or label_sets, got both or neither; give exactly one"
            raise ValueError(msg)
        if self.labels is not None:
            labels = np.asarray(self.labels)
            if labels.ndim != 1 or labels.dtype.kind not in "iu":
                msg = (
                    f"labels must be a vector of integers, got shape {labels.shape} "
                    f"and dtype {labels.dtype}; pass class indices"
                )
                raise ValueError(msg)
            if labels.size and labels.min() < 0:
                msg = f"labels must be >= 0, got {labels.min()} at index {labels.argmin()}"
                raise ValueError(msg)
            object.__setattr__(self, "labels", labels.astype(np.int64, copy=False))
        if self.num_classes is None:
            sets = [self.labels] if self.labels is not None else list(self.label_sets or ())
            largest = max((int(s.max()) for s in sets if len(s)), default=-1)
            object.__setattr__(self, "num_classes", largest + 1)

    def __len__(self) -> int:
        return len(self.labels) if self.labels is not None else len(self.label_sets or ())


@dataclass(frozen=True, eq=False)
class LossContext:
    """What a loss may know before training starts.

    Fields:
        counts: (C,) training samples per class, or None. A bag loss counts the abnormal classes
            only, a class loss on bags all of them; boxes count cells.
        num_classes: C; by default the length of ``counts``.
        feature_dims: D of each layer the model reports, by name or in order.
        device: where parameters and weights of the loss live.
        generator: random numbers for a loss that draws some.
    """

    counts: ArrayLike | None = None
    num_classes: int | None = None
    feature_dims: Mapping[str, int] | Sequence[int] = ()
    device: str = "cpu"
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        if self.counts is not None:
            counts = np.asarray(self.counts)
            if counts.ndim != 1 or not len(counts):
                msg = f"counts must be a vector with one entry per class, got shape {counts.shape}"
                raise ValueError(msg)
            if not np.all(np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts))):
                msg = f"counts must be whole numbers >= 0, got {counts.tolist()}"
                raise ValueError(msg)
            if self.num_classes is None:
                object.__setattr__(self, "num_classes", len(counts))
            elif self.num_classes != len(counts):
                msg = (
                    f"num_classes must be the length of counts, {len(counts)}, "
                    f"got {self.num_classes}"
                )
                raise ValueError(msg)
        if self.num_classes is not None and self.num_classes < 1:
            msg = f"num_classes must be >= 1, got {self.num_classes}"
            raise ValueError(msg)

    def class_counts(self, wanted_by: str) -> NDArray[np.float64]:
        """(C,) counts as float64, or a ValueError that names the loss which needs them."""
        if self.counts is None:
            msg = f"counts must be given for {wanted_by}, got None; pass LossContext(counts=...)"
            raise ValueError(msg)
        return np.asarray(self.counts, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class ModelContext:
    """What a model is built for.

    Fields:
        num_classes: C.
        reads: kind the loss reads; a bag model gives 1 output per snippet for ``"bags"`` and C
            for ``"classes"``.
        needs: what the loss asks of the model (``"features"``, ``"cosine_head"``).
        input_shape: shape of one input without the batch axis.
    """

    num_classes: int
    reads: Kind = "classes"
    needs: frozenset[Need] = frozenset()
    input_shape: tuple[int, ...] = ()


LossFn: TypeAlias = Callable[..., "Tensor"]
"""``fn(output, target, *, progress=0.0)`` -> terms (N,), or 0-d for a loss of the whole batch."""


class Loss(Protocol):
    """A configured loss: a frozen dataclass whose fields are its hyperparameters."""

    @property
    def reads(self) -> Kind:
        """The kind of output the loss reads."""
        ...

    @property
    def needs(self) -> frozenset[Need]:
        """What the trial must provide besides logits."""
        ...

    @property
    def source(self) -> str:
        """Authors, title, year and equation."""
        ...

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss as a function of (output, target); itself when it has no state."""
        ...


class Sampler(Protocol):
    """A configured sampler: which training samples an epoch sees, in which order.

    A sampler that evens out the classes says so with ``balances = True``: a loss that re-weights
    by the original counts as well would correct twice, and the suite warns. One that is for some
    kinds of task only says so with ``kinds``, a set of them. One whose draws come in groups that
    a batch or a rank must not tear apart says how many with ``group``.
    """

    def plan(self, context: SampleContext, seed: int, epoch: int) -> Draw:
        """Draw the epoch's samples; the same (seed, epoch) gives the same draw."""
        ...


@dataclass(frozen=True, eq=False)
class Donors:
    """The training samples that a transform may take parts of.

    Fields:
        load: indices among the training samples -> their batch; a call of this does it.
        labels: (N,) label of each training sample.
        counts: (C,) training samples of each class.
    """

    load: Callable[[Labels], Batch]
    labels: Labels
    counts: Labels

    def __call__(self, indices: Labels) -> Batch:
        """Load training samples by their index."""
        return self.load(indices)


class Transform(Protocol):
    """A configured transform: makes new samples out of drawn ones."""

    @property
    def takes(self) -> frozenset[Inputs]:
        """The kinds of input it can change."""
        ...

    def __call__(
        self, batch: Batch, copy: NDArray[np.uint8], donors: Donors, rng: np.random.Generator
    ) -> Batch:
        """Return a batch of the same size; the one given stays as it is."""
        ...


class Metric(Protocol):
    """A configured metric."""

    @property
    def unit(self) -> str:
        """Unit of the values."""
        ...

    @property
    def higher_is_better(self) -> bool:
        """Direction."""
        ...

    @property
    def kind(self) -> Kind:
        """Kind of problem it scores."""
        ...

    def __call__(
        self, truth: ArrayLike, scores: ArrayLike, *, classes: Sequence[str] | None = None
    ) -> dict[str, float | None]:
        """Score; ``""`` is the overall value, undefined is None."""
        ...
