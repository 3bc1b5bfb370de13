"""What a board says in sentences, and how it writes numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pybench.losses import meaning
from pybench.published import Paper
from pybench.report.groups import Repetition
from pybench.stats import PairedT
from pybench.tasks import TaskMeta

if TYPE_CHECKING:
    from pybench.report.leaderboard import Row

ADJUSTED = "ce -> logit_adjustment"
"""The strongest cheap baseline: cross-entropy, logits adjusted after training."""

LONGEST = 80
"""Characters of a name inside a sentence."""


def number(value: float | None, *, sign: bool = False) -> str:
    """A value for people: three decimals below 10, three digits above; "-" for none.

    Example:
        >>> number(0.61249), number(-0.02, sign=True), number(1234.5), number(None)
        ('0.612', '-0.020', '1234', '-')
    """
    if value is None:
        return "-"
    plus = "+" if sign else ""
    decimals = 3 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:{plus}.{decimals}f}"


def repetition_names(keys: Sequence[Repetition]) -> tuple[str, ...]:
    """The parts that differ between repetitions, such as ``"seed 3"`` or ``"fold 1, seed 3"``."""
    parts = [
        {
            "fold": split.fold,
            "split": split.split_seed,
            "subset": split.subset_seed,
            "seed": seed,
        }
        for split, seed in keys
    ]
    differ = [name for name in ("fold", "split", "subset") if len({p[name] for p in parts}) > 1]
    return tuple(", ".join(f"{name} {p[name]}" for name in [*differ, "seed"]) for p in parts)


def varies(keys: Sequence[Repetition]) -> str:
    """Which of fold, split, subset and training seed differ between repetitions, in words."""
    numbers = {
        "test fold": len({(split.folds, split.fold) for split, _ in keys}),
        "split seed": len({split.split_seed for split, _ in keys}),
        "subset": len({split.subset_seed for split, _ in keys}),
        "training seed": len({seed for _, seed in keys}),
    }
    moving = [f"{n} {name}s" for name, n in numbers.items() if n > 1]
    fixed = [name for name, n in numbers.items() if n == 1]
    if not moving:
        return "one repetition: nothing varies, so no interval and no tie group can be given"
    return f"varies: {', '.join(moving)}; fixed: {', '.join(fixed) or 'nothing'}"


def summary(
    meta: TaskMeta,
    rows: Sequence[Row],
    floor: float | None,
    against: PairedT | None,
    moving: str,
) -> tuple[str, ...]:
    """The sentences of the first screen."""
    ranked = [row for row in rows if row.mean is not None]
    if not ranked:
        return ("No trial has finished: there is nothing to rank.",)
    sentences = [_first(ranked, f"{meta.headline} on {meta.headline_split}")]
    if against is not None and against.estimate is not None:
        sentences.append(_against(ranked, against))
    if floor is not None:
        most = max(row.n_seeds for row in ranked)
        sentences.append(
            f"Differences under about {number(floor)} cannot be told apart with "
            f"{most} repetitions ({moving})."
        )
    failed = sum(row.failures for row in rows)
    if failed:
        sentences.append(f"{failed} of {failed + sum(row.n_seeds for row in rows)} trials failed.")
    return tuple(sentences)


def _first(ranked: Sequence[Row], what: str) -> str:
    best = ranked[0]
    if best.tie is None:
        most = "highest" if best.higher_is_better else "lowest"
        return (
            f"{clip(best.name, LONGEST)} has the {most} {what}, {number(best.mean)}, "
            "but there are too few repetitions to rank anything."
        )
    first = [row for row in ranked if row.rank_low == 1 and row.tie is not None]
    if len(first) == 1:
        return f"{clip(best.name, LONGEST)} is first alone: {what} {number(best.mean)}."
    names = [clip(row.name, LONGEST) for row in first[:4]]
    rest = f"{len(first) - 4} more" if len(first) > 4 else names.pop()
    low, high = sorted(row.mean or 0.0 for row in (first[0], first[-1]))
    return (
        f"{len(first)} of {len(ranked)} rows tie for first: {', '.join(names)} and {rest} "
        f"({what} {number(low)} to {number(high)})."
    )


def _against(ranked: Sequence[Row], against: PairedT) -> str:
    best = next(row for row in ranked if row.name != ADJUSTED)
    leads = (
        "Cross-entropy with post-hoc logit adjustment leads by mean. "
        if (ranked[0].name == ADJUSTED)
        else ""
    )
    limits = ""
    if against.low is not None:
        limits = (
            f" (95 % interval {number(against.low, sign=True)} to "
            f"{number(against.high, sign=True)}, {against.n} paired repetitions)"
        )
    than = "it" if leads else "cross-entropy with post-hoc logit adjustment"
    by = number(against.estimate, sign=True)
    return f"{leads}{clip(best.name, LONGEST)} is {by} against {than}{limits}."


def rank(row: Row) -> str:
    """The ranks a row may hold: ``"1-3"``; ``"-"`` for a row without a value."""
    if row.rank_low is None:
        return "-"
    if row.rank_low == row.rank_high:
        return str(row.rank_low)
    return f"{row.rank_low}\N{EN DASH}{row.rank_high}"


def printed(paper: Paper, row: Row) -> list[tuple[str, float]]:
    """What the paper's first table prints for a row's loss: (model in the paper, value)."""
    plain = (row.sampler, row.transform, row.counts, row.steps) == (
        "natural",
        "none",
        "original",
        (),
    )
    table = paper.tables[0] if paper.tables else None
    if not plain or table is None:
        return []
    losses = list(map(meaning, table.losses))
    if (shown := meaning(row.loss)) not in losses:
        return []
    place = losses.index(shown)
    return [(model, cells[place]) for model, cells in zip(table.models, table.cells, strict=True)]


def clip(text: str, longest: int) -> str:
    """The text, or its beginning with an ellipsis."""
    return text if len(text) <= longest else f"{text[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"
