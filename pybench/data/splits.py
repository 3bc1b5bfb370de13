"""Splits: stratified by class, whole groups together, the same for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybench import seeds
from pybench.data.problems import DataError
from pybench.trial import Split
from pybench.types import Labels


def stratified(
    labels: Labels,
    split: Split,
    *,
    test: float = 0.2,
    val: float = 0.2,
    groups: Labels | None = None,
    fixed_test: NDArray[np.bool_] | None = None,
) -> dict[str, Labels]:
    """Assign every sample to train, val or test, class by class.

    Args:
        labels: (N,) class of each sample.
        split: with ``folds > 1`` the test part is one of the folds, else a share of ``test``.
        test: share of each class held out for the test, in (0, 1).
        val: share of what remains held out for validation, in (0, 1).
        groups: (N,) samples of one group (a video, a camera) stay in one part, or None.
        fixed_test: (N,) the test set its owner fixed; ``folds`` must then be 1.

    Returns:
        ``{"train", "val", "test"}`` -> sorted indices; every class has at least one sample in
        each part.

    Raises:
        DataError: a class, or its groups, too few for the three parts.
    """
    rng = seeds.generator(split.split_seed, "split")
    units = np.arange(len(labels)) if groups is None else np.asarray(groups)
    order = _shuffled_units(units, labels, rng)
    roles = np.full(len(labels), "train", dtype="<U5")
    for label in np.unique(labels):
        mine = [unit for unit in order if unit[1] == label]
        if fixed_test is not None:
            if split.folds != 1:
                msg = f"folds must be 1 with a fixed test set, got {split.folds}"
                raise DataError(msg)
            fixed = set(units[fixed_test].tolist()) - set(units[~fixed_test].tolist())
            held = [u for u in mine if u[0] in fixed]
        elif split.folds > 1:
            held = mine[split.fold :: split.folds]
        else:
            held = mine[: max(1, round(test * len(mine)))]
        taken = {unit for unit, _ in held}
        rest = [u for u in mine if u[0] not in taken]
        checked = rest[: max(1, round(val * len(rest)))]
        if not held or len(rest) - len(checked) < 1:
            msg = (
                f"each class must have samples for training, validation and test, got "
                f"{len(mine)} independent ones of class {label}; add some or leave it out"
            )
            raise DataError(msg)
        for role, chosen in (("test", held), ("val", checked)):
            roles[np.isin(units, [unit for unit, _ in chosen])] = role
    return {role: np.flatnonzero(roles == role) for role in ("train", "val", "test")}


def _shuffled_units(
    units: NDArray[Any], labels: Labels, rng: np.random.Generator
) -> list[tuple[Any, int]]:
    """(unit, its class) in random order; a unit of several classes counts as its rarest."""
    frequency = np.bincount(labels)
    found: dict[Any, int] = {}
    for unit, label in zip(units.tolist(), labels.tolist(), strict=True):
        known = found.get(unit)
        if known is None or frequency[label] < frequency[known]:
            found[unit] = label
    pairs = list(found.items())
    return [pairs[i] for i in rng.permutation(len(pairs))]


def balanced_subset(labels: Labels, indices: Labels) -> Labels:
    """The first samples of each class among ``indices``, as many as the rarest class has.

    Example:
        >>> balanced_subset(np.array([0, 0, 0, 1]), np.array([0, 1, 3])).tolist()
        [0, 3]
    """
    inside = labels[indices]
    few = min(np.count_nonzero(inside == label) for label in np.unique(inside))
    kept = [indices[inside == label][:few] for label in np.unique(inside)]
    return np.sort(np.concatenate(kept))


def prior_subset(labels: Labels, indices: Labels, counts: Labels) -> Labels:
    """The first samples of each class among ``indices`` in the proportions of ``counts``.

    The largest such subset, with at least one sample of each class that has any.

    Example:
        >>> prior_subset(np.array([0, 0, 0, 1, 1, 1]), np.arange(6), np.array([20, 10])).tolist()
        [0, 1, 2, 3]
    """
    inside = labels[indices]
    have = np.bincount(inside, minlength=len(counts))
    present = (counts > 0) & (have > 0)
    scale = float(np.min(have[present] / counts[present]))
    wanted = np.where(present, np.maximum(1, np.floor(scale * counts + 1e-9)), 0).astype(int)
    kept = [indices[inside == label][: wanted[label]] for label in range(len(counts))]
    return np.sort(np.concatenate(kept))
