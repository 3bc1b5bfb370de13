"""Dash-cam collisions: none, the own car, or others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from pybench.data import crash_scenes, dacon
from pybench.data.manifest import content_id, made
from pybench.data.videos import clip_dataset
from pybench.models import models
from pybench.tasks import DataRef, Dataset, Task, TaskMeta
from pybench.trial import Budget, Split


@dataclass(frozen=True)
class Collision(Task):
    """Three-way classification of five-second dash-cam clips (paper 000).

    Reads the competition's own folder layout. Without one, clips of simulated traffic are written
    in that very layout and read back by the same reader; every row of a result says so.
    ``relabel.txt`` beside ``train.csv`` corrects labels, ``split.csv`` fixes the test set.
    """

    meta: ClassVar[TaskMeta] = TaskMeta(
        title="Dash-cam collisions",
        kind="classes",
        inputs="clips",
        source="Dacon competition 236064 (2023); by default simulated traffic in its layout",
        licence="competition data: not redistributable; simulated clips: as pybench",
        revision=1,
        headline="macro_f1",
        headline_split="test/balanced",
        models=("small3d", "r3d18", "i3d"),
        metrics=(
            "macro_f1",
            "accuracy",
            "balanced_accuracy",
            "precision",
            "recall",
            "f1",
            "average_precision",
            "roc_auc",
        ),
        budget=Budget(epochs=10, batch=16, lr=4e-3),
        trial_s=4.0,
        reader="dacon",
        published="dashcam_collision",
    )

    def locate(self, path: Path | None, cache: Path, *, make: bool = True) -> DataRef:
        """A competition folder at ``path``, or the simulated one under ``cache``."""
        folder = path or cache / "data" / f"collision-v{crash_scenes.VERSION}"
        if path is None:
            if not folder.is_dir() and not make:
                return DataRef("", folder, "generated")
            made(folder, partial(crash_scenes.make, scale=1.0, seed=0))
        identity = content_id(dacon.read(folder).files, folder, cache)
        return DataRef(identity, folder, "real" if path else "generated")

    def load(self, ref: DataRef, split: Split, model: str, cache: Path) -> Dataset:
        """Decode as many frames at the size that the model takes."""
        network = models.build(model)
        clips = dacon.read(ref.path)
        return clip_dataset(
            clips, ref, split, frames=network.frames, size=network.size, cache=cache
        )

    def make(self, directory: Path, scale: float, seed: int) -> None:
        """Write simulated clips in the competition's layout."""
        crash_scenes.make(directory, scale=scale, seed=seed)
