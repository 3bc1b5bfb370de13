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
>>> truth, found = [([[0, 0, 2, 2]], [0])], [([[0, 0, 2, 2], [5, 5, 6, 6]], [0, 0], [0.8, 0.9])]
>>> mean_average_precision(truth, found)["map"]  # found second: a precision of 1/2 at all recalls
0.5
>>> bootstrap("accuracy", [0, 1, 1, 0], [0, 1, 1, 1], resamples=9)["estimate"]
0.75
>>> plan = plan_cutmix([[], [[1, 0, 3, 2]]], size=(4, 4), labels=[[], [7]], max_objects=1)
>>> plan["target"].tolist(), plan["labels"].tolist()  # the first image gets the second's object
([[1, 0, 3, 2]], [7, 7])
"""

from pybench.missing import unloadable

try:
    from pybench._core import (
        apply_cutmix,
        average_precision,
        bootstrap,
        box_iou,
        class_balanced_weights,
        class_counts,
        confusion_f1,
        effective_number,
        hard_negatives,
        kernel_sources,
        mean_average_precision,
        nms,
        philox,
        plan_cutmix,
        pr_curve,
        read_images,
        roc_auc,
        shuffle,
        soft_nms,
        stream_key,
        weighted_choice,
    )
except ImportError as error:
    raise unloadable(error) from error

__all__ = [
    "apply_cutmix",
    "average_precision",
    "bootstrap",
    "box_iou",
    "class_balanced_weights",
    "class_counts",
    "confusion_f1",
    "effective_number",
    "hard_negatives",
    "kernel_sources",
    "mean_average_precision",
    "nms",
    "philox",
    "plan_cutmix",
    "pr_curve",
    "read_images",
    "roc_auc",
    "shuffle",
    "soft_nms",
    "stream_key",
    "weighted_choice",
]
