"""How sure the network says it is, fitted to how often it is right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from pybench.steps import Finished, Stored
from pybench.types import Kind

COLDEST, HOTTEST = 1e-2, 1e2


@dataclass(frozen=True)
class Temperature:
    r"""Divide the logits by the temperature that fits the validation labels best.

    .. math:: z_c / T, \quad
        T = \arg\min_T \sum_{i \in \text{val}} -\log \operatorname{softmax}(z_i / T)_{y_i}

    No decision changes, only probabilities.

    Inputs: stored logits (C,) per sample; labels of the validation samples.
    Returns: predictions with scaled logits.
    Raises: ValueError without validation samples.
    Source: Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017,
        eq. (9).
    Deviations: T is kept in [0.01, 100], which a perfect validation set would leave.

    Example:
        >>> import numpy as np, polars as pl
        >>> seen = pl.DataFrame(
        ...     {"split": ["val"] * 4, "label": [0, 0, 0, 1], "logits": [[2.0, 0.0]] * 4},
        ...     schema_overrides={"logits": pl.List(pl.Float32)},
        ... )
        >>> finished = Finished(None, ("deer", "boar"), np.array([90, 10]), seen)
        >>> first, second = Temperature().apply(finished)["logits"][0]
        >>> round(first - second, 4)  # log 3: right in 3 of 4
        1.0986
    """

    needs: ClassVar[frozenset[Stored]] = frozenset()
    kinds: ClassVar[frozenset[Kind]] = frozenset({"classes"})
    source: ClassVar[str] = (
        "Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017, eq. (9)"
    )

    def apply(self, finished: Finished) -> pl.DataFrame:
        """Scale every row."""
        logits, labels = finished.validation()
        of_label = logits[np.arange(len(labels)), labels]

        def loss(log_scale: float) -> float:
            scale = math.exp(log_scale)
            return float((logsumexp(scale * logits, axis=1) - scale * of_label).mean())

        # In the log of 1 / T the loss has one minimum: it is convex in 1 / T.
        bounds = (-math.log(HOTTEST), -math.log(COLDEST))
        best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
        return finished.with_logits(finished.logits * math.exp(best.x))
