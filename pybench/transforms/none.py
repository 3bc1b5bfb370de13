"""No transform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pybench.types import Batch, Labels


@dataclass(frozen=True)
class Identity:
    """Train on the samples as they are."""

    def __call__(
        self,
        batch: Batch,
        copy: NDArray[np.uint8],
        donors: Callable[[Labels], Batch],
        rng: np.random.Generator,
    ) -> Batch:
        """Return ``batch`` unchanged."""
        return batch
