"""One Markdown page per component, made of what the component says of itself."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from pybench.losses import loss, losses
from pybench.metrics import metrics
from pybench.models import models
from pybench.registry import Registry, parameters
from pybench.report.markup import Markup, el
from pybench.samplers import samplers
from pybench.steps import steps
from pybench.suite import uses
from pybench.tasks import tasks
from pybench.transforms import transforms
from pybench.types import LossContext

REGISTRIES: tuple[Registry[Any], ...] = (
    losses,
    samplers,
    transforms,
    models,
    metrics,
    steps,
    tasks,
)
MARK = "Written by pybench docs: edit the docstring instead"
CHANCES = [k / 100 for k in range(1, 100)]
"""Probabilities of the true class at which a loss is drawn."""


def write(folder: Path) -> list[Path]:
    """Write a page per component, a figure per loss of classes, and an index.

    Pages that an earlier call wrote and that have no component any more are removed; what others
    put into the folder stays.

    Returns:
        The files, sorted.
    """
    texts = {folder / "index.md": _index()}
    for registry in REGISTRIES:
        for name in registry:
            page = folder / registry.what / f"{name}.md"
            figure = _figure(name) if registry is losses else None
            texts[page] = _page(registry, name, drawn=figure is not None)
            if figure is not None:
                texts[page.with_suffix(".svg")] = figure
    for path in sorted({*folder.glob("*/*.md"), *folder.glob("*/*.svg")} - set(texts)):
        if MARK in path.read_text(encoding="utf-8"):
            path.unlink()
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return sorted(texts)


def _index() -> str:
    lines = [f"<!-- {MARK} -->", "# Components"]
    for registry in REGISTRIES:
        lines += ["", f"## {registry.what.capitalize()}", ""]
        lines += [
            f"- [`{name}`]({registry.what}/{name}.md): {registry.summary(name)}"
            for name in registry
        ]
    return "\n".join(lines) + "\n"


def _page(registry: Registry[Any], name: str, *, drawn: bool) -> str:
    component = registry[name]
    text = inspect.cleandoc(component.__doc__ or "")
    blocks = [f"<!-- {MARK} -->", f"# `{name}`", *_sections(text, _defaults(component))]
    source = getattr(component, "source", "")
    if source and "\nSource:" not in text:
        blocks.append(f"**Source.** {source}")
    if drawn:
        blocks.append(
            f"![loss and gradient]({name}.svg)\n\nTwo classes of equal size, against the "
            "probability of the true class: the loss, and the size of its gradient with respect "
            "to the true class's logit."
        )
    if places := uses(registry, name):
        rows = ["## Where it can be used", "", "| task of | |", "| --- | --- |"]
        rows += [f"| {what} | {reason or 'yes'} |" for what, reason in places.items()]
        blocks.append("\n".join(rows))
    return "\n\n".join(blocks) + "\n"


def _defaults(component: type) -> dict[str, str]:
    return {
        name: "required" if value is dataclasses.MISSING else f"`{value!r}`"
        for name, value in parameters(component).items()
    }


def _sections(text: str, defaults: dict[str, str]) -> Iterator[str]:
    """The blocks of a docstring as Markdown."""
    parts = re.split(r"^(?=(?:[A-Z]\w+|\.\. math):)", text, flags=re.MULTILINE)
    for part in parts:
        title, colon, body = part.partition(":")
        body = textwrap.dedent(body.removeprefix(": ").lstrip("\n").rstrip())
        if title == ".. math":
            # An equation ends where its indentation does; prose may follow.
            lines = part.removeprefix(".. math:: ").splitlines()
            inside = list(itertools.takewhile(lambda line: line.startswith("    "), lines[1:]))
            yield "```math\n" + "\n".join([lines[0], *inside]) + "\n```"
            yield from filter(None, ["\n".join(lines[1 + len(inside) :]).strip()])
        elif title == "Fields" and colon:
            yield "## Fields\n\n" + _fields(body, defaults)
        elif title == "Example" and colon:
            yield f"## Example\n\n```python\n{body}\n```"
        elif part and part[0].isupper() and colon and title.isalpha():
            body = " ".join(body.split())
            yield f"**{title}.** {body[:1].upper()}{body[1:]}"
        elif part.strip():
            yield part.strip()
    if defaults and "\nFields:" not in text:
        yield "## Fields\n\n" + _fields("", defaults)


def _fields(body: str, defaults: dict[str, str]) -> str:
    lines, told = [], set()
    for line in body.splitlines():
        names, colon, meaning = line.partition(":")
        together = names.split(", ")
        if colon and set(together) <= set(defaults):
            told |= set(together)
            lines.append(
                "- " + "; ".join(f"`{n}`, {defaults[n]}" for n in together) + f":{meaning}"
            )
        else:
            lines.append(line.replace("    ", "  ", 1))
    lines += [f"- `{name}`, {default}" for name, default in defaults.items() if name not in told]
    return "\n".join(lines)


def _figure(name: str) -> str | None:
    """A loss of classes and its gradient as SVG; None where the logits alone do not decide it."""
    component = losses[name]
    if dataclasses.MISSING in parameters(component).values():
        return None
    criterion = losses.build(name)
    if criterion.reads != "classes" or criterion.needs:
        return None
    context = LossContext(counts=(50, 50), generator=torch.Generator().manual_seed(0))
    fn = loss(name).prepare(context)
    values, gradients = [], []
    for chance in CHANCES:
        logits = torch.tensor([[chance, 1 - chance]], dtype=torch.float64).log().requires_grad_()
        value = fn(logits, torch.tensor([0])).mean()
        (gradient,) = torch.autograd.grad(value, logits)
        values.append(float(value.detach()))
        gradients.append(abs(float(gradient[0, 0])))
    return _svg(name, values, gradients)


def _svg(name: str, values: list[float], gradients: list[float]) -> str:
    width, height, margin = 420, 260, 40
    top = max(*values, *gradients) or 1.0

    def points(curve: list[float]) -> str:
        pairs = zip(CHANCES, curve, strict=True)
        return " ".join(
            f"{margin + p * width:.1f},{margin + (1 - y / top) * height:.1f}" for p, y in pairs
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
        label("0", margin, bottom + 16, "middle"),
        label("probability of the true class", margin + width / 2, bottom + 16, "middle"),
        label("1", right, bottom + 16, "middle"),
        label("0", margin - 6, bottom, "end"),
        label(f"{top:.3g}", margin - 6, margin + 4, "end"),
        label("loss", right, margin - 6, "end", "#1f5fa8"),
        label("gradient", right - 50, margin - 6, "end", "#c2410c"),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {right + margin} {bottom + margin}",
        font_family="sans-serif",
        font_size=12,
    )
