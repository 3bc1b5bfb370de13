"""Class weights from training counts, for every loss that re-weights."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from pybench import core
from pybench.checks import require
from pybench.types import LossContext

if TYPE_CHECKING:
    from torch import Tensor

Weights: TypeAlias = str | tuple[float, ...]
Normalise: TypeAlias = Literal["sum_to_c", "none", "mean_one"]

EFFECTIVE = "effective:"
RULES = ("balanced", "inverse", "inverse_sqrt", f"{EFFECTIVE}0.999")


@dataclass(frozen=True)
class Reweighted:
    """A loss that weighs classes by a rule of their counts, or by a list."""

    weights: Weights = "balanced"

    def __post_init__(self) -> None:
        check_weights("weights", self.weights)

    @property
    def uses_counts(self) -> bool:
        """Whether the weights come from the class counts."""
        return isinstance(self.weights, str)


def check_weights(name: str, weights: Weights) -> None:
    """Raise a ValueError unless ``weights`` names a rule or lists finite weights >= 0."""
    if isinstance(weights, str):
        known = weights in RULES or weights.startswith(EFFECTIVE)
        require(known, name, f"one of {', '.join(map(repr, RULES))} or a list", repr(weights))
        if weights.startswith(EFFECTIVE):
            _beta(name, weights)
        return
    fine = bool(weights) and all(0 <= w < math.inf for w in weights) and any(weights)
    require(fine, name, "finite, >= 0 and not all 0", list(weights))


def class_weights(weights: Weights, context: LossContext, wanted_by: str) -> Tensor:
    """(C,) float64 weights on the context's device.

    ``"balanced"`` is N / (C n_c), whose mean over the training samples is 1. The others are
    scaled to sum to C: ``"inverse"`` 1 / n_c, ``"inverse_sqrt"`` 1 / sqrt(n_c) and
    ``"effective:b"`` (1 - b) / (1 - b^n_c). A class without samples weighs 0, is left out of C,
    and a warning says so.

    Raises:
        ValueError: no counts, or a list of the wrong length.

    Example:
        >>> class_weights("balanced", LossContext(counts=[6, 2]), "weighted_ce").tolist()
        [0.6666666666666666, 2.0]
    """
    if not isinstance(weights, str):
        wanted = context.num_classes or len(weights)
        require(len(weights) == wanted, "weights", f"one per class, {wanted}", len(weights))
        return torch.tensor(weights, dtype=torch.float64, device=context.device)
    if weights.startswith(EFFECTIVE):
        return effective_weights(_beta("weights", weights), "sum_to_c", context, wanted_by)
    counts = present_counts(context, wanted_by)
    power = 0.5 if weights == "inverse_sqrt" else 1.0
    values = np.divide(1.0, counts**power, out=np.zeros_like(counts), where=counts > 0)
    classes = np.count_nonzero(counts)
    values *= counts.sum() / classes if weights == "balanced" else classes / values.sum()
    return torch.from_numpy(values).to(context.device)


def effective_weights(
    beta: float, normalise: Normalise, context: LossContext, wanted_by: str
) -> Tensor:
    """(C,) float64 class-balanced weights (1 - beta) / (1 - beta^n_c), normalised."""
    counts = present_counts(context, wanted_by)
    whole = counts.astype(np.int64)
    require(bool((whole == counts).all()), "counts", "whole numbers", counts.tolist())
    values = core.class_balanced_weights(whole, beta, normalise)
    return torch.from_numpy(values).to(context.device)


def counts_from_one(context: LossContext, wanted_by: str) -> Tensor:
    """(C,) float64 counts on the context's device, for formulas that take log n or 1 / n.

    A class without samples counts as if it had one, and a warning says so.

    Example:
        >>> counts_from_one(LossContext(counts=[6, 2]), "ldam").tolist()
        [6.0, 2.0]
    """
    counts = present_counts(context, wanted_by, "counted as 1")
    return torch.from_numpy(np.maximum(counts, 1.0)).to(context.device)


def present_counts(
    context: LossContext, wanted_by: str, absent_are: str = "weight 0"
) -> NDArray[np.float64]:
    """(C,) counts; a class without samples is warned about, and at least one must have some."""
    counts = context.class_counts(wanted_by)
    absent = np.flatnonzero(counts == 0)
    require(len(absent) < len(counts), "counts", "positive for some class", counts.tolist())
    if len(absent):
        warnings.warn(
            f"{wanted_by}: class {', '.join(map(str, absent))} has no training sample, "
            f"{absent_are}",
            stacklevel=2,
        )
    return counts


def _beta(name: str, rule: str) -> float:
    try:
        beta = float(rule.removeprefix(EFFECTIVE))
    except ValueError:
        beta = math.nan
    require(0 <= beta <= 1, name, f"'{EFFECTIVE}b' with b in [0, 1]", repr(rule))
    return beta
