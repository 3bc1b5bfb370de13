"""Dots and whiskers on one common axis, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pybench.report.leaderboard import Row
from pybench.report.markup import Markup, el
from pybench.report.words import number

WIDTH, HEIGHT, MARGIN = 220, 24, 8


@dataclass(frozen=True)
class Axis:
    """The common axis of a table.

    Fields:
        low, high: its ends, low < high.
        baseline: value of the dashed line, or None.
    """

    low: float
    high: float
    baseline: float | None

    @classmethod
    def around(cls, rows: Sequence[Row], baseline: float | None) -> Axis:
        """The axis that holds every interval and every repetition."""
        found = [
            value for row in rows for value in (row.low, row.high, *row.values) if value is not None
        ]
        if not found:
            return cls(0.0, 1.0, baseline)
        low, high = min(found), max(found)
        pad = 0.04 * (high - low) or max(1e-3, 0.05 * abs(high))
        return cls(low - pad, high + pad, baseline)

    def place(self, value: float) -> float:
        """Horizontal place of a value, in pixels."""
        share = (value - self.low) / (self.high - self.low)
        return round(MARGIN + share * (WIDTH - 2 * MARGIN), 1)

    def ticks(self) -> list[float]:
        """Two to seven round values inside the axis."""
        step = 10 ** math.floor(math.log10((self.high - self.low) / 3))
        step *= next(k for k in (5, 2, 1) if (self.high - self.low) / (k * step) >= 3)
        first = math.ceil(self.low / step)
        return [round(k * step, 12) for k in range(first, math.floor(self.high / step) + 1)]

    def scale(self) -> Markup:
        """The axis itself, for the head of the column."""
        marks = [
            el("text", f"{tick:g}", x=self.place(tick), y=11, text_anchor="middle")
            for tick in self.ticks()
        ]
        return _svg(14, *marks, aria_hidden="true")


def interval(row: Row, axis: Axis) -> Markup:
    """A row's mean, interval and repetitions."""
    middle = HEIGHT / 2
    parts = [_upright(axis.place(tick), "grid") for tick in axis.ticks()]
    if axis.baseline is not None and axis.low <= axis.baseline <= axis.high:
        parts.append(_upright(axis.place(axis.baseline), "base"))
    parts += [
        el("circle", cx=axis.place(value), cy=middle, r=2, class_="seed")
        for value in row.values
        if value is not None
    ]
    said = "no value"
    if row.mean is not None:
        said = number(row.mean)
        if row.low is not None and row.high is not None:
            said += f", 95 % interval {number(row.low)} to {number(row.high)}"
            ends = {"x1": axis.place(row.low), "x2": axis.place(row.high)}
            parts.append(el("line", y1=middle, y2=middle, class_="whisker", **ends))
        parts.append(el("circle", cx=axis.place(row.mean), cy=middle, r=4, class_="dot"))
    return _svg(HEIGHT, *parts, role="img", aria_label=said)


def _upright(x: float, class_: str) -> Markup:
    return el("line", x1=x, x2=x, y1=0, y2=HEIGHT, class_=class_)


def _svg(height: int, *parts: Markup, **attributes: str) -> Markup:
    return el(
        "svg",
        *parts,
        class_="plot",
        viewBox=f"0 0 {WIDTH} {height}",
        width=WIDTH,
        **attributes,
    )
