"""Tie groups of many rows on few shared seeds: which differences are real, and how small."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from string import ascii_lowercase
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import connected_components
from scipy.special import digamma, polygamma
from scipy.stats import studentized_range

Floats = NDArray[np.float64]

PASSES = 3
"""Rounds of re-weighting; the weights no longer move visibly after the third."""

MAX_PRIOR_DF = 20.0
"""Ceiling on the degrees borrowed from the other rows: equal spread is never certain."""

VARIANCE_FLOOR = 1e-5
"""Smallest variance of a row, as a part of the mean one: keeps its logarithm finite."""

MAX_SHARE = 0.9
"""Largest part of the seed effects one row may be taken to own."""

LEVEL_LOSS = 1.5
"""The nominal level is ``alpha * (1 - LEVEL_LOSS / seeds)``; fixed by simulation (see tests)."""


@dataclass(frozen=True, eq=False)
class TieGroups:
    """What the seeds can and cannot tell apart.

    Fields:
        letters: per row the letters of its groups, best group "a"; two rows that share a letter
            are not separable. None for a row that cannot be judged (fewer than two values).
        rank_low, rank_high: first and last rank a row may hold; None for a row without values.
        estimate: (L,) mean of each row, adjusted for the seeds it lacks.
        error: (L,) standard error of a row's mean, moderated; NaN where it cannot be judged.
        better: (L, L) bool, ``better[i, j]``: row i is significantly better than row j.
        floor: smallest difference that is separable for the median pair; None when none is.
        prior_df: degrees of freedom borrowed from the common variance.
        level: nominal level of the studentized range.
    """

    letters: tuple[str | None, ...]
    rank_low: tuple[int | None, ...]
    rank_high: tuple[int | None, ...]
    estimate: Floats
    error: Floats
    better: NDArray[np.bool_]
    floor: float | None
    prior_df: float | None
    level: float


def tie_groups(
    values: ArrayLike, *, higher_is_better: bool = True, alpha: float = 0.05
) -> TieGroups:
    r"""Group rows that the seeds cannot separate.

    Rows x seeds is a two-way layout :math:`y_{ij} = \mu_i + b_j + e_{ij}` with its own variance
    per row. Row and seed effects are weighted least squares; each row's variance is moderated
    towards the common one, :math:`\tilde s_i^2 = (d_0 s_0^2 + d_i s_i^2) / (d_0 + d_i)`, with
    :math:`d_0, s_0^2` from the mean and variance of :math:`\log s_i^2`. Rows differ when
    :math:`|t_{ij}| > q(1 - \alpha'; L, d_0 + d) / \sqrt 2`.

    Args:
        values: (L, S) row i under seed j; NaN marks a failed trial.
        higher_is_better: direction of the values.
        alpha: family-wise rate of false separations, in (0, 1).

    Raises:
        ValueError: for another number of axes, infinite values or alpha outside (0, 1).

    Source:
        Smyth, "Linear models and empirical Bayes methods", 2004 (moderation); Tukey's studentized
        range; Piepho, "An algorithm for a letter-based representation", 2004 (letters).

    **Deviations**: ``d_0`` is capped at 20, the total degrees at those of all rows together, and
    the nominal level is lowered at few seeds, so that simulated false alarms stay under 6 %.

    Example:
        >>> groups = tie_groups([[0.9, 0.8, 0.91], [0.5, 0.4, 0.52], [0.89, 0.81, 0.9]])
        >>> groups.letters, groups.rank_low, groups.rank_high
        (('a', 'b', 'a'), (1, 3, 1), (2, 3, 2))
    """
    table = _table(values)
    if not 0 < alpha < 1:
        msg = f"alpha must be in (0, 1), got {alpha}"
        raise ValueError(msg)
    n = (~np.isnan(table)).sum(axis=1)
    judged = np.flatnonzero(n > 1)
    total = np.where(np.isnan(table), 0.0, table).sum(axis=1)
    estimate = np.where(n > 0, total / np.maximum(n, 1), np.nan)
    error = np.full(len(table), np.nan)
    limit = np.full((len(table), len(table)), np.inf)
    level = alpha
    prior_df = None
    if len(judged) > 1:
        fit = _fit(table[judged])
        level = alpha * (1 - LEVEL_LOSS / float(np.median(n[judged])))
        estimate[judged], error[judged], prior_df = fit.estimate, fit.error, fit.prior_df
        limit[np.ix_(judged, judged)] = _critical(n[judged], fit.prior_df, level) * fit.pair_error
    sign = 1.0 if higher_is_better else -1.0
    with np.errstate(invalid="ignore"):
        better = sign * (estimate[:, None] - estimate[None, :]) > limit
    reachable = limit[np.triu_indices(len(table), 1)]
    reachable = reachable[np.isfinite(reachable)]
    order = sorted(judged.tolist(), key=lambda row: -sign * estimate[row])
    rated = int((n > 0).sum())
    return TieGroups(
        letters=_letters(better, order),
        rank_low=_where(n > 0, 1 + better.sum(axis=0)),
        rank_high=_where(n > 0, rated - better.sum(axis=1)),
        estimate=estimate,
        error=error,
        better=better,
        floor=float(np.median(reachable)) if len(reachable) else None,
        prior_df=prior_df,
        level=level,
    )


def _where(known: NDArray[np.bool_], ranks: NDArray[np.int64]) -> tuple[int | None, ...]:
    return tuple(int(rank) if ok else None for ok, rank in zip(known, ranks, strict=True))


def _table(values: ArrayLike) -> Floats:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2:
        msg = f"values must be (rows, seeds), got shape {table.shape}"
        raise ValueError(msg)
    if np.isinf(table).any():
        row, seed = np.argwhere(np.isinf(table))[0]
        msg = f"values must be finite or NaN, got {table[row, seed]} in row {row}, seed {seed}"
        raise ValueError(msg)
    return table


class _Fit(NamedTuple):
    estimate: Floats
    error: Floats
    pair_error: Floats
    prior_df: float


def _fit(table: Floats) -> _Fit:
    """Row effects and moderated variances of rows with at least two values each."""
    seen = ~np.isnan(table)
    n = seen.sum(axis=1)
    centre = table[seen].mean()
    # Only differences matter, and small ones beside a large common value would lose digits.
    y = np.where(seen, table - centre, 0.0)
    rounding = (4 * np.finfo(np.float64).eps * np.nanmax(np.abs(table))) ** 2
    smallest = max(float(rounding), float(np.finfo(np.float64).tiny))
    variance = np.ones(len(table))
    for _ in range(PASSES):
        weight = seen / variance[:, None]
        per_seed = weight.sum(axis=0)
        share = np.divide(weight, per_seed, out=np.zeros_like(weight), where=per_seed > 0)
        inverse = np.linalg.pinv(np.diag(weight.sum(axis=1)) - weight @ share.T, hermitian=True)
        effect = inverse @ ((weight * y).sum(axis=1) - share @ (weight * y).sum(axis=0))
        left = y - effect[:, None]
        seed_effect = (share * left).sum(axis=0)
        residual = np.where(seen, left - seed_effect, 0.0)
        # A row has a say in the seed effects, which makes its own residuals too small.
        own = np.where(seen, share, 0.0).sum(axis=1) / n
        own = np.minimum(own, MAX_SHARE)
        raw = (residual**2).sum(axis=1) / ((n - 1) * (1 - own))
        raw = np.maximum(raw, max(VARIANCE_FLOOR * float(raw.mean()), smallest))
        prior_df, common = _prior(raw, n - 1)
        variance = (prior_df * common + (n - 1) * raw) / (prior_df + n - 1)
    # A row's mean is what it would be over every seed that it can be linked to.
    estimate = np.empty(len(table))
    parts, part = connected_components(seen.astype(int) @ seen.T.astype(int))
    for k in range(parts):
        linked = seen[part == k].any(axis=0)
        estimate[part == k] = centre + effect[part == k] + seed_effect[linked].mean()
    own_variance = np.diag(inverse)
    pair = own_variance[:, None] + own_variance[None, :] - 2 * inverse
    pair_error = np.sqrt(np.maximum(pair, 0.0))
    # Rows without a chain of shared seeds cannot be compared at all.
    pair_error[part[:, None] != part[None, :]] = np.inf
    return _Fit(estimate, np.sqrt(variance / n), pair_error, prior_df)


def _prior(variance: Floats, df: NDArray[np.int64]) -> tuple[float, float]:
    """Degrees and size of the common variance, from the spread of the rows' log variances."""
    logs = np.log(variance) - digamma(df / 2) + np.log(df / 2)
    spread = float(logs.var(ddof=1)) - float(polygamma(1, df / 2).mean())
    if spread <= 0:
        return MAX_PRIOR_DF, float((df * variance).sum() / df.sum())
    prior_df = 2 * _trigamma_inverse(spread)
    common = np.exp(logs.mean() + digamma(prior_df / 2) - np.log(prior_df / 2))
    return min(MAX_PRIOR_DF, prior_df), float(common)


