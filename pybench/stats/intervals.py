"""The mean of a few seeds, the difference of two sets of them, and Holm's correction."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit


class Interval(NamedTuple):
    """A mean with its interval.

    Fields:
        mean: of the finite values; None when there is none.
        low, high: limits; None with fewer than two values, where the spread is unknown.
        n: how many values are finite.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int


class PairedT(NamedTuple):
    """The mean paired difference ``a - b`` with its interval and two-sided p.

    Fields:
        estimate: mean difference; None without a complete pair.
        low, high, p: None with fewer than two complete pairs.
        n: complete pairs.
    """

    estimate: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean and t interval of independent repetitions.

    ``mean +- t((1 + level) / 2; n - 1) * s / sqrt(n)``

    Args:
        values: (S,) one value per seed; NaN marks a failed one and is left out.
        level: coverage, in (0, 1).

    Raises:
        ValueError: for a level outside (0, 1), infinite values or more than one axis.

    Example:
        >>> mean_interval([1.0, 2.0, 3.0])[:2]
        (2.0, -0.48413771175...)
        >>> mean_interval([0.5])
        Interval(mean=0.5, low=None, high=None, n=1)
    """
    _check_level(level)
    kept = _vector("values", values)
    kept = kept[~np.isnan(kept)]
    n = len(kept)
    if n == 0:
        return Interval(None, None, None, 0)
    mean = float(kept.mean())
    if n == 1:
        return Interval(mean, None, None, 1)
    half = float(stdtrit(n - 1, (1 + level) / 2) * kept.std(ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)


def paired_t(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> PairedT:
    """Paired t test of ``a`` against ``b`` on the same seeds.

    Args:
        a: (S,) values; a pair with a NaN is left out.
        b: (S,) values, the i-th from the same seed as the i-th of ``a``.
        level: coverage of the interval, in (0, 1).

    Raises:
        ValueError: for unequal lengths, infinite values or a level outside (0, 1).

    Example:
        >>> paired_t([2.0, 3.0, 4.0], [1.0, 1.0, 1.0])[0]
        2.0
    """
    left, right = _vector("a", a), _vector("b", b)
    if left.shape != right.shape:
        msg = f"b must be as long as a, {len(left)}, got {len(right)}; pair the values by seed"
        raise ValueError(msg)
    interval = mean_interval(left - right, level)
    if interval.mean is None or interval.low is None:
        return PairedT(interval.mean, None, None, None, interval.n)
    df = interval.n - 1
    difference = (left - right)[~np.isnan(left - right)]
    error = float(difference.std(ddof=1) / np.sqrt(interval.n))
    if error == 0:
        p = 1.0 if interval.mean == 0 else 0.0
    else:
        p = float(2 * stdtr(df, -abs(interval.mean) / error))
    return PairedT(interval.mean, interval.low, interval.high, p, interval.n)


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down correction: p values adjusted for having asked several questions.

    ``adjusted_(i) = max over j <= i of min(1, (m - j + 1) * p_(j))``

    Args:
        p: (m,) p values in [0, 1]; NaN marks a question not asked and stays NaN.

    Raises:
        ValueError: for a value outside [0, 1].

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    values = _vector("p", p)
    asked = np.flatnonzero(~np.isnan(values))
    if np.any((values[asked] < 0) | (values[asked] > 1)):
        msg = f"p must be in [0, 1], got {values.tolist()}"
        raise ValueError(msg)
    order = asked[np.argsort(values[asked], kind="stable")]
    stepped = values[order] * np.arange(len(order), 0, -1)
    adjusted = np.full(len(values), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0) if len(order) else stepped
    return adjusted


def _vector(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        msg = f"{name} must be a vector, got shape {array.shape}"
        raise ValueError(msg)
    if np.isinf(array).any():
        msg = f"{name} must be finite or NaN, got {array.tolist()}"
        raise ValueError(msg)
    return array


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        msg = f"level must be in (0, 1), got {level}"
        raise ValueError(msg)
