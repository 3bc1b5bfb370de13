"""The leaderboard: what is known and what is not, as HTML, Markdown, JSON and a terminal table."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING

from pybench.report import html, markdown
from pybench.report.leaderboard import Board, build
from pybench.tasks import tasks

if TYPE_CHECKING:
    from pybench.run import Planned
    from pybench.store import Store

__all__ = ["Board", "build", "save", "write"]


def write(
    planned: Planned, store: Store, folder: Path, command: str, *, paper_selection: bool = False
) -> str:
    """Write ``leaderboard.{html,md,json}`` of a suite from what is stored.

    Args:
        planned: the suite and its trials.
        store: where the records are.
        folder: where to write; made when it is not there.
        command: the command line that asked for it.
        paper_selection: choose parameters on the split that is reported, and stamp the board.

    Returns:
        The table for a terminal.
    """
    found = [record for job in planned.jobs if (record := store.get(job.id)) is not None]
    board = build(
        found,
        {
            name: tasks.build(name).meta
            for name in dict.fromkeys(j.trial.task for j in planned.jobs)
        },
        suite=planned.name,
        command=command,
        created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        refused=planned.plan.refused,
        missing=len(planned.jobs) - len(found),
        paper_selection=paper_selection,
    )
    save(board, folder)
    return markdown.terminal(board)


def save(board: Board, folder: Path) -> None:
    """Write a board in its three forms; the same board gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    value = json.dumps(board.to_json(), indent=1, allow_nan=False, ensure_ascii=False)
    for name, text in (
        ("leaderboard.json", value + "\n"),
        ("leaderboard.md", markdown.page(board)),
        ("leaderboard.html", html.page(board)),
    ):
        (folder / name).write_text(text, encoding="utf-8")
