"""Steps: what is done with a finished trial, without training it again. One file, one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pybench.registry import Registry

if TYPE_CHECKING:
    import polars as pl

    from pybench.trial import Trial

Stored: TypeAlias = Literal["features", "weights"]


@dataclass(frozen=True, eq=False)
class Finished:
    """What a trial left behind.

    Fields:
        trial: what was trained.
        classes: (C,) names.
        counts: (C,) training samples per class.
        predictions: one row per sample of validation and test, at least with the columns
            ``split``, ``sample``, ``label`` and ``logits`` (list of C float32).
        arrays: what the step needs beside them, by stored name.
    """

    trial: Trial
    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    predictions: pl.DataFrame
    arrays: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


class Step(Protocol):
    """A configured step: a frozen dataclass whose fields are its hyperparameters."""

    @property
    def needs(self) -> frozenset[Stored]:
        """Stored arrays it reads beside the predictions."""
        ...

    @property
    def source(self) -> str:
        """Authors, title, year and equation."""
        ...

    def apply(self, finished: Finished) -> pl.DataFrame:
        """New predictions, with the same columns and rows; the test labels are never looked at."""
        ...


steps: Registry[Step] = Registry("pybench.steps", "apply")
