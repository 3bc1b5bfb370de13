"""The nearest class mean, instead of the classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pybench.steps import Finished, Stored
from pybench.types import Kind


@dataclass(frozen=True)
class Ncm:
    r"""Compare the features of a sample with the mean features of each class.

    .. math:: z_c = \cos(h, \bar h_c), \quad
        \bar h_c = \frac{1}{n_c} \sum_{y_i = c} \frac{h_i}{\lVert h_i \rVert}

    Inputs: features (D,) per sample of the stored network; features and labels of the training
        samples as they are, without sampler or transform.
    Returns: predictions with cosines in [-1, 1] as logits; -1 for a class without training
        samples, which is then not the nearest.
    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition,
        ICLR 2020, section 4 (nearest class mean).
    Deviations: none; the cosine is one of the two distances of the paper.

    Example:
        >>> import numpy as np, polars as pl
        >>> seen = pl.DataFrame({"logits": [[0.0, 9.0]]}, {"logits": pl.List(pl.Float32)})
        >>> arrays = {
        ...     "train_features": np.array([[1.0, 0.0], [0.0, 2.0]]),
        ...     "train_labels": np.array([0, 1]),
        ...     "features": np.array([[3.0, 4.0]]),
        ... }
        >>> finished = Finished(None, ("deer", "boar"), np.array([1, 1]), seen, arrays=arrays)
        >>> np.round(Ncm().apply(finished)["logits"].to_list(), 4)
        array([[0.6, 0.8]])
    """

    needs: ClassVar[frozenset[Stored]] = frozenset({"features"})
    kinds: ClassVar[frozenset[Kind]] = frozenset({"classes"})
    source: ClassVar[str] = (
        "Kang, Xie, Rohrbach, Yan, Gordo, Feng, Kalantidis: Decoupling Representation and "
        "Classifier for Long-Tailed Recognition, ICLR 2020, section 4 (nearest class mean)"
    )

    def apply(self, finished: Finished) -> pl.DataFrame:
        """Compare every row."""
        directions = _unit(finished.arrays["train_features"])
        labels = finished.arrays["train_labels"]
        sums = np.zeros((len(finished.counts), directions.shape[1]))
        np.add.at(sums, labels, directions)
        cosines = _unit(finished.arrays["features"]) @ _unit(sums).T
        cosines[:, np.bincount(labels, minlength=len(sums)) == 0] = -1.0
        return finished.with_logits(cosines)


def _unit(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rows of length 1; zeros stay zeros."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1))
