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

from pybench.figures import MARK, Figure, figure
from pybench.losses import losses
from pybench.metrics import metrics
from pybench.models import models
from pybench.registry import Registry, parameters
from pybench.samplers import samplers
from pybench.steps import steps
from pybench.suite import uses
from pybench.tasks import tasks
from pybench.transforms import transforms

REGISTRIES: tuple[Registry[Any], ...] = (
    losses,
    samplers,
    transforms,
    models,
    metrics,
    steps,
    tasks,
)


def write(folder: Path) -> list[Path]:
    """Write a page per component, a figure per loss, and an index.

    Pages that an earlier call wrote and that have no component any more are removed; what others
    put into the folder stays.

    Returns:
        The files, sorted.
    """
    texts = {folder / "index.md": _index()}
    for registry in REGISTRIES:
        for name in registry:
            page = folder / registry.what / f"{name}.md"
            drawn = figure(name) if registry is losses else None
            texts[page] = _page(registry, name, drawn)
            if drawn is not None:
                texts[page.with_suffix(".svg")] = drawn.svg
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


def _page(registry: Registry[Any], name: str, drawn: Figure | None) -> str:
    component = registry[name]
    text = inspect.cleandoc(component.__doc__ or "")
    blocks = [f"<!-- {MARK} -->", f"# `{name}`", *_sections(text, _defaults(component))]
    source = getattr(component, "source", "")
    if source and "\nSource:" not in text:
        blocks.append(f"**Source.** {source}")
    if drawn:
        blocks.append(f"![loss and gradient]({name}.svg)\n\n{drawn.caption}")
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
