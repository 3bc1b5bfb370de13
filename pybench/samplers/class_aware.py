"""The classes in turn, and the samples of each in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybench.draws import dealt_in_turn
from pybench.seeds import generator
from pybench.types import Draw, SampleContext


@dataclass(frozen=True)
class ClassAware:
    """Go through the classes in random order, again and again, each time to its next sample.

    The samples of a class come in random order; when all have come, they are shuffled anew. Unlike
    ``class_balanced``, no class and no sample of a class comes twice more often than another. In
    detection a sample is an image and is a member of each of its classes; images without objects
    are a class of their own.

    Returns: N draws. The second and later draws of a sample in an epoch are copies.
    Raises: ValueError if there is no sample.
    Source: Shen, Lin, Huang: Relay Backpropagation for Effective Learning of Deep Convolutional
        Neural Networks, ECCV 2016 (class-aware sampling).

    Example:
        >>> import numpy as np
        >>> from pybench.types import SampleContext
        >>> labels = np.array([0, 0, 0, 0, 0, 1])
        >>> draw = ClassAware().plan(SampleContext(labels=labels), seed=0, epoch=0)
        >>> np.bincount(labels[draw.indices]), len(set(draw.indices.tolist()))
        (array([3, 3]), 4)
    """

    balances: ClassVar[bool] = True

    def plan(self, context: SampleContext, seed: int, epoch: int) -> Draw:
        """Draw one epoch."""
        return dealt_in_turn(context, 1, generator(seed, "sampler", epoch))
