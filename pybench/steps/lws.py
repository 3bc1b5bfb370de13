"""The weights of each class in the classifier scaled anew, their directions kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from pybench.checks import require
from pybench.steps import Finished, Stored
from pybench.steps._balanced import train_balanced
from pybench.types import Kind


@dataclass(frozen=True)
class Lws:
    r"""One scale per class for the network's logits, trained with balanced sampling.

    .. math:: f_c z_c, \quad \min_f \;\tfrac{1}{K} \sum_c \tfrac{1}{n_c} \sum_{y_i = c}
        -\log \operatorname{softmax}(f \odot z_i)_c

    Fields:
        epochs: epochs of as many draws as there are training samples, >= 1.
        lr: rate of Adam at the first step, > 0; falls to 0 as half a cosine.

    Inputs: stored logits (C,) per sample; weights (C, D) and bias (C,) of the classifier, and
        features and labels of the training samples as they are, without sampler or transform.
    Returns: predictions with scaled logits.
    Raises: ValueError if a field is out of range.
    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition,
        ICLR 2020, section 4 (learnable weight scaling).
    Deviations: Adam in place of SGD; features without augmentation.

    Example:
        >>> import numpy as np, polars as pl
        >>> from pybench.trial import Trial
        >>> seen = pl.DataFrame({"logits": [[2.0, 1.0]]}, {"logits": pl.List(pl.Float32)})
        >>> arrays = {
        ...     "train_features": np.array([[2.0, 1.0]] * 4),
        ...     "train_labels": np.array([0, 0, 0, 1]),
        ...     "head_weight": np.eye(2),
        ...     "head_bias": np.zeros(2),
        ... }
        >>> trial = Trial("t", "", "m", "ce")
        >>> finished = Finished(trial, ("deer", "boar"), np.array([3, 1]), seen, arrays=arrays)
        >>> deer, boar = Lws(epochs=300).apply(finished)["logits"][0]
        >>> abs(deer - boar) < 0.2  # on balanced classes these features say nothing
        True
    """

    epochs: int = 30
    lr: float = 0.01

    needs: ClassVar[frozenset[Stored]] = frozenset({"features", "weights"})
    kinds: ClassVar[frozenset[Kind]] = frozenset({"classes"})
    source: ClassVar[str] = (
        "Kang, Xie, Rohrbach, Yan, Gordo, Feng, Kalantidis: Decoupling Representation and "
        "Classifier for Long-Tailed Recognition, ICLR 2020, section 4 (learnable weight scaling)"
    )

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "epochs", ">= 1", self.epochs)
        require(0 < self.lr < math.inf, "lr", "finite and > 0", self.lr)

    def apply(self, finished: Finished) -> pl.DataFrame:
        """Train, and scale every row."""
        arrays = finished.arrays
        logits = arrays["train_features"] @ arrays["head_weight"].T + arrays["head_bias"]
        scales = _Scales(len(finished.counts))
        train_balanced(
            scales,
            torch.as_tensor(logits, dtype=torch.float32),
            arrays["train_labels"],
            epochs=self.epochs,
            lr=self.lr,
            seed=finished.trial.seed,
        )
        return finished.with_logits(finished.logits * np.asarray(scales.values.detach()))


class _Scales(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.ones(classes))

    def forward(self, logits: Tensor) -> Tensor:
        return logits * self.values
