"""The classifier trained again on balanced classes, the features kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
import torch
from torch import nn

from pybench.checks import require
from pybench.steps import Finished, Stored
from pybench.steps._balanced import train_balanced
from pybench.types import Kind


@dataclass(frozen=True)
class Crt:
    r"""A new linear classifier on the network's features, trained with balanced sampling.

    .. math:: \min_{W, b} \;\tfrac{1}{K} \sum_c \tfrac{1}{n_c} \sum_{y_i = c}
        -\log \operatorname{softmax}(W h_i + b)_c

    Fields:
        epochs: epochs of as many draws as there are training samples, >= 1.
        lr: rate of Adam at the first step, > 0; falls to 0 as half a cosine.

    Inputs: features (D,) per sample of the stored network; features and labels of the training
        samples as they are, without sampler or transform.
    Returns: predictions with the logits of the new classifier.
    Raises: ValueError if a field is out of range.
    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition,
        ICLR 2020, section 4 (classifier re-training).
    Deviations: Adam in place of SGD, on features brought to mean 0 and deviation 1, so that one
        rate fits every network; from zeros in place of random weights, since the problem is
        convex; features without augmentation.

    Example:
        >>> import numpy as np, polars as pl
        >>> from pybench.trial import Trial
        >>> seen = pl.DataFrame({"logits": [[9.0, 0.0]]}, {"logits": pl.List(pl.Float32)})
        >>> arrays = {
        ...     "train_features": np.array([[1.0], [1.1], [-1.0]]),
        ...     "train_labels": np.array([0, 0, 1]),
        ...     "features": np.array([[-2.0]]),
        ... }
        >>> trial = Trial("t", "", "m", "ce")
        >>> finished = Finished(trial, ("deer", "boar"), np.array([2, 1]), seen, arrays=arrays)
        >>> deer, boar = Crt().apply(finished)["logits"][0]
        >>> boar > deer
        True
    """

    epochs: int = 30
    lr: float = 0.01

    needs: ClassVar[frozenset[Stored]] = frozenset({"features"})
    kinds: ClassVar[frozenset[Kind]] = frozenset({"classes"})
    source: ClassVar[str] = (
        "Kang, Xie, Rohrbach, Yan, Gordo, Feng, Kalantidis: Decoupling Representation and "
        "Classifier for Long-Tailed Recognition, ICLR 2020, section 4 (classifier re-training)"
    )

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "epochs", ">= 1", self.epochs)
        require(0 < self.lr < math.inf, "lr", "finite and > 0", self.lr)

    def apply(self, finished: Finished) -> pl.DataFrame:
        """Train, and predict every row."""
        train, rows = (
            torch.as_tensor(finished.arrays[name], dtype=torch.float32)
            for name in ("train_features", "features")
        )
        mean, deviation = train.mean(0), train.std(0, correction=0)
        deviation[deviation == 0] = 1
        head = nn.Linear(train.shape[1], len(finished.counts))
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        train_balanced(
            head,
            (train - mean) / deviation,
            finished.arrays["train_labels"],
            epochs=self.epochs,
            lr=self.lr,
            seed=finished.trial.seed,
        )
        with torch.inference_mode():
            return finished.with_logits(np.asarray(head((rows - mean) / deviation)))
