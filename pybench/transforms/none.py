"""No transform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pybench.types import Batch, Donors, Inputs


@dataclass(frozen=True)
class Identity:
    """Train on the samples as they are."""

    takes: ClassVar[frozenset[Inputs]] = frozenset({"images", "clips", "features", "cells"})
    takes_bags: ClassVar[bool] = True

    def __call__(
        self, batch: Batch, copy: NDArray[np.uint8], donors: Donors, rng: np.random.Generator
    ) -> Batch:
        """Return ``batch`` unchanged."""
        return batch
