"""Steps: what is done with a finished trial, without training it again. One file, one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pybench.checks import require
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
            ``split``, ``sample``, ``label`` (null on test rows when a trial runs the step) and
            ``logits`` (list of C float32).
        drawn: (C,) how often samples of each class were drawn in training; None = as counts.
        arrays: what the step needs beside them. Those that need ``"features"`` get
            ``train_features`` (N, D) and ``train_labels`` (N,) of the training samples as they
            are, and ``features`` (M, D), one row per prediction: what the classifier reads. Those
            that need ``"weights"`` get ``head_weight`` (C, D) and ``head_bias`` (C,) of a linear
            classifier.
    """

    trial: Trial
    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    predictions: pl.DataFrame
    drawn: NDArray[np.int64] | None = None
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def logits(self) -> NDArray[np.float64]:
        """(M, C) logits of all rows.

        Raises:
            ValueError: a row does not have one logit per class.
        """
        column, classes = self.predictions["logits"], len(self.counts)
        widths = column.list.len().unique().to_list()
        require(widths in ([], [classes]), "logits", f"{classes} per sample", widths)
        return np.asarray(column.list.to_array(classes).to_numpy(), dtype=np.float64)

    def validation(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Logits (V, C) and labels (V,) of the validation rows.

        Raises:
            ValueError: there is none.
        """
        rows = (self.predictions["split"] == "val").to_numpy()
        require(bool(rows.any()), "predictions", "of some validation samples", "none")
        return self.logits[rows], self.predictions["label"].to_numpy()[rows].astype(np.int64)

    def with_logits(self, logits: NDArray[np.floating[Any]]) -> pl.DataFrame:
        """The predictions with other logits (M, C)."""
        import polars as pl

        column = pl.Series("logits", logits.astype(np.float32)).cast(pl.List(pl.Float32))
        return self.predictions.with_columns(column)


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
