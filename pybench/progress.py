"""How far a run is: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


@dataclass
class Progress:
    """Counts of a run, and its time left from the trials finished so far.

    Fields:
        todo: trials this run has to do.
        workers: how many run side by side.
        expected_s: seconds of one trial before any has finished.
    """

    todo: int
    workers: int
    expected_s: float
    done: int = 0
    failed: int = 0
    running: set[str] = field(default_factory=set)
    _started: float = field(default_factory=time.monotonic)

    @property
    def eta_s(self) -> float:
        """Seconds left."""
        finished = self.done + self.failed
        left = self.todo - finished
        if finished >= self.workers:
            return left * (time.monotonic() - self._started) / finished
        return left * self.expected_s / self.workers

    @property
    def text(self) -> str:
        """``12/45 done, 2 running, 0 failed, 3:10 left``."""
        return (
            f"{self.done}/{self.todo} done, {len(self.running)} running, {self.failed} failed, "
            f"{clock(self.eta_s)} left"
        )


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss.

    Example:
        >>> clock(75.2), clock(3725)
        ('1:15', '1:02:05')
    """
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


class Reporter:
    """Says how a run goes, on stderr; stdout stays free for results."""

    def __init__(self, progress: Progress, *, quiet: bool) -> None:
        self.progress = progress
        self.quiet = quiet
        self._bar: RichProgress | None = None
        self._line: TaskID | None = None

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show the live line while trials run, when stderr is a terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        columns = (BarColumn(bar_width=30), TextColumn("{task.description}"))
        with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
            self._bar = bar
            self._line = bar.add_task(self.progress.text, total=self.progress.todo)
            yield
            self._bar = None

    def say(self, text: str) -> None:
        """Print one line, above the live line if there is one."""
        if self.quiet:
            return
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def update(self, text: str | None = None) -> None:
        """Redraw the live line; without a terminal print ``text`` and the counts."""
        if self._bar is not None and self._line is not None:
            finished = self.progress.done + self.progress.failed
            self._bar.update(self._line, completed=finished, description=self.progress.text)
        elif text is not None:
            self.say(f"{self.progress.text}  {text}")
