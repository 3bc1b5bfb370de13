"""Feature vectors (12,) whose mean tells the class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pybench.tasks import DataRef, Dataset, TaskMeta
from pybench.trial import Split
from tests.plugins import toy


@dataclass(frozen=True)
class ToyFeatures(toy.ToyTask):
    """Feature vectors (12,) whose mean tells the class."""

    meta: ClassVar[TaskMeta] = toy.classes_meta("toy features", "features")

    def load(self, ref: DataRef, split: Split, model: str, cache: Path) -> Dataset:
        return toy.classes(toy.patterns("features", (12,)))
