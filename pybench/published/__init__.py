"""What papers printed: their tables, their claims in words, and what the cells say by arithmetic.

One module per paper, named by ``TaskMeta.published``, each with ``paper = Paper(...)``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations


@dataclass(frozen=True)
class Claim:
    """An order that a paper claims: each of ``above`` is better than each of ``below``.

    Fields:
        where: table, figure or section of the paper.
        text: the claim in words.
        printed: the numbers printed for it, or what stands in their place.
        model: model name of ours it is about; ``""`` = any.
        above, below: loss specs; both empty when the words name no order.
        metric: metric spec the claim is about; ``""`` = the task's headline metric.
        label: index of the class it is about; None = all of them.
    """

    where: str
    text: str
    printed: str
    model: str = ""
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    metric: str = ""
    label: int | None = None


@dataclass(frozen=True)
class PublishedTable:
    """A table of numbers, models down and losses across.

    Fields:
        name: its name in the paper.
        title: what it shows.
        unit: unit of the cells.
        step: what the cells are rounded to, > 0; cells one step apart may be equal.
        models: name of each row in the paper.
        ours: model name of ours that each row stands for.
        columns: name of each column in the paper.
        losses: loss spec of ours that each column stands for.
        cells: value by row and column.
    """

    name: str
    title: str
    unit: str
    step: float
    models: tuple[str, ...]
    ours: tuple[str, ...]
    columns: tuple[str, ...]
    losses: tuple[str, ...]
    cells: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        shape = (len(self.models), len(self.columns))
        if any(len(row) != shape[1] for row in self.cells) or len(self.cells) != shape[0]:
            msg = f"cells must be {shape[0]} rows of {shape[1]}, got {self.cells}"
            raise ValueError(msg)

    def pairs(self) -> Iterator[tuple[int, int, int]]:
        """(row, better column, worse column), largest value first, of all unequal cells."""
        for row, cells in enumerate(self.cells):
            for a, b in combinations(range(len(cells)), 2):
                if cells[a] != cells[b]:
                    yield (row, a, b) if cells[a] > cells[b] else (row, b, a)

    def orders(self) -> tuple[Claim, ...]:
        """The orders that survive rounding: pairs of cells more than one step apart."""
        return tuple(
            Claim(
                where=self.name,
                text=f"{self.models[row]}: {self.columns[high]} above {self.columns[low]}",
                printed=f"{self.cells[row][high]:g} > {self.cells[row][low]:g}",
                model=self.ours[row],
                above=(self.losses[high],),
                below=(self.losses[low],),
            )
            for row, high, low in self.pairs()
            if self.cells[row][high] - self.cells[row][low] > self.step
        )


@dataclass(frozen=True)
class Paper:
    """A paper whose numbers stand beside ours.

    Fields:
        name: short name.
        title, authors: of the paper.
        tables: printed tables.
        claims: claims in words.
        findings: what follows from the printed numbers alone.
        unstated: what the paper does not say and a repetition must choose.
        difference: why even the same model on the real data is no repetition.
    """

    name: str
    title: str
    authors: str
    tables: tuple[PublishedTable, ...]
    claims: tuple[Claim, ...]
    findings: tuple[str, ...]
    unstated: tuple[str, ...]
    difference: str


def load(name: str) -> Paper:
    """The paper of a module of this package.

    Raises:
        ValueError: for a module that does not exist.
    """
    try:
        module = importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        msg = f"published must name a module of {__name__}, got {name!r}"
        raise ValueError(msg) from error
    paper: Paper = module.paper
    return paper
