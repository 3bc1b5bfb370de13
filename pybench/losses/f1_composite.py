"""Boxes, classes and F1 in one loss, on positive cells and the hardest negative ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from pybench import checks
from pybench.losses.focal import label_log_odds
from pybench.losses.smooth_l1 import SmoothL1
from pybench.losses.soft_f1 import soft_f1_loss
from pybench.types import BoxOutput, BoxTarget, Kind, LossContext, LossFn, Need
from pybench.views import class_view


@dataclass(frozen=True)
class F1Composite:
    r"""Geometric means of focal loss and soft F1, over positives and hard negatives, plus boxes.

    .. math:: w_{cls} \sqrt{\lfloor L_{cls} L_{f1} \rfloor} + w_{box} L_{box}^+, \quad
        L_{cls} = \sqrt{\lfloor L_{cls}^+ L_{cls}^- \rfloor}, \quad
        L_{f1} = \sqrt{\lfloor L_{f1}^+ L_{f1}^- \rfloor}, \quad
        \lfloor x \rfloor = \max(x, \epsilon)

    with + the positive cells and - the k hardest negative ones, those of largest focal loss, ties
    by position; k = min(floor(ratio N+), N-, k_max). The focal loss is
    :math:`\alpha_t (1 - p_t)^\gamma (-\log p_t)`, alpha_t = alpha for an object and 1 - alpha for
    the background; it and the box loss are means over their cells, the soft F1 is as in
    ``soft_f1``. Without a positive cell the loss is w_cls times the mean focal loss of the
    min(k_min, N-, k_max) hardest negatives. A side without cells is left out of its product.

    Fields:
        f1_scope: ``"separate"`` takes F1 of the positives and of the hard negatives apart, as
            printed; the latter is 1 whatever the model does. ``"joint"`` takes one F1 of both.
        combine: ``"geometric"`` as above. ``"sum"`` adds where that multiplies, without roots.
            ``"uncertainty"`` learns a log variance s for each of L_cls, L_f1 and L_box of the
            sum, and counts exp(-s) L + s / 2.
        box: form of ``smooth_l1``.
        mining: ``"batch"`` mines each batch for itself. ``"epoch"`` mines a whole epoch: a
            negative is hard when its loss is among the floor(ratio N+) largest that were seen
            in the latest epoch, N+ counted in the training set.
        alpha: weight of an object against the background, in [0, 1].
        gamma: focusing exponent, >= 0.
        delta: where the quadratic part of the box loss ends, in pixels, > 0.
        ratio: hard negatives per positive, >= 0.
        k_min: hard negatives of a batch without positives, >= 1.
        k_max: most hard negatives of a batch, >= 1, or None.
        pretrain: share of the training in [0, 1) that ``mining="epoch"`` begins with the plain
            loss: focal loss of all cells over the positives, and boxes.
        epsilon: floor under each root, > 0; also that of ``soft_f1``.
        w_cls: weight of classes and F1, >= 0.
        w_box: weight of boxes, >= 0.

    Inputs: logits (N, C) or (B, A, C), class 0 the background; boxes (..., 4) xyxy in pixels,
        predicted and true; labels.
    Returns: 0-d, one value for the batch; >= 0, but for ``"uncertainty"`` once it has learned.
    Raises: ValueError if a field is out of range, shapes differ, a label is not in [0, C), the
        batch is empty, or counts are missing for ``mining="epoch"``.
    Source: Anonymous draft: Use of a composite loss function for the detection of overlapping
        objects in low-resolution thermal images, section 2 and algorithm 2.
    Deviations: algorithm 2 where it differs from section 2, which has no floor and divides sums.
        Positives are cells, not images. With several classes, p is the softmax probability of
        the cell's class, or of any object where there is none. Algorithm 2 mines the whole
        training set with one model; here each loss is as old as its batch, and the update is
        that of a batch. Below the floor a root has no gradient. ``"joint"``, ``"sum"`` and
        ``"uncertainty"`` (Kendall, Gal, Cipolla, CVPR 2018) are additions.

    Example:
        >>> import torch, pybench.losses as pl
        >>> boxes, labels = torch.zeros(3, 4), torch.tensor([1, 0, 0])
        >>> spec = "f1_composite(alpha=0.5, gamma=0, combine='sum')"
        >>> fn = pl.loss(spec).prepare(pl.LossContext())
        >>> value = fn((torch.zeros(3, 2), boxes), (labels, boxes))
        >>> value - torch.tensor(2.0).log()  # focal .5 log 2 twice; 1 - F1 is 1/3 and 1
        tensor(1.3333)
    """

    f1_scope: Literal["separate", "joint"] = "separate"
    combine: Literal["geometric", "sum", "uncertainty"] = "geometric"
    box: Literal["repaired", "huber", "literal"] = "repaired"
    mining: Literal["batch", "epoch"] = "batch"
    alpha: float = 0.25
    gamma: float = 2.0
    delta: float = 1.0
    ratio: float = 3.0
    k_min: int = 8
    k_max: int | None = None
    pretrain: float = 0.3
    epsilon: float = 1e-6
    w_cls: float = 1.0
    w_box: float = 1.0

    reads: ClassVar[Kind] = "boxes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = (
        "Anonymous draft: Use of a composite loss function for the detection of overlapping "
        "objects in low-resolution thermal images, section 2 and algorithm 2"
    )

    def __post_init__(self) -> None:
        checks.require(0 <= self.alpha <= 1, "alpha", "in [0, 1]", self.alpha)
        checks.require(0 <= self.pretrain < 1, "pretrain", "in [0, 1)", self.pretrain)
        for name in ("delta", "epsilon"):
            value = getattr(self, name)
            checks.require(0 < value < math.inf, name, "finite and > 0", value)
        for name in ("gamma", "ratio", "w_cls", "w_box"):
            value = getattr(self, name)
            checks.require(0 <= value < math.inf, name, "finite and >= 0", value)
        checks.require(self.k_min >= 1, "k_min", ">= 1", self.k_min)
        checks.require(self.k_max is None or self.k_max >= 1, "k_max", ">= 1", self.k_max)

    def prepare(self, context: LossContext) -> LossFn:
        """Return itself, or a module where something is learned or remembered."""
        if self.combine == "uncertainty" or self.mining == "epoch":
            return _Remembering(self, context)
        return self

    def __call__(self, output: BoxOutput, target: BoxTarget, *, progress: float = 0.0) -> Tensor:
        """One value for the batch."""
        cells = self.cells(output, target)
        return self.mined(cells, int(self.ratio * len(cells.positives)))

    def cells(self, output: BoxOutput, target: BoxTarget) -> _Cells:
        """What each cell loses, and which are positive and negative."""
        seen, truth, _ = class_view(output, target)
        logits, labels = checks.hard_classes("f1_composite", seen, truth, least=2)
        checks.require(len(labels) > 0, "batch", "at least one cell", "none")
        odds, positive = label_log_odds(logits, labels), labels > 0
        alpha = odds.new_tensor([1 - self.alpha, self.alpha])[positive.long()]
        focal = -alpha * (self.gamma * logsigmoid(-odds)).exp() * logsigmoid(odds)
        negatives = (~positive).nonzero().squeeze(1)
        hardest = focal.detach()[negatives].sort(descending=True, stable=True).indices
        return _Cells(
            focal,
            torch.where(positive, odds, -odds).sigmoid(),
            SmoothL1(self.delta, self.box)(output, target),
            positive.nonzero().squeeze(1),
            negatives[hardest],
        )

    def mined(self, cells: _Cells, k: int, log_variance: Tensor | None = None) -> Tensor:
        """The loss with (at most) the k hardest negatives."""
        if not len(cells.positives):
            k = max(k, self.k_min)
        hard = cells.negatives[: min(k, self.k_max or k)]
        sides = [side for side in (cells.positives, hard) if len(side)]
        classes = [cells.focal[side].mean() for side in sides]
        if not len(cells.positives):
            parts, weights = classes, [self.w_cls]
        else:
            boxes = cells.boxes.sum() / len(cells.positives)
            scopes = sides if self.f1_scope == "separate" else [torch.cat(sides)]
            f1 = [self._f1(cells, scope) for scope in scopes]
            if self.combine == "geometric":
                parts = [self._root(self._root(*classes), self._root(*f1)), boxes]
                weights = [self.w_cls, self.w_box]
            else:
                parts = [torch.stack(classes).sum(), torch.stack(f1).sum(), boxes]
                weights = [self.w_cls, self.w_cls, self.w_box]
        values = torch.stack(parts)
        if log_variance is not None:
            variance = log_variance[: len(values)].to(values.dtype)
            values = values * (-variance).exp() + variance / 2
        return (values * values.new_tensor(weights)).sum()

    def plain(self, cells: _Cells) -> Tensor:
        """The loss before mining begins."""
        whole = self.w_cls * cells.focal.sum() + self.w_box * cells.boxes.sum()
        return whole / max(len(cells.positives), 1)

    def _f1(self, cells: _Cells, scope: Tensor) -> Tensor:
        truth = torch.zeros_like(cells.probability).index_fill(0, cells.positives, 1)
        return soft_f1_loss(cells.probability[scope], truth[scope], self.epsilon)

    def _root(self, first: Tensor, second: Tensor | None = None) -> Tensor:
        return first if second is None else (first * second).clamp(min=self.epsilon).sqrt()


class _Cells(NamedTuple):
    """What N cells lose.

    Fields:
        focal: (N,) focal loss.
        probability: (N,) of an object.
        boxes: (N,) box loss, 0 on background.
        positives: indices of the cells with an object.
        negatives: indices of those without, hardest first, ties by position.
    """

    focal: Tensor
    probability: Tensor
    boxes: Tensor
    positives: Tensor
    negatives: Tensor


class _Remembering(nn.Module):
    """The composite with learned variances, or the negatives of the latest epoch, or both."""

    def __init__(self, loss: F1Composite, context: LossContext) -> None:
        super().__init__()
        self.loss = loss
        self.log_variance: nn.Parameter | None = None
        self.pool: _Pool | None = None
        if loss.combine == "uncertainty":
            self.log_variance = nn.Parameter(torch.zeros(3, device=context.device))
        if loss.mining == "epoch":
            counts = context.class_counts("f1_composite(mining='epoch')")
            self.pool = _Pool(int(counts[0]), int(loss.ratio * counts[1:].sum()), context.device)

    def forward(self, output: BoxOutput, target: BoxTarget, *, progress: float = 0.0) -> Tensor:
        """One value for the batch."""
        cells = self.loss.cells(output, target)
        if self.pool is None:
            k = int(self.loss.ratio * len(cells.positives))
            return self.loss.mined(cells, k, self.log_variance)
        # In the order of the cells: what the pool forgets of a batch must not be its hardest.
        k = self.pool.add(cells.focal.detach()[cells.negatives.sort().values])
        if progress < self.loss.pretrain:
            return self.loss.plain(cells)
        return self.loss.mined(cells, k, self.log_variance)


class _Pool(nn.Module):
    """The losses of the latest ``size`` negatives, of which the ``hardest`` largest are hard."""

    losses: Tensor

    def __init__(self, size: int, hardest: int, device: str) -> None:
        super().__init__()
        self.size, self.hardest = size, hardest
        # Double, so that a loss of either precision is stored as it is; NaN is one not met yet.
        nothing = torch.full((size,), math.nan, dtype=torch.float64, device=device)
        self.register_buffer("losses", nothing)

    def add(self, losses: Tensor) -> int:
        """Take in a batch (N,); how many of it are hard.

        A pool that is not full yet has its share of hard negatives.
        """
        if not self.size:
            return 0
        self.losses = torch.cat([self.losses, losses.double()])[-self.size :]
        known = self.losses[~self.losses.isnan()]
        share = int(self.hardest * len(known) / self.size)
        if not share:
            return 0
        threshold = known.topk(min(share, len(known))).values[-1]
        return int((losses >= threshold).sum())