def _trigamma_inverse(value: float) -> float:
    """The x > 0 with trigamma(x) = value, by Newton steps on 1 / trigamma, which is convex."""
    x = 0.5 + 1 / value
    for _ in range(50):
        now = float(polygamma(1, x))
        step = now * (1 - now / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-10 * x:
            break
    return x


def _critical(n: NDArray[np.int64], prior_df: float, level: float) -> Floats:
    """(L, L) critical t of each pair; the row with fewer values decides its degrees."""
    df = np.minimum(np.minimum.outer(n, n) - 1 + prior_df, float((n - 1).sum() - (n.max() - 1)))
    distinct, place = np.unique(df, return_inverse=True)
    quantiles = np.array([_quantile(1 - level, len(n), value) for value in distinct])
    return np.asarray(quantiles[place].reshape(df.shape) / np.sqrt(2))


def _quantile(probability: float, rows: int, df: float) -> float:
    """Upper point of the studentized range, degrees rounded down to halves so that it caches."""
    return _cached_quantile(round(probability, 9), rows, max(1.0, np.floor(2 * df) / 2))


@lru_cache(maxsize=4096)
def _cached_quantile(probability: float, rows: int, df: float) -> float:
    return float(studentized_range.ppf(probability, rows, df))


def _letters(better: NDArray[np.bool_], order: list[int]) -> tuple[str | None, ...]:
    """Compact letter display: the maximal sets of rows of which none beats another.

    Sets are bit masks over ``order``. Each significant pair splits every set that holds both,
    and a set inside another one is absorbed.
    """
    letters: list[str | None] = [None] * len(better)
    if len(order) < 2:
        return tuple(letters)
    groups = [(1 << len(order)) - 1]
    for i, first in enumerate(order):
        for j in range(i + 1, len(order)):
            second = order[j]
            if not (better[first, second] or better[second, first]):
                continue
            pair = 1 << i | 1 << j
            split = [g for g in groups if g & pair == pair]
            if split:
                kept = [g for g in groups if g & pair != pair]
                parts = [g & ~(1 << k) for g in split for k in (i, j)]
                groups = _absorb(kept + parts)
    members = sorted([k for k in range(len(order)) if g >> k & 1] for g in groups)
    for name, group in zip(_names(), members, strict=False):
        for k in group:
            letters[order[k]] = (letters[order[k]] or "") + name
    return tuple(letters)


def _absorb(groups: list[int]) -> list[int]:
    kept: list[int] = []
    for group in sorted(set(groups), key=int.bit_count, reverse=True):
        if not any(group & other == group for other in kept):
            kept.append(group)
    return kept


def _names() -> Iterator[str]:
    """a, b, ..., z, a2, b2, ..."""
    for turn in count(1):
        yield from (letter if turn == 1 else f"{letter}{turn}" for letter in ascii_lowercase)
