"""A trial: everything that determines a result, and the id made of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from pybench.types import Counts

SCHEMA = 1
"""Version of the trial and record layout; part of every id."""


@dataclass(frozen=True)
class Split:
    """Which part of the data plays which role.

    Fields:
        fold: which of ``folds`` is the test part.
        folds: 1 = one hold-out split, k = k-fold cross-validation.
        split_seed: seed of the split.
        subset_seed: seed of the imbalanced subset, where a task draws one.
    """

    fold: int = 0
    folds: int = 1
    split_seed: int = 0
    subset_seed: int = 0

    def __post_init__(self) -> None:
        if self.folds < 1:
            msg = f"folds must be >= 1, got {self.folds}"
            raise ValueError(msg)
        if not 0 <= self.fold < self.folds:
            msg = f"fold must be in [0, {self.folds}), got {self.fold}"
            raise ValueError(msg)


@dataclass(frozen=True)
class Budget:
    """What a trial may spend.

    Fields:
        epochs: passes over the training set; or None when ``steps`` is given.
        steps: optimiser steps; or None.
        batch: samples per step.
        optimiser: ``"adam"``, ``"adamw"``, ``"adagrad"`` or ``"sgd"`` (momentum 0.9).
        lr: learning rate, > 0.
        weight_decay: share of every parameter that is added to its gradient, >= 0; twice the
            factor of a penalty on squares. ``"adamw"`` takes it off the parameter instead.
        lr_policy: ``"shared"``: the same rate for every loss; ``"tuned"``: chosen on validation.
        schedule: learning rate over the steps: constant, or half a cosine down to 0.
        device: ``"cpu"`` or ``"cuda"``.
        threads: CPU threads, exactly.
        amp: mixed precision (CUDA only).
    """

    epochs: int | None = 10
    steps: int | None = None
    batch: int = 16
    optimiser: Literal["adam", "adamw", "adagrad", "sgd"] = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    lr_policy: Literal["shared", "tuned"] = "shared"
    schedule: Literal["constant", "cosine"] = "cosine"
    device: str = "cpu"
    threads: int = 1
    amp: bool = False

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            msg = f"budget must have epochs or steps, got epochs={self.epochs}, steps={self.steps}"
            raise ValueError(msg)
        for name in ("epochs", "steps", "batch", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                msg = f"{name} must be >= 1, got {value}"
                raise ValueError(msg)
        if not self.lr > 0:
            msg = f"lr must be > 0, got {self.lr}"
            raise ValueError(msg)
        if not 0 <= self.weight_decay < math.inf:
            msg = f"weight_decay must be finite and >= 0, got {self.weight_decay}"
            raise ValueError(msg)
        for name, known in (
            ("optimiser", ("adam", "adamw", "adagrad", "sgd")),
            ("lr_policy", ("shared", "tuned")),
            ("schedule", ("constant", "cosine")),
        ):
            if getattr(self, name) not in known:
                msg = f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}"
                raise ValueError(msg)
        if self.amp and self.device == "cpu":
            msg = "amp must be off on the CPU, got amp=True; use device='cuda'"
            raise ValueError(msg)


@dataclass(frozen=True)
class Trial:
    """All of a result's identity; hashable, and JSON both ways.

    Fields:
        task: name of the task.
        data: content hash of what was read.
        split, model, sampler, transform, loss: as spec strings in their canonical form.
        counts: what a re-weighting loss is told: the training set's own counts, or those of the
            sampler's draw.
        seed: training seed (initialisation, order, augmentation).
        budget: epochs, batch, optimiser, ...
        steps: what is done after training, in order; the parent is the trial without the last.
    """

    task: str
    data: str
    model: str
    loss: str
    sampler: str = "natural"
    transform: str = "none"
    split: Split = field(default_factory=Split)
    counts: Counts = "original"
    seed: int = 0
    budget: Budget = field(default_factory=Budget)
    steps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.counts not in ("original", "sampled"):
            msg = f"counts must be 'original' or 'sampled', got {self.counts!r}"
            raise ValueError(msg)
        if not 0 <= self.seed < 2**63:
            msg = f"seed must be in [0, 2**63), got {self.seed}"
            raise ValueError(msg)

    @property
    def parent(self) -> Trial | None:
        """The trial whose result the last step starts from, or None."""
        return dataclasses.replace(self, steps=self.steps[:-1]) if self.steps else None

    @property
    def row(self) -> tuple[str, ...]:
        """What a leaderboard row is: all of the trial but its seed and split."""
        return (
            self.task,
            self.model,
            self.loss,
            self.sampler,
            self.transform,
            self.counts,
            *self.steps,
        )

    @property
    def name(self) -> str:
        """Short name for people: ``loss @ sampler``, with the steps taken."""
        parts = [self.loss]
        parts += [f"-> {step}" for step in self.steps]
        if self.sampler != "natural":
            parts.append(f"@ {self.sampler}")
        if self.transform != "none":
            parts.append(f"~ {self.transform}")
        if self.counts == "sampled":
            parts.append("(sampled counts)")
        return " ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON values with every field."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Trial:
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: for missing or unknown keys, or values out of range.
        """
        try:
            fields = dict(value)
            fields["split"] = Split(**fields["split"])
            fields["budget"] = Budget(**fields["budget"])
            fields["steps"] = tuple(fields["steps"])
            return cls(**fields)
        except (TypeError, KeyError, AttributeError) as error:
            msg = f"trial must have the fields of schema {SCHEMA}, got {error}"
            raise ValueError(msg) from error


def canonical(value: object) -> bytes:
    """The one JSON form of a value: sorted keys, no spaces, no NaN."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    )
    return text.encode()


def trial_id(trial: Trial, code_id: str) -> str:
    """32 hexadecimal digits: the trial, the code it uses and the schema.

    Device and thread count are part of the trial; library versions and CPU are in the stamp of a
    record instead, so that they group results and do not split them.
    """
    identity = {"schema": SCHEMA, "trial": trial.to_json(), "code": code_id}
    return hashlib.blake2b(canonical(identity), digest_size=16).hexdigest()
