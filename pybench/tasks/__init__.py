"""Tasks: data, split, protocol and headline metric. One file, one task."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pybench.registry import Registry
from pybench.trial import Budget, Split
from pybench.types import BagTarget, Batch, BoxTarget, ClassTarget, Inputs, Kind, Labels, Target

if TYPE_CHECKING:
    import polars as pl

Provenance: TypeAlias = Literal["real", "surrogate-real", "generated"]


@dataclass(frozen=True)
class TaskMeta:
    """What is known of a task before its data is read.

    Fields:
        title: one line for people.
        kind: kind of its outputs.
        inputs: what a sample is: an image (H, W, 3) or a clip (T, H, W, 3) of uint8, a vector of
            features, or cells: what a detector reads, whose boxes must move with it.
        source: where the data comes from, with authors and year.
        licence: licence of the data.
        revision: version of the task; a change of protocol or generator raises it.
        headline: metric spec the leaderboard ranks by.
        headline_split: evaluation part it is computed on.
        models: model specs, the default first.
        metrics: metric specs stored with every trial.
        budget: default budget of one trial.
        trial_s: seconds one such trial takes on one core, for estimates before any has run.
        reader: name of the reader of its on-disk format, for data that it writes itself.
        published: name of the module in ``pybench.published`` with the paper's tables, or None.
    """

    title: str
    kind: Kind
    inputs: Inputs
    source: str
    licence: str
    revision: int
    headline: str
    headline_split: str
    models: tuple[str, ...]
    metrics: tuple[str, ...]
    budget: Budget
    trial_s: float
    reader: str = ""
    published: str | None = None


@dataclass(frozen=True)
class DataRef:
    """Data that was found: its content id, where it lies, and what it is.

    Fields:
        id: content hash; ``""`` for generated data that is not made yet.
        path: file or directory.
        provenance: ``"real"``, ``"surrogate-real"`` or ``"generated"``.
    """

    id: str
    path: Path
    provenance: Provenance


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples in memory or memory-mapped, with their truth and their roles.

    Fields:
        kind: kind of the targets.
        classes: names; for bags the normal class is last, for boxes the background is first.
        inputs: (N, ...) array, uint8 or float32.
        labels: (N,) int64 class of each sample; for boxes (N, A) class of each cell.
        boxes: (N, A, 4) float32, for boxes only.
        splits: role -> indices: ``"train"``, ``"val"``, ``"test"``, and named parts of the test
            set such as ``"test/balanced"``.
        groups: (N,) int64 video, camera or sequence of each sample, or None.
        names: (N,) name of each sample for people, or empty.
        problems: what was wrong in the data and what was done, one sentence each.
    """

    kind: Kind
    classes: tuple[str, ...]
    inputs: NDArray[Any]
    labels: Labels
    splits: Mapping[str, Labels]
    boxes: NDArray[np.float32] | None = None
    groups: Labels | None = None
    names: Sequence[str] = ()
    problems: tuple[str, ...] = field(default=())

    def counts(self, indices: Labels) -> Labels:
        """(C,) how often each class occurs among samples (or their cells)."""
        from pybench.core import class_counts

        return class_counts(self.labels[indices].reshape(-1), len(self.classes))

    def target(self, indices: Labels) -> Target:
        """The truth of some samples as tensors."""
        import torch

        labels = torch.from_numpy(self.labels[indices])
        if self.kind == "bags":
            return BagTarget(labels, normal=len(self.classes) - 1)
        if self.boxes is not None:
            return BoxTarget(labels, torch.from_numpy(self.boxes[indices]))
        return ClassTarget(labels)

    def batch(self, indices: Labels) -> Batch:
        """Some samples as tensors, in the given order."""
        import torch

        inputs = np.ascontiguousarray(self.inputs[indices])
        return Batch(torch.from_numpy(inputs), self.target(indices))

    @property
    def evaluated(self) -> Labels:
        """Indices of validation and test samples, each once, sorted."""
        return np.unique(np.concatenate([self.splits["val"], self.splits["test"]]))

    def parts(self) -> dict[str, Labels]:
        """Evaluation parts: every split except train and the whole of test when it has parts."""
        named = [name for name in self.splits if name.startswith("test/")]
        return {name: self.splits[name] for name in ["val", *(named or ["test"])]}


class Task(Protocol):
    """A task. Subclass it explicitly to inherit how class problems are scored."""

    @property
    def meta(self) -> TaskMeta:
        """What is known before the data is read."""
        ...

    def locate(self, path: Path | None, cache: Path, *, make: bool = True) -> DataRef:
        """Find the data at ``path``, or make the embedded data under ``cache``.

        With ``make=False`` nothing is written; data not made yet has the id ``""``.
        """
        ...

    def load(self, ref: DataRef, split: Split, model: str, cache: Path) -> Dataset:
        """Read the data as ``model`` takes it, and assign roles."""
        ...

    def make(self, directory: Path, scale: float, seed: int) -> None:
        """Write the embedded or generated data in its real layout into ``directory``."""
        msg = f"task must have data of its own to write, got {self.meta.title!r}, which has none"
        raise LookupError(msg)

    def make_videos(self, directory: Path, scale: float, seed: int) -> None:
        """Write generated videos from which the features of the task can be extracted."""
        msg = f"task must train on features of videos, got {self.meta.title!r}, which does not"
        raise LookupError(msg)

    def score(self, predictions: pl.DataFrame, dataset: Dataset) -> list[dict[str, Any]]:
        """Metric rows of a trial: {split, metric, class, value, unit, higher_is_better, n}."""
        from pybench.scoring import score_classes

        return score_classes(predictions, dataset, self.meta.metrics)


tasks: Registry[Task] = Registry("pybench.tasks", "load")


class _Subscriptable(ModuleType):
    """Lets ``pybench.tasks["collision"]`` be the task, beside being this package."""

    def __getitem__(self, name: str) -> Task:
        return tasks.build(name)


sys.modules[__name__].__class__ = _Subscriptable
