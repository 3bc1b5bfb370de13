"""The weights of frequent classes, which grow longer in training, cut down to size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from pybench.checks import require
from pybench.steps import Finished, Stored
from pybench.types import Kind


@dataclass(frozen=True)
class TauNorm:
    r"""Divide each class's logit by a power of the length of its weights in the classifier.

    .. math:: z_c / \lVert w_c \rVert^\tau

    Fields:
        tau: in [0, 1]; 0 changes nothing, 1 leaves only the direction of the weights.

    Inputs: stored logits (C,) per sample; weights (C, D) of the classifier.
    Returns: predictions with scaled logits.
    Raises: ValueError if tau is out of range, or a class has no weights but zeros.
    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition,
        ICLR 2020, section 4 (tau-normalised classifier).
    Deviations: the bias is divided too, where the paper drops it, so that tau = 0 is the network.

    Example:
        >>> import numpy as np, polars as pl
        >>> seen = pl.DataFrame({"logits": [[2.0, 1.0]]}, {"logits": pl.List(pl.Float32)})
        >>> arrays = {"head_weight": np.array([[3.0, 4.0], [0.0, 1.0]])}
        >>> finished = Finished(None, ("deer", "boar"), np.array([90, 10]), seen, arrays=arrays)
        >>> TauNorm().apply(finished)["logits"].to_list()  # 2 / 5, 1 / 1
        [[0.4000000059604645, 1.0]]
    """

    tau: float = 1.0

    needs: ClassVar[frozenset[Stored]] = frozenset({"weights"})
    kinds: ClassVar[frozenset[Kind]] = frozenset({"classes"})
    source: ClassVar[str] = (
        "Kang, Xie, Rohrbach, Yan, Gordo, Feng, Kalantidis: Decoupling Representation and "
        "Classifier for Long-Tailed Recognition, ICLR 2020, section 4 (tau-normalised classifier)"
    )

    def __post_init__(self) -> None:
        require(0 <= self.tau <= 1, "tau", "in [0, 1]", self.tau)

    def apply(self, finished: Finished) -> pl.DataFrame:
        """Scale every row."""
        lengths = np.linalg.norm(finished.arrays["head_weight"].astype(np.float64), axis=1)
        require(bool((lengths > 0).all()), "head_weight", "not 0 for any class", lengths.tolist())
        return finished.with_logits(finished.logits / lengths**self.tau)
