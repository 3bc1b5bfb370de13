"""Probabilities for other class frequencies than those of the training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pybench.checks import require
from pybench.steps import Finished, Stored
from pybench.types import Kind


@dataclass(frozen=True)
class PriorCorrection:
    r"""Exchange the prior that the network was trained on for another one.

    .. math:: p'_c \propto p_c\, \pi'_c / \pi_c, \quad \pi_c = m_c / M

    with m_c how often samples of class c were drawn in training, so that what a sampler did is
    taken out. What the weights of a loss did is not.

    Fields:
        target: the prior afterwards: ``"uniform"`` all classes alike, or ``"train"`` as in the
            training set, which gives calibrated probabilities back after balanced sampling.

    Inputs: stored logits (C,) per sample; training counts (C,) and draws (C,).
    Returns: predictions with corrected logits. A class that was never drawn keeps its logit.
    Raises: ValueError if no class was drawn.
    Source: Saerens, Latinne, Decaestecker: Adjusting the Outputs of a Classifier to New a Priori
        Probabilities, Neural Computation 2002.
    Deviations: none.

    Example:
        >>> import numpy as np, polars as pl
        >>> seen = pl.DataFrame({"logits": [[1.0, 1.0]]}, {"logits": pl.List(pl.Float32)})
        >>> counts, drawn = np.array([90, 10]), np.array([50, 50])
        >>> finished = Finished(None, ("deer", "boar"), counts, seen, drawn)
        >>> deer, boar = np.exp(PriorCorrection(target="train").apply(finished)["logits"][0])
        >>> round(float(deer / boar), 4)
        9.0
    """

    target: Literal["uniform", "train"] = "uniform"

    needs: ClassVar[frozenset[Stored]] = frozenset()
    kinds: ClassVar[frozenset[Kind]] = frozenset({"classes"})
    source: ClassVar[str] = (
        "Saerens, Latinne, Decaestecker: Adjusting the Outputs of a Classifier to New a Priori "
        "Probabilities, Neural Computation 2002"
    )

    def apply(self, finished: Finished) -> pl.DataFrame:
        """Correct every row."""
        drawn = finished.counts if finished.drawn is None else finished.drawn
        require(bool(np.sum(drawn) > 0), "drawn", "positive for some class", list(drawn))
        wanted = finished.counts if self.target == "train" else np.ones(len(drawn))
        known = (drawn > 0) & (wanted > 0)
        shift = np.where(known, _log_shares(wanted, known) - _log_shares(drawn, known), 0.0)
        return finished.with_logits(finished.logits + shift)


def _log_shares(
    sizes: NDArray[np.integer] | NDArray[np.floating], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    return np.asarray(np.log(np.where(known, sizes, 1) / sizes[known].sum()))
