"""What losses share that ask a class score to tell how well the cell's box fits."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pybench import checks
from pybench.losses._overlap import overlap
from pybench.types import BoxOutput, BoxTarget
from pybench.views import class_view


def log_odds_and_quality(loss: str, output: BoxOutput, target: BoxTarget) -> tuple[Tensor, Tensor]:
    """Per cell and object class: log odds against the background, and the score to be reached.

    Args:
        loss: the loss that asks, for messages.
        output: logits, class 0 the background, and boxes.
        target: labels and boxes.

    Returns:
        Log odds (N, C - 1), and the score in [0, 1] of the same shape: the IoU of the predicted
        with the true box for the class of the cell, 0 elsewhere; a constant for the gradient.
    """
    seen, truth, _ = class_view(output, target)
    logits, labels = checks.hard_classes(loss, seen, truth, least=2)
    predicted, true, _ = checks.cell_boxes(output, target)
    with torch.no_grad():
        fit = overlap(predicted, true).iou.to(logits.dtype)
        of_class = one_hot(labels, logits.shape[1])[:, 1:]
    return logits[:, 1:] - logits[:, :1], fit.unsqueeze(1) * of_class
