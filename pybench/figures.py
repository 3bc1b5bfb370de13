"""The curve of a loss and of its gradient against the variable it is about, as SVG."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pybench.losses import PreparedLoss, loss, losses
from pybench.registry import parameters
from pybench.report.markup import Markup, el
from pybench.types import BagOutput, BagTarget, LossContext

MARK = "Written by pybench docs: edit the docstring instead"
CHANCES = tuple(k / 100 for k in range(1, 100))
COSINES = tuple(k / 50 - 1 for k in range(1, 100))
SNIPPETS = 8
SIDE = 10.0
"""Side of the boxes that are compared, pixels."""


@dataclass(frozen=True)
class Variable:
    """What a loss is drawn against.

    Fields:
        axis: its name.
        about: what is compared, and what the gradient is of.
        xs: its values, ascending.
        at: value, and a shift of 0 whose gradient is asked for, -> output and target.
    """

    axis: str
    about: str
    xs: tuple[float, ...]
    at: Callable[[float, Tensor], tuple[Any, Any]]


@dataclass(frozen=True)
class Figure:
    """An SVG and what it shows."""

    svg: str
    caption: str


def figure(name: str) -> Figure | None:
    """Draw a loss; None where a parameter has no default."""
    if dataclasses.MISSING in parameters(losses[name]).values():
        return None
    variable, fn = _variable(name), _prepared(name)
    values, gradients = [], []
    for x in variable.xs:
        shift = torch.zeros((), dtype=torch.float64, requires_grad=True)
        value = fn(*variable.at(x, shift), progress=1.0).mean()
        (gradient,) = torch.autograd.grad(value, shift)
        values.append(float(value.detach()))
        gradients.append(abs(float(gradient)))
    return Figure(_svg(name, variable, values, gradients), variable.about)


def _prepared(name: str) -> PreparedLoss:
    generator = torch.Generator().manual_seed(0)
    context = LossContext(counts=(50, 50), feature_dims=(3,), generator=generator)
    fn = loss(name).prepare(context)
    for module in fn.modules():
        module.eval()  # one point of a curve must not change the next
    return fn


def _variable(name: str) -> Variable:
    criterion = losses.build(name)
    if getattr(criterion, "compares_samples", False):
        return SIMILARITY
    if "cosine_head" in criterion.needs:
        return COSINE
    if criterion.reads == "bags":
        return MARGIN
    if criterion.reads == "boxes":
        return OBJECT if _changes(name, OBJECT) else OVERLAP
    return CHANCE if _changes(name, CHANCE) else RIVALS


def _changes(name: str, variable: Variable) -> bool:
    """Whether a loss is another at another value: one of boxes may not read the scores of cells."""
    fn, zero = _prepared(name), torch.zeros((), dtype=torch.float64)
    first, second = (fn(*variable.at(x, zero), progress=1.0).mean() for x in (0.25, 0.5))
    return bool(first != second)


def _tensor(*rows: Any) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def _classes(chance: float, shift: Tensor) -> tuple[Any, Any]:
    logits = _tensor([chance, 1 - chance]).log() + shift * _tensor([1.0, 0.0])
    return (logits, torch.ones(1, 3, dtype=torch.float64)), torch.tensor([0])


def _rivals(chance: float, shift: Tensor) -> tuple[Any, Any]:
    logits = _tensor([chance, 1 - chance], [1 - chance, chance]).log()
    return logits + shift * torch.eye(2, dtype=torch.float64), torch.tensor([0, 1])


def _head(cosine: float, shift: Tensor) -> tuple[Any, Any]:
    return _tensor([cosine, 0.0]) + shift * _tensor([1.0, 0.0]), torch.tensor([0])


def _bags(margin: float, shift: Tensor) -> tuple[Any, Any]:
    tops = _tensor([(1 + margin) / 2], [(1 - margin) / 2]) + shift * _tensor([1.0], [0.0])
    scores = tops.expand(-1, SNIPPETS)
    features = _tensor([50.0, 0.0, 0.0]).expand(2, SNIPPETS, -1)
    output = BagOutput(scores, scores.unsqueeze(-1), {"snippet": features})
    return output, BagTarget(torch.tensor([0, 1]), normal=1)


def _boxes(overlap: float, shift: Tensor) -> tuple[Any, Any]:
    true = _tensor([0.0, 0.0, SIDE, SIDE])
    aside = SIDE * (1 - overlap) / (1 + overlap)
    moved = true + (aside + shift) * _tensor([1.0, 0.0, 1.0, 0.0])
    return (_tensor([0.0, 0.0]), moved), (torch.tensor([1]), true)


def _cells(chance: float, shift: Tensor) -> tuple[Any, Any]:
    found, empty = [1 - chance, chance], [0.9, 0.1]
    logits = _tensor(found, empty, empty, empty).log() + shift * _tensor([0.0, 1.0], *[[0, 0]] * 3)
    boxes = torch.zeros(4, 4, dtype=torch.float64)
    true = boxes + _tensor([0.0, 0.0, SIDE, SIDE])
    wide = true + _tensor([0.0, 0.0, SIDE, 0.0])  # IoU 1/2
    return (logits, wide), (torch.tensor([1, 0, 0, 0]), true)


def _samples(cosine: float, shift: Tensor) -> tuple[Any, Any]:
    towards = cosine + shift
    across = (1 - towards.square()).sqrt()
    pair = torch.stack([towards, across, torch.zeros_like(towards)])
    features = torch.stack([_tensor(1.0, 0.0, 0.0), pair, _tensor(0.0, 0.0, 1.0)])
    return (torch.zeros(3, 2, dtype=torch.float64), features), torch.tensor([0, 0, 1])


CHANCE = Variable(
    "probability of the true class",
    "Two classes of equal size, against the probability of the true class: the loss, and the size "
    "of its gradient with respect to the true class's logit.",
    CHANCES,
    _classes,
)
RIVALS = Variable(
    "probability of the true class",
    "One sample of each of two classes of equal size, against the probability of the true class, "
    "the same for both: the loss, and the size of its gradient with respect to the true classes' "
    "logits.",
    CHANCES,
    _rivals,
)
COSINE = Variable(
    "cosine of the true class",
    "Two classes of equal size, against the cosine of the true class, that of the other being 0: "
    "the loss, and the size of its gradient with respect to that cosine.",
    COSINES,
    _head,
)
MARGIN = Variable(
    "score of the abnormal bag minus that of the normal bag",
    "One abnormal and one normal bag of eight snippets, all of a bag scored alike, against the "
    "margin between their scores, which add up to 1: the loss, and the size of its gradient with "
    "respect to the scores of the abnormal bag.",
    COSINES,
    _bags,
)
OVERLAP = Variable(
    "IoU",
    "A box of 10 by 10 pixels moved aside, against its overlap with the true one: the loss, and "
    "the size of its gradient with respect to the way moved.",
    CHANCES,
    _boxes,
)
OBJECT = Variable(
    "probability of the object",
    "A cell with an object, IoU 1/2, and three empty ones whose probability of an object is .1, "
    "against that of the first: the mean loss, and the size of its gradient with respect to the "
    "object's logit.",
    CHANCES,
    _cells,
)
SIMILARITY = Variable(
    "cosine similarity of two samples of one class",
    "Two samples of one class and one of another at right angles to both, against the cosine "
    "between the two: the mean loss, and the size of its gradient with respect to that cosine.",
    COSINES,
    _samples,
)


def _svg(name: str, variable: Variable, values: list[float], gradients: list[float]) -> str:
    width, height, margin = 420, 260, 40
    top = max(*values, *gradients) or 1.0
    begin, end = round(variable.xs[0]), round(variable.xs[-1])

    def points(curve: list[float]) -> str:
        pairs = zip(variable.xs, curve, strict=True)
        return " ".join(
            f"{margin + (x - begin) / (end - begin) * width:.1f},"
            f"{margin + (1 - y / top) * height:.1f}"
            for x, y in pairs
        )

    def label(text: str, x: float, y: float, anchor: str, colour: str = "#444") -> Markup:
        return el("text", text, x=x, y=y, text_anchor=anchor, fill=colour)

    right, bottom = margin + width, margin + height
    axes = el("path", d=f"M{margin},{margin}V{bottom}H{right}", fill="none", stroke="#444")
    curves = [
        el("polyline", points=points(curve), fill="none", stroke=colour, stroke_width=2)
        for curve, colour in ((values, "#1f5fa8"), (gradients, "#c2410c"))
    ]
    return el(
        "svg",
        el("title", f"{name}: loss and gradient"),
        el("desc", MARK),
        axes,
        *curves,
        label(str(begin), margin, bottom + 16, "middle"),
        label(variable.axis, margin + width / 2, bottom + 16, "middle"),
        label(str(end), right, bottom + 16, "middle"),
        label("0", margin - 6, bottom, "end"),
        label(f"{top:.3g}", margin - 6, margin + 4, "end"),
        label("loss", right, margin - 6, "end", "#1f5fa8"),
        label("gradient", right - 50, margin - 6, "end", "#c2410c"),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {right + margin} {bottom + margin}",
        font_family="sans-serif",
        font_size=12,
    )
