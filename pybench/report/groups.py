"""Stored trials gathered into the rows of a board, and their values by repetition."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pybench.trial import Split, Trial

if TYPE_CHECKING:
    import polars as pl

Repetition: TypeAlias = tuple[Split, int]
"""Split and training seed: what differs between the trials of one row."""


class Stored(Protocol):
    """A trial as the store gives it back; see ``pybench.store.Record``."""

    @property
    def trial(self) -> Trial:
        """What was run."""
        ...

    @property
    def status(self) -> Literal["done", "failed"]:
        """How it ended."""
        ...

    @property
    def reason(self) -> str:
        """What went wrong, in one sentence."""
        ...

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Rows {split, metric, class, value, unit, higher_is_better, n}."""
        ...

    @property
    def facts(self) -> dict[str, Any]:
        """What the trial told of itself."""
        ...

    @property
    def stamp(self) -> dict[str, Any]:
        """Machine and library facts."""
        ...

    def predictions(self) -> pl.DataFrame:
        """One row per validation and test sample."""
        ...


@dataclass(frozen=True)
class Group:
    """The trials of a row; ``trial`` has the first seed and split."""

    trial: Trial
    records: tuple[Stored, ...]

    def values(self, metric: str, split: str, of: str) -> dict[Repetition, float | None]:
        """A metric's value by repetition; None where the trial failed or did not measure it."""
        return {
            (record.trial.split, record.trial.seed): _value(record, metric, split, of)
            for record in self.records
        }


def _value(record: Stored, metric: str, split: str, of: str) -> float | None:
    for row in record.metrics:
        if (row["metric"], row["split"], row["class"]) == (metric, split, of):
            value = row["value"]
            return None if value is None else float(value)
    return None


def gather(records: Sequence[Stored]) -> list[Group]:
    """Trials that differ only in seed and split."""
    members: dict[Trial, list[Stored]] = {}
    for record in records:
        key = dataclasses.replace(record.trial, seed=0, split=Split())
        members.setdefault(key, []).append(record)
    return [Group(trial, tuple(found)) for trial, found in members.items()]


def layout(
    groups: Sequence[Group], metric: str, split: str, of: str = ""
) -> tuple[list[Repetition], NDArray[np.float64]]:
    """Repetitions, and (rows, repetitions) values with NaN for what is not there."""
    found = [group.values(metric, split, of) for group in groups]
    keys = sorted({key for values in found for key in values}, key=repr)
    cells = [[values.get(key) for key in keys] for values in found]
    return keys, np.array(cells, dtype=np.float64).reshape(len(groups), len(keys))


def mean_metrics(records: Sequence[Stored]) -> dict[tuple[str, str, str], float | None]:
    """(split, metric, class) -> mean over the repetitions that have a value."""
    values: dict[tuple[str, str, str], list[float]] = {}
    for record in records:
        for row in record.metrics:
            cell = values.setdefault((row["split"], row["metric"], row["class"]), [])
            if row["value"] is not None:
                cell.append(float(row["value"]))
    return {key: float(np.mean(found)) if found else None for key, found in values.items()}


def mean_fact(records: Sequence[Stored], name: str) -> float | None:
    """Mean of a fact over the trials that tell it."""
    found = [float(r.facts[name]) for r in records if r.facts.get(name) is not None]
    return float(np.mean(found)) if found else None


def provenances(records: Sequence[Stored]) -> tuple[str, ...]:
    """Where the data of some trials comes from: real, surrogate-real or generated."""
    return tuple(sorted({str(r.facts["provenance"]) for r in records if "provenance" in r.facts}))
