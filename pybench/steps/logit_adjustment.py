"""The training prior, taken out of the logits afterwards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from pybench.checks import require
from pybench.steps import Finished, Stored


@dataclass(frozen=True)
class LogitAdjustment:
    r"""Predict as if all classes were equally frequent.

    .. math:: z_c - \tau \log \pi_c, \quad \pi_c = n_c / N

    Fields:
        tau: strength, >= 0; 0 changes nothing, 1 is the Bayes rule for balanced classes.

    Inputs: stored logits (C,) per sample; training counts (C,).
    Returns: predictions with adjusted logits. A class without training samples keeps its logit,
        as if its prior were 1: there is no evidence to raise it by.
    Raises: ValueError if tau is negative, or counts are not one per logit.
    Source: Menon et al., Long-Tail Learning via Logit Adjustment, ICLR 2021, eq. (9).
    Deviations: none.

    Example:
        >>> import numpy as np, polars as pl
        >>> seen = pl.DataFrame({"logits": [[1.0, 0.0]]}, {"logits": pl.List(pl.Float32)})
        >>> finished = Finished(None, ("deer", "boar"), np.array([90, 10]), seen)
        >>> first, second = LogitAdjustment().apply(finished)["logits"][0]
        >>> round(second - first, 4)  # log 9 - 1: the rare class is ahead now
        1.1972
    """

    tau: float = 1.0

    needs: ClassVar[frozenset[Stored]] = frozenset()
    source: ClassVar[str] = (
        "Menon, Jayasumana, Rawat, Jain, Veit, Kumar: Long-Tail Learning via Logit Adjustment, "
        "ICLR 2021, eq. (9)"
    )

    def __post_init__(self) -> None:
        require(0 <= self.tau < math.inf, "tau", "finite and >= 0", self.tau)

    def apply(self, finished: Finished) -> pl.DataFrame:
        """Adjust every row."""
        counts = np.asarray(finished.counts, dtype=np.float64)
        require(bool(counts.sum() > 0), "counts", "positive for some class", counts.tolist())
        prior = np.where(counts > 0, counts, counts.sum()) / counts.sum()
        return finished.with_logits(finished.logits - self.tau * np.log(prior))
