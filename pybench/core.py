"""The Rust kernels: counts, weights, draws, metrics, boxes. ``pybench/_core.pyi`` explains them.

>>> class_counts([0, 2, 2, 1])
array([1, 1, 2])
>>> effective_number([1, 2, 3], beta=0.5)
array([1.  , 1.5 , 1.75])
>>> class_balanced_weights([1, 3], beta=1)
array([1.5, 0.5])
>>> roc_auc([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1])
0.875
>>> hard_negatives([0.1, 3.0, 2.0, 3.0], [True, True, True, True], k=2)
array([1, 3])
>>> box_iou([[0, 0, 2, 2]], [[1, 0, 3, 2], [0, 0, 2, 1]])
array([[0.33333333, 0.5       ]])
"""

from pybench._core import (
    average_precision,
    box_iou,
    class_balanced_weights,
    class_counts,
    confusion_f1,
    effective_number,
    hard_negatives,
    kernel_sources,
    nms,
    philox,
    pr_curve,
    roc_auc,
    shuffle,
    stream_key,
    weighted_choice,
)

__all__ = [
    "average_precision",
    "box_iou",
    "class_balanced_weights",
    "class_counts",
    "confusion_f1",
    "effective_number",
    "hard_negatives",
    "kernel_sources",
    "nms",
    "philox",
    "pr_curve",
    "roc_auc",
    "shuffle",
    "stream_key",
    "weighted_choice",
]
