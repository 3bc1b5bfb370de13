"""A board as Markdown, and as a plain table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from pybench.report.leaderboard import Board, Row, TaskBoard
from pybench.report.markup import visible
from pybench.report.words import number, printed, rank


def page(board: Board) -> str:
    """``leaderboard.md``: the sentences, tables, floors, verdicts and what does not apply."""
    parts = [
        f"# {_cell(board.suite)} leaderboard",
        f"Made {board.created} by {_code(board.command)}.",
    ]
    for task in board.tasks:
        parts += [
            f"## {_cell(task.name)}: {_cell(task.meta.title)}",
            f"**{', '.join(task.provenance) or 'unknown'} data.** "
            + " ".join(_cell(sentence) for sentence in task.summary),
            _table(*_ranked(task)),
            _floors(task),
        ]
        if task.verdicts:
            heads = ("where", "cell or claim", "printed", "ours", "verdict")
            rows = [(v.table, v.cell, v.printed, v.ours, v.verdict) for v in task.verdicts]
            parts += ["### The paper beside us", _table(heads, rows)]
        if task.paper and task.paper.findings:
            said = "What the printed numbers say by themselves:"
            parts.append("\n".join([said, "", *(f"- {_cell(f)}" for f in task.paper.findings)]))
            parts.append(f"Not stated in the paper: {_cell(', '.join(task.paper.unstated))}.")
    if board.refused:
        parts += ["## Not applicable", _table(("task", "row", "reason"), board.refused)]
    return "\n\n".join(parts) + "\n"


def terminal(board: Board) -> str:
    """The tables as aligned plain text."""
    blocks = []
    for task in board.tasks:
        heads, rows = _ranked(task)
        cells = [[visible(cell).replace("\n", " ") for cell in row] for row in (heads, *rows)]
        widths = [max(len(row[k]) for row in cells) for k in range(len(heads))]
        lines = [
            "  ".join(_padded(k, cell, widths[k]) for k, cell in enumerate(row)).rstrip()
            for row in cells
        ]
        lines.insert(1, "  ".join("-" * width for width in widths))
        blocks.append(
            "\n".join(
                [
                    f"{visible(task.name)} ({', '.join(task.provenance) or 'unknown'} data)",
                    *map(visible, task.summary),
                    "",
                    *lines,
                    "",
                    _floors(task),
                ]
            )
        )
    return "\n\n".join(blocks)


def _ranked(task: TaskBoard) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the ranking; columns that say nothing are left out."""
    heads = ["rank", "row", task.meta.headline, "95 % interval", "ties", "failed", "train s"]
    models = len({row.model for row in task.rows}) > 1
    if models:
        heads.insert(2, "model")
    if task.paper:
        heads.append("paper")
    rows = []
    for row in task.rows:
        cells = [rank(row), row.name, number(row.mean), _limits(row), row.tie or "-"]
        cells += [f"{row.failures} of {row.failures + row.n_seeds}" if row.failures else "-"]
        cells.append("-" if row.train_s is None else f"{row.train_s:.1f}")
        if models:
            cells.insert(2, row.model)
        if task.paper:
            cells.append(" / ".join(f"{value:g}" for _, value in printed(task.paper, row)) or "-")
        rows.append(cells)
    return heads, rows


def _limits(row: Row) -> str:
    return "-" if row.low is None else f"{number(row.low)} to {number(row.high)}"


def _floors(task: TaskBoard) -> str:
    parts = [f"{name} {number(value)}" for name, value in task.floors.items()]
    said = f"To beat: {', '.join(parts)}." if parts else "No reference row has been run."
    if task.paper and task.paper.tables:
        table = task.paper.tables[0]
        said += f" Paper: {table.name}, {' / '.join(table.models)}, {table.unit}."
    return said


def _padded(column: int, cell: str, width: int) -> str:
    return cell.ljust(width) if column == 1 else cell.rjust(width)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Text that stays inside its cell and is not read as HTML or Markdown."""
    plain = visible(text).replace("\n", " ").replace("&", "&amp;").replace("<", "&lt;")
    for mark in "\\`*_[]|":
        plain = plain.replace(mark, f"\\{mark}")
    return plain


def _code(text: str) -> str:
    fence = "`" * (1 + max((len(run) for run in _ticks(text)), default=0))
    return f"{fence} {visible(text)} {fence}" if "`" in text else f"`{visible(text)}`"


def _ticks(text: str) -> list[str]:
    return [run for run in "".join(c if c == "`" else " " for c in text).split() if run]
