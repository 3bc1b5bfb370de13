"""The data of the five toy tasks: small, learnable, imbalanced, made from a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pybench.tasks import DataRef, Dataset, Task, TaskMeta
from pybench.trial import Budget
from pybench.types import Inputs, Kind, Labels

COUNTS = (60, 24, 12)
CLASSES = ("common", "scarce", "rare")


class ToyTask(Task):
    """What the toy tasks share: there is nothing to find on disk."""

    def locate(self, path: Path | None, cache: Path, *, make: bool = True) -> DataRef:
        return DataRef(f"{type(self).__name__}-1", Path(), "generated")


def meta(title: str, kind: Kind, inputs: Inputs, model: str, metrics: tuple[str, ...]) -> TaskMeta:
    return TaskMeta(
        title=title,
        kind=kind,
        inputs=inputs,
        source="made for the tests",
        licence="MIT",
        revision=1,
        headline=metrics[0] if metrics else "accuracy",
        headline_split="test/balanced",
        models=(model,),
        metrics=metrics,
        budget=Budget(epochs=3, batch=8, lr=1e-2),
        trial_s=0.1,
    )


def classes_meta(title: str, inputs: Inputs) -> TaskMeta:
    return meta(title, "classes", inputs, "toy_net", ("macro_f1", "recall", "accuracy"))


def rng(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=sum(map(ord, name))))


def labels() -> Labels:
    return np.repeat(np.arange(3), COUNTS).astype(np.int64)


def splits() -> dict[str, Labels]:
    """Of each class, one third trains, one third validates, one third tests."""
    place = np.concatenate([np.arange(n) for n in COUNTS])
    test = np.flatnonzero(place % 3 == 2)
    truth = labels()[test]
    few = int(np.bincount(truth).min())
    balanced = np.concatenate([test[truth == c][:few] for c in range(3)])
    return {
        "train": np.flatnonzero(place % 3 == 0),
        "val": np.flatnonzero(place % 3 == 1),
        "test": test,
        "test/balanced": balanced,
        "test/natural": test,
    }


def patterns(name: str, shape: tuple[int, ...], noise: float = 2.0) -> NDArray[np.float32]:
    """One sample per label: the pattern of its class, and noise."""
    random, truth = rng(name), labels()
    means = random.normal(size=(3, *shape))
    return (means[truth] + noise * random.normal(size=(len(truth), *shape))).astype(np.float32)


def as_pixels(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(values * 40 + 128, 0, 255).astype(np.uint8)


def classes(inputs: NDArray[np.uint8] | NDArray[np.float32]) -> Dataset:
    return Dataset("classes", CLASSES, inputs, labels(), splits())
