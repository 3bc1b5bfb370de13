"""What asv has stored, as one page: a chart per benchmark, steps marked, no network, no script.

Everything that asv tracks here is better when smaller, so a step up is a step to the worse.
"""

from __future__ import annotations

import itertools
import json
import math
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from pybench.missing import MissingPartError
from pybench.report.markup import Markup, el

WIDTH, HEIGHT, MARGIN = 560, 60, 8
FEWEST = 4
"""Points from which on steps are looked for: among fewer every difference looks like one."""

SMALLEST, SHORTEST = 0.05, 2
"""A step is a change by at least this share, between levels of at least so many points."""

# Room for the numbers of the vertical axis.
_LEFT = 74
# Numbers of the axis that are nearer to each other cannot be read.
_APART = 12

# What is in a machine's folder besides results.
_MACHINE = "machine.json"


@dataclass(frozen=True)
class Commit:
    """A commit with results.

    Fields:
        date: of the commit, in milliseconds since 1970.
        subject: empty when it is not known here.
    """

    hash: str
    date: int
    subject: str = ""


@dataclass(frozen=True)
class Step:
    """Neighbouring points between which nothing changed, as asv's step detection finds them.

    Fields:
        first, last: indices of points.
        value: their level.
    """

    first: int
    last: int
    value: float


