"""Your own labelled videos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pybench.data import clips
from pybench.data.manifest import content_id
from pybench.data.videos import clip_dataset
from pybench.models import models
from pybench.tasks import DataRef, Dataset, Task, TaskMeta
from pybench.tasks.collision import Collision
from pybench.trial import Split


@dataclass(frozen=True)
class OwnClips(Task):
    """Classification of any videos listed in a CSV file with the columns path,label."""

    meta: ClassVar[TaskMeta] = TaskMeta(
        title="Your clips",
        kind="classes",
        inputs="clips",
        source="the videos of your CSV file",
        licence="yours",
        revision=1,
        headline="macro_f1",
        headline_split="test/natural",
        models=Collision.meta.models,
        metrics=Collision.meta.metrics,
        budget=Collision.meta.budget,
        trial_s=Collision.meta.trial_s,
    )

    def locate(self, path: Path | None, cache: Path, *, make: bool = True) -> DataRef:
        """The CSV file at ``path``."""
        if path is None:
            msg = "--data must name your CSV file (columns path,label), got nothing"
            raise FileNotFoundError(msg)
        return DataRef(content_id(clips.read(path).files, path.parent, cache), path, "real")

    def load(self, ref: DataRef, split: Split, model: str, cache: Path) -> Dataset:
        """Decode as many frames at the size that the model takes."""
        network = models.build(model)
        found = clips.read(ref.path)
        return clip_dataset(
            found, ref, split, frames=network.frames, size=network.size, cache=cache
        )
