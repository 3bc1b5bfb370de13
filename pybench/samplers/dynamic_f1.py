"""The worse a class is recognised, the more often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pybench.draws import drawn_by_class, members
from pybench.seeds import generator
from pybench.types import Draw, Kind, SampleContext


@dataclass(frozen=True)
class DynamicF1:
    r"""Draw a class by how far its validation F1 is from 1, then one of its samples.

    .. math:: p_c \propto 1 - F_{1,c}

    with the F1 of the epoch before. Before the first measurement it is 0 for every class, so that
    the first epoch is balanced; it is balanced too when every class is recognised without error.

    Returns: N draws. The second and later draws of a sample in an epoch are copies.
    Raises: ValueError if there is no sample.
    Source: Pouyanfar, Tao, Mohan, Tian, Kaseb, Gauen, Dailey, Aghajanzadeh, Lu, Chen, Shyu:
        Dynamic Sampling in Convolutional Neural Networks for Imbalanced Data Classification,
        MIPR 2018. There class sizes are exact, here they are so in the mean, and N in all.

    Example:
        >>> import numpy as np
        >>> from pybench.types import SampleContext
        >>> labels = np.array([0] * 900 + [1] * 100)
        >>> context = SampleContext(labels=labels, history=[np.array([0.9, 0.6])])
        >>> draw = DynamicF1().plan(context, seed=0, epoch=1)
        >>> len(draw), bool(770 < labels[draw.indices].sum() < 830)  # .4 / (.1 + .4)
        (1000, True)
    """

    balances: ClassVar[bool] = True
    kinds: ClassVar[frozenset[Kind]] = frozenset({"classes"})

    def plan(self, context: SampleContext, seed: int, epoch: int) -> Draw:
        """Draw one epoch."""
        grouped = members(context)
        weights = np.ones(len(grouped.classes))
        if context.history:
            weights -= context.history[-1][grouped.classes]
        return drawn_by_class(context, grouped, weights, generator(seed, "sampler", epoch))
