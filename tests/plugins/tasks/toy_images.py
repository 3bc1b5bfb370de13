"""Images (8, 8, 3) whose pattern tells the class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pybench.tasks import DataRef, Dataset, TaskMeta
from pybench.trial import Split
from tests.plugins import toy


@dataclass(frozen=True)
class ToyImages(toy.ToyTask):
    """Images (8, 8, 3) whose pattern tells the class."""

    meta: ClassVar[TaskMeta] = toy.classes_meta("toy images", "images")

    def load(self, ref: DataRef, split: Split, model: str, cache: Path) -> Dataset:
        return toy.classes(toy.as_pixels(toy.patterns("images", (8, 8, 3))))
