"""The Rust kernels: counts, weights and random draws. ``pybench/_core.pyi`` is their reference.

>>> class_counts([0, 2, 2, 1])
array([1, 1, 2])
>>> effective_number([1, 2, 3], beta=0.5)
array([1.  , 1.5 , 1.75])
>>> class_balanced_weights([1, 3], beta=1)
array([1.5, 0.5])
"""

from pybench._core import (
    class_balanced_weights,
    class_counts,
    effective_number,
    kernel_sources,
    philox,
    shuffle,
    stream_key,
    weighted_choice,
)

__all__ = [
    "class_balanced_weights",
    "class_counts",
    "effective_number",
    "kernel_sources",
    "philox",
    "shuffle",
    "stream_key",
    "weighted_choice",
]
