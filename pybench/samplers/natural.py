"""The data as it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pybench.seeds import generator
from pybench.types import Draw, SampleContext


@dataclass(frozen=True)
class Natural:
    """Every training sample once, in a new order each epoch.

    Returns: N draws, none of them a copy.
    Source: none; the baseline of every table.

    Example:
        >>> import numpy as np
        >>> from pybench.types import SampleContext
        >>> draw = Natural().plan(SampleContext(labels=np.array([0, 0, 1])), seed=0, epoch=0)
        >>> sorted(draw.indices.tolist()), draw.copy.tolist()
        ([0, 1, 2], [0, 0, 0])
    """

    def plan(self, context: SampleContext, seed: int, epoch: int) -> Draw:
        """Draw one epoch."""
        indices = generator(seed, "sampler", epoch).permutation(len(context))
        return Draw(indices.astype(np.int64, copy=False), np.zeros(len(context), dtype=np.uint8))
