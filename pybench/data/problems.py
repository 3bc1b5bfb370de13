"""What is wrong with data: damage that is named and survived, and damage that stops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pybench.types import Labels


class DataError(ValueError):
    """Data that cannot be used as it is; the message says where and what to do."""


@dataclass(frozen=True)
class Problem:
    """One damage.

    Fields:
        file: file or row it was found in.
        what: what is wrong.
        action: what was done about it.
    """

    file: str
    what: str
    action: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}; {self.action}"


@dataclass(frozen=True, eq=False)
class Clips:
    """Labelled videos as a reader found them.

    Fields:
        paths: N videos.
        files: every file that was read or will be, tables included; their content is the data.
        names: N names for people.
        labels: (N,) int64 index into ``classes``.
        classes: names of the classes.
        test: (N,) truth whether a sample belongs to a fixed test set, or None.
        problems: damage that was survived.
    """

    paths: tuple[Path, ...]
    files: tuple[Path, ...]
    names: tuple[str, ...]
    labels: Labels
    classes: tuple[str, ...]
    test: np.ndarray[Any, np.dtype[np.bool_]] | None = None
    problems: tuple[Problem, ...] = ()


def report(clips: Clips, more: Sequence[Problem] = ()) -> dict[str, Any]:
    """What ``pybench data check`` says: {"counts", "samples", "problems"}."""
    counts = Counter(clips.classes[label] for label in clips.labels)
    return {
        "counts": {name: counts[name] for name in clips.classes},
        "samples": len(clips.paths),
        "problems": [vars(problem) for problem in (*clips.problems, *more)],
    }