@dataclass(frozen=True)
class Series:
    """One benchmark with one choice of its parameters, over commits.

    Fields:
        points: (index of the commit, value, 99 % limits or None), by falling age.
    """

    machine: str
    environment: str
    benchmark: str
    parameters: str
    unit: str
    points: tuple[tuple[int, float, tuple[float, float] | None], ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class History:
    """All that asv has stored.

    Fields:
        commits: by rising date.
        machines: facts of each, by its name.
        problems: what could not be read, in sentences.
    """

    commits: tuple[Commit, ...]
    machines: Mapping[str, Mapping[str, str]]
    series: tuple[Series, ...]
    problems: tuple[str, ...]


# -- reading ---------------------------------------------------------------------------------


def read(folder: Path) -> History:
    """Read the ``results_dir`` of asv; a file that is damaged is left out and named.

    Raises:
        MissingPartError: nothing readable is there, or asv is not installed.
    """
    problems: list[str] = []
    benchmarks = _json(folder / "benchmarks.json", problems) or {}
    machines: dict[str, dict[str, str]] = {}
    results: list[tuple[str, dict[str, Any]]] = []
    for path in sorted(folder.glob("*/*.json")):
        content = _json(path, problems)
        if content is None:
            continue
        if path.name == _MACHINE:
            facts = {key: str(value) for key, value in content.items() if value not in ("", None)}
            machines[path.parent.name] = {k: v for k, v in facts.items() if k != "version"}
        elif {"commit_hash", "date", "results", "result_columns"} <= set(content):
            results.append((path.parent.name, content))
        else:
            problems.append(f"{path.name} must be a result of asv, got other keys; left out")
    if not results:
        msg = f"results must be there, got none in {folder}; run: make asv"
        raise MissingPartError(msg)
    dates = {str(content["commit_hash"]): int(content["date"]) for _, content in results}
    subjects = _subjects(dates)
    commits = tuple(
        Commit(of, date, subjects.get(of, ""))
        for of, date in sorted(dates.items(), key=lambda item: (item[1], item[0]))
    )
    series = _series(results, {c.hash: i for i, c in enumerate(commits)}, benchmarks)
    return History(commits, machines, tuple(series), tuple(problems))


def _json(path: Path, problems: list[str]) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problems.append(f"{path.name} must be readable JSON, got {error}; left out")
        return None
    if not isinstance(content, dict):
        problems.append(f"{path.name} must hold an object, got {type(content).__name__}; left out")
        return None
    return content


def _series(
    results: Iterable[tuple[str, dict[str, Any]]],
    commits: Mapping[str, int],
    benchmarks: Mapping[str, Any],
) -> Iterator[Series]:
    found: dict[tuple[str, str, str, str], dict[int, tuple[float, tuple[float, float] | None]]] = {}
    for machine, content in results:
        commit = commits[str(content["commit_hash"])]
        for name, cells in content["results"].items():
            columns = dict(zip(content["result_columns"], cells, strict=False))
            for parameters, value, limits in _values(columns):
                key = (name, parameters, machine, str(content.get("env_name", "")))
                found.setdefault(key, {})[commit] = value, limits
    # Times first: they are what people come for.
    order = sorted(found, key=lambda key: (not key[0].rpartition(".")[2].startswith("time"), key))
    for name, parameters, machine, environment in order:
        at = found[name, parameters, machine, environment]
        points = tuple((commit, *at[commit]) for commit in sorted(at))
        unit = str(dict(benchmarks.get(name) or {}).get("unit", ""))
        levels = steps([value for _, value, _ in points])
        yield Series(machine, environment, name, parameters, unit, points, levels)


def _values(
    columns: Mapping[str, Any],
) -> Iterator[tuple[str, float, tuple[float, float] | None]]:
    """(parameters, value, limits) of what one benchmark gave; what failed gave none."""
    values = columns.get("result")
    combinations = itertools.product(*(columns.get("params") or []))
    lows, highs = (columns.get(f"stats_ci_99_{side}") or [] for side in "ab")
    for combination, value, low, high in itertools.zip_longest(
        combinations, values if isinstance(values, list) else [values], lows, highs
    ):
        if isinstance(value, int | float) and math.isfinite(value):
            inside = isinstance(low, int | float) and isinstance(high, int | float)
            known = inside and math.isfinite(low) and math.isfinite(high)
            said = ", ".join(str(part).strip("'\"") for part in combination or ())
            yield said, float(value), (float(low), float(high)) if known else None


def steps(values: Sequence[float]) -> tuple[Step, ...]:
    """The levels of a history, by asv's step detection; none of a history that is short.

    Raises:
        MissingPartError: asv is not installed.

    >>> [(step.first, step.last, step.value) for step in steps([1.0, 1.0, 1.0, 3.0, 3.0, 3.0])]
    [(0, 2, 1.0), (3, 5, 3.0)]
    """
    try:
        from asv.step_detect import detect_steps
    except ImportError as error:
        msg = "asv must be installed, got none; type: pip install asv"
        raise MissingPartError(msg) from error
    if len(values) < FEWEST:
        return ()
    return tuple(
        Step(int(first), int(end) - 1, float(value))
        for first, end, value, *_ in detect_steps(list(values))
    )


def _subjects(hashes: Iterable[str]) -> dict[str, str]:
    """First lines of the commits that the repository here knows."""
    try:
        done = subprocess.run(
            "git log --no-walk --ignore-missing --stdin --format=%H%x09%s".split(),
            input="".join(f"{one}\n" for one in hashes),
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return {}
    found = (line.partition("\t") for line in done.stdout.splitlines())
    return {one: subject for one, _, subject in found}


# -- drawing ---------------------------------------------------------------------------------


def page(history: History) -> str:
    """The whole file; the same history gives the same bytes."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    style = (files("pybench.report") / "page.css").read_text(encoding="utf-8") + _STYLE
    title = "History of the benchmarks"
    head = el(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        el("title", title),
        el("style", Markup(style)),
    )
    said = f"{len(history.series)} benchmarks over {len(history.commits)} commits"
    places = dict.fromkeys((series.machine, series.environment) for series in history.series)
    body = el(
        "body",
        el("header", el("h1", title), el("p", f"{said}. Lower is better.", class_="soft")),
        el(
            "main",
            _problems(history.problems),
            *[_place(history, *place) for place in places],
            _commits(history.commits),
        ),
    )
    return f"<!doctype html>\n{el('html', head, body, lang='en')}\n"


_STYLE = """
.history .up { fill: var(--bad) } .history .down { fill: var(--good) }
.history .level { stroke: var(--accent); stroke-width: 2; opacity: .55 }
.history .limits { stroke: var(--soft); stroke-width: 1 }
.history { min-width: 420px } .history text { font-size: 10.5px }
.worse { color: var(--bad) } .better { color: var(--good) }
"""


def _problems(problems: Sequence[str]) -> Markup | None:
    if not problems:
        return None
    return el("section", el("h2", "Left out"), el("ul", *[el("li", p) for p in problems]))


def _place(history: History, machine: str, environment: str) -> Markup:
    chosen = [s for s in history.series if (s.machine, s.environment) == (machine, environment)]
    facts = ", ".join(f"{key} {value}" for key, value in history.machines.get(machine, {}).items())
    return el(
        "section",
        el("div", el("h2", machine), el("span", environment, class_="badge"), class_="title"),
        el("p", facts or "Nothing is known of this machine.", class_="soft"),
        _changes(history, chosen),
        *[
            _benchmark(history, name, list(of))
            for name, of in itertools.groupby(chosen, lambda series: series.benchmark)
        ],
        class_="task",
    )


def changes(series: Series) -> list[tuple[int, float]]:
    """(index of the commit, relative change) of each step between two levels."""
    return [
        (series.points[after.first][0], change)
        for before, after in itertools.pairwise(series.steps)
        if before.value
        and min(step.last - step.first + 1 for step in (before, after)) >= SHORTEST
        and abs(change := after.value / before.value - 1) >= SMALLEST
    ]


def _changes(history: History, chosen: Sequence[Series]) -> Markup:
    found = sorted(
        ((change, commit, series) for series in chosen for commit, change in changes(series)),
        key=lambda item: -item[0],
    )
    if not found:
        many = any(len(series.points) >= FEWEST for series in chosen)
        said = "No step was detected." if many else "Too few commits to detect steps."
        return el("p", said, class_="lead")
    rows = [
        el(
            "tr",
            el("td", f"{change:+.1%}", class_="num " + ("worse" if change > 0 else "better")),
            el("td", el("code", history.commits[commit].hash[:10])),
            el("td", history.commits[commit].subject),
            el("td", f"{series.benchmark} {series.parameters}".strip()),
        )
        for change, commit, series in found
    ]
    return el(
        "div",
        el("h3", "Detected steps, to the worse first"),
        el("div", el("table", el("tbody", *rows), class_="grid"), class_="scroll"),
    )


def _benchmark(history: History, name: str, of: Sequence[Series]) -> Markup:
    rows = [
        el(
            "tr",
            el("th", series.parameters or name, scope="row"),
            el("td", shown(series.points[-1][1], series.unit), class_="num"),
            el("td", _chart(history.commits, series)),
        )
        for series in of
    ]
    heads = [
        el("th", "parameters", scope="col"),
        el("th", "latest", scope="col", class_="num"),
        el("th", "history, oldest commit left", scope="col"),
    ]
    table = el(
        "table",
        el("thead", el("tr", *heads)),
        *[el("tbody", row) for row in rows],
        class_="board",
    )
    return el("div", el("h3", name), el("div", el("div", table, class_="scroll"), class_="card"))


def _chart(commits: Sequence[Commit], series: Series) -> Markup:
    seen: list[float] = [v for _, value, limits in series.points for v in (value, *(limits or ()))]
    low, high = min(seen), max(seen)
    # An axis of at least a tenth of the value, so that a quiet benchmark looks quiet.
    pad = max(0.1 * (high - low), 0.05 * max(abs(high), abs(low))) or 1.0

    def x(commit: int) -> float:
        return round(_LEFT + (WIDTH - _LEFT - MARGIN) * (commit + 0.5) / len(commits), 1)

    def y(value: float) -> float:
        share = (value - low + pad) / (high - low + 2 * pad)
        return round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * share, 1)

    parts: list[Markup] = []
    for value in (low, high) if y(low) - y(high) > _APART else (high,):
        text = shown(value, series.unit)
        parts.append(_line(_LEFT, WIDTH - MARGIN, y(value), y(value), "grid"))
        parts.append(el("text", text, x=_LEFT - 6, y=y(value) + 4, text_anchor="end"))
    for step in series.steps:
        first, last = (series.points[index][0] for index in (step.first, step.last))
        parts.append(_line(x(first) - 6, x(last) + 6, y(step.value), y(step.value), "level"))
    marked = dict(changes(series))
    for commit, value, limits in series.points:
        if limits:
            parts.append(_line(x(commit), x(commit), y(limits[0]), y(limits[1]), "limits"))
        of, change = commits[commit], marked.get(commit)
        said = f"{of.hash[:10]}, {_day(of)}: {shown(value, series.unit)}"
        class_ = "dot"
        if change is not None:
            said += f", step of {change:+.1%}"
            class_ = "up" if change > 0 else "down"
        title = el("title", "\n".join(filter(None, (said, of.subject))))
        radius = 3.5 if change is None else 5
        parts.append(el("circle", title, cx=x(commit), cy=y(value), r=radius, class_=class_))
    ends = [shown(series.points[index][1], series.unit) for index in (0, -1)]
    return el(
        "svg",
        *parts,
        class_="plot history",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        width=WIDTH,
        role="img",
        aria_label=f"{ends[0]} at first, {ends[1]} at last",
    )


def _line(x1: float, x2: float, y1: float, y2: float, class_: str) -> Markup:
    return el("line", x1=x1, x2=x2, y1=y1, y2=y2, class_=class_)


def _day(commit: Commit) -> str:
    return datetime.fromtimestamp(commit.date / 1000, UTC).date().isoformat()


def shown(value: float, unit: str) -> str:
    """A value with a unit of its size.

    >>> shown(0.00123, "seconds"), shown(3 * 2**20, "bytes"), shown(0.25, "error")
    ('1.23 ms', '3 MiB', '0.25 error')
    """
    scales: list[tuple[float, str]] = {
        "seconds": [(1.0, "s"), (1e-3, "ms"), (1e-6, "\N{MICRO SIGN}s"), (1e-9, "ns")],
        "bytes": [(2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")],
    }.get(unit, [(1.0, unit)])
    factor, name = next((s for s in scales if abs(value) >= s[0]), scales[-1])
    return f"{value / factor:.3g} {name}".strip()


def _commits(commits: Sequence[Commit]) -> Markup:
    rows = [
        el(
            "tr",
            el("td", _day(of)),
            el("td", el("code", of.hash[:10])),
            el("td", of.subject),
        )
        for of in reversed(commits)
    ]
    return el(
        "section",
        el("h2", "Commits"),
        el("div", el("table", el("tbody", *rows), class_="grid"), class_="scroll"),
        class_="task",
    )
