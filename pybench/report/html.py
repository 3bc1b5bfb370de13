"""A board as one HTML file: no network, no dependency, opens from disk, script pinned by hash."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from pybench.published import Paper, PublishedTable
from pybench.report.leaderboard import Board, Row, TaskBoard
from pybench.report.markup import Markup, el, join
from pybench.report.plot import Axis, interval
from pybench.report.words import ADJUSTED, clip, number, printed, rank

SHOWN = 120
"""Characters of a name in the table; the whole of it stands in the details."""

PROVENANCE = {
    "real": "the data of the task itself",
    "surrogate-real": "real data of another source that stands in for the paper's",
    "generated": (
        "made by a program: it shows that the comparison works, not which loss is best on real data"
    ),
}


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Fields:
        head: what its head says.
        means: what it shows, in one sentence.
        cell: the ``td`` of a row.
        first: direction of the first click; None when it does not sort.
        class_: CSS class of the head.
        under: drawn below the head.
    """

    head: str
    means: str
    cell: Callable[[Row], Markup]
    first: Literal["ascending", "descending"] | None = "ascending"
    class_: str | None = None
    under: Markup | None = None


def page(board: Board) -> str:
    """The whole file; the same board gives the same bytes."""
    script, style = _asset("page.js"), _asset("page.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    head = el(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        el("title", f"{board.suite} leaderboard"),
        el("style", Markup(style)),
    )
    body = el(
        "body",
        _header(board),
        el("main", *[_task(task) for task in board.tasks], _refused(board)),
        _footer(board),
        el("script", Markup(script)),
    )
    return f"<!doctype html>\n{el('html', head, body, lang='en')}\n"


@functools.cache
def _asset(name: str) -> str:
    return (files("pybench.report") / name).read_text(encoding="utf-8")


def _header(board: Board) -> Markup:
    rows = [row for task in board.tasks for row in task.rows]
    done, failed = sum(row.n_seeds for row in rows), sum(row.failures for row in rows)
    facts = [f"{done} trials done", f"{failed} failed"]
    if board.missing:
        facts.append(f"{board.missing} not run yet")
    return el(
        "header",
        el("h1", f"{board.suite} leaderboard"),
        el(
            "p",
            f"{', '.join(facts)}. Made {board.created} by ",
            el("code", board.command),
            class_="soft",
        ),
    )


def _task(task: TaskBoard) -> Markup:
    badges = [_provenance(kind) for kind in task.provenance]
    return el(
        "section",
        el(
            "div",
            el("h2", task.name),
            *badges,
            el("span", task.meta.title, class_="soft"),
            class_="title",
        ),
        _lead(task.summary),
        el(
            "div",
            Markup(
                '<input type="search" placeholder="Filter: loss, sampler, model" '
                'aria-label="Filter rows by loss, sampler, model or step">'
            ),
            el("output", class_="soft", aria_live="polite"),
            class_="bar",
        ),
        el("div", el("div", _board(task), class_="scroll"), class_="card"),
        _floors(task),
        _columns_explained(task),
        _data_card(task),
        _paper(task),
        class_="task",
        id=f"task-{task.name}",
    )


def _provenance(kind: str) -> Markup:
    return el(
        "span",
        f"{kind} data",
        class_="badge" if kind == "real" else "badge made",
        title=PROVENANCE.get(kind),
    )


def _lead(summary: Sequence[str]) -> Markup:
    rest = " ".join(summary[1:])
    return el("p", summary[0], el("span", rest) if rest else None, class_="lead")


# --- the table ------------------------------------------------------------------------------


def _columns(task: TaskBoard) -> list[Column]:
    unit = f" ({task.rows[0].unit})" if task.rows[0].unit else ""
    what = f"{task.meta.headline} on {task.meta.headline_split}{unit}"
    baseline = next((row.mean for row in task.rows if row.name == ADJUSTED), None)
    axis = Axis.around(task.rows, baseline)
    columns = [
        Column(
            "rank",
            "Ranks this row may hold: 2\N{EN DASH}5 means that one row is proved better than it, "
            "and all but the first five are proved worse.",
            lambda row: el("td", rank(row), class_="num", data_sort=row.rank_low or ""),
            class_="num",
        ),
        Column(
            "what was trained",
            "Loss, with the steps taken after training; below it sampler, transform and model. "
            "Open a row for its repetitions, all metrics and the command.",
            lambda row: el("th", _name(row), scope="row", data_sort=row.name),
        ),
        Column(
            "mean",
            f"Mean {what} over the repetitions that finished, with its 95 % t interval.",
            _mean,
            first="descending" if all(row.higher_is_better for row in task.rows) else "ascending",
            class_="num",
        ),
        Column(
            "95 % interval",
            "Mean (large dot), 95 % interval (line) and single repetitions (small dots) on one "
            "axis; the dashed line is cross-entropy with post-hoc logit adjustment.",
            lambda row: el("td", interval(row, axis)),
            first=None,
            under=axis.scale(),
        ),
        Column(
            "ties",
            "Rows that share a letter cannot be told apart: studentized range with moderated "
            "variances, family-wise 5 %. A row whose rank begins at 1 may be the best.",
            _tie,
            class_="mid",
        ),
    ]
    if any(row.per_class_recall for row in task.rows):
        columns += [_recall(of, task.meta.headline_split) for of in task.classes]
    columns += [
        Column(
            "failed",
            "Trials that crashed, ran out of time or memory, or gave NaN; the mean is over the "
            "others.",
            _failed,
            first="descending",
            class_="mid",
        ),
        Column(
            "train s",
            "Mean seconds of training; a step after training costs none.",
            _seconds,
            class_="num wide",
        ),
    ]
    if task.paper and task.paper.tables:
        columns.append(_printed(task.paper, task.paper.tables[0]))
    return columns


def _board(task: TaskBoard) -> Markup:
    columns = _columns(task)
    return el(
        "table",
        el("thead", el("tr", *[_head(column) for column in columns])),
        *[_row(row, columns, reference=row.name in task.floors) for row in task.rows],
        class_="board",
        aria_label=f"Rows of {task.name} by {task.meta.headline}",
    )


def _head(column: Column) -> Markup:
    label = el("span", clip(column.head, 24))
    if column.first:
        label = el("button", label, type="button", class_="sort")
    return el(
        "th",
        label,
        column.under,
        scope="col",
        class_=column.class_,
        title=column.means,
        data_first=column.first,
    )


def _row(row: Row, columns: Sequence[Column], *, reference: bool) -> Markup:
    return el(
        "tbody",
        el("tr", *[column.cell(row) for column in columns]),
        el("tr", el("td", _details(row), colspan=len(columns)), class_="more"),
        data_text=" ".join([row.name, row.sampler, row.transform, row.model]).lower(),
        class_="reference" if reference else None,
    )


def _name(row: Row) -> Markup:
    spec = " ".join([row.loss, *(f"\N{RIGHTWARDS ARROW} {step}" for step in row.steps)])
    # One configured loss reads best as its name with the parameters smaller; a sum does not.
    name, bracket, rest = clip(spec, SHOWN).partition("(")
    if " " in name:
        name, bracket, rest = clip(spec, SHOWN), "", ""
    parts = [row.sampler, "" if row.transform == "none" else row.transform, row.model]
    if row.counts == "sampled":
        parts.append("sampled counts")
    under = clip(" \N{MIDDLE DOT} ".join(filter(None, parts)), SHOWN)
    return el(
        "button",
        el("bdi", el("span", name, class_="name"), el("span", bracket + rest, class_="args")),
        el("bdi", under, class_="under"),
        type="button",
        class_="open",
        aria_expanded="false",
    )


def _mean(row: Row) -> Markup:
    limits = (
        None
        if row.low is None
        else el("span", f"{number(row.low)} \N{EN DASH} {number(row.high)}", class_="under wide")
    )
    return el("td", number(row.mean), limits, class_="num", data_sort=_plain(row.mean))


def _tie(row: Row) -> Markup:
    if row.tie is None:
        return el("td", "-", class_="mid tie", data_sort="")
    letters = el("b", row.tie) if row.rank_low == 1 else row.tie
    return el("td", letters, class_="mid tie", data_sort=row.tie)


def _recall(of: str, split: str) -> Column:
    def cell(row: Row) -> Markup:
        value = row.per_class_recall.get(of)
        if value is None:
            return el("td", "-", class_="mid wide", data_sort="")
        return el(
            "td",
            f"{100 * value:.0f}",
            class_="heat wide",
            style=f"--v:{value:.3f}",
            title=f"{of}: {number(value)}",
            data_sort=_plain(value),
        )

    means = f"Recall of class {of} on {split}, in percent."
    return Column(of, means, cell, first="descending", class_="tall wide")


def _failed(row: Row) -> Markup:
    said = f"{row.failures} of {row.failures + row.n_seeds}"
    return el(
        "td",
        el("span", said, class_="fail") if row.failures else "-",
        class_="mid",
        data_sort=row.failures,
        title="; ".join(clip(reason, SHOWN) for reason in row.failure_reasons) or None,
    )


def _seconds(row: Row) -> Markup:
    said = "-" if row.train_s is None else f"{row.train_s:.1f}"
    return el("td", said, class_="num wide", data_sort=_plain(row.train_s))


def _printed(paper: Paper, table: PublishedTable) -> Column:
    def cell(row: Row) -> Markup:
        found = printed(paper, row)
        return el(
            "td",
            " / ".join(f"{value:g}" for _, value in found) or "-",
            class_="num wide",
            title=", ".join(f"{model} {value:g} {table.unit}" for model, value in found) or None,
            data_sort=max((value for _, value in found), default=""),
        )

    means = (
        f"{table.name} of the paper, {table.title} ({table.unit}): {' / '.join(table.models)}. "
        "Its data and models differ from ours: compare orders, not values."
    )
    return Column("paper", means, cell, first="descending", class_="num wide")


def _details(row: Row) -> Markup:
    seeds = [
        el(
            "tr",
            el("th", seed, scope="row"),
            el("td", number(value) if value is not None else "failed or missing"),
        )
        for seed, value in zip(row.seeds, row.values, strict=True)
    ]
    measured = [
        el(
            "tr",
            el("td", el("bdi", rest)),
            el("td", part, class_="soft"),
            el("td", number(value), class_="num"),
        )
        for (part, _, rest), value in ((k.partition(" "), v) for k, v in row.other_metrics.items())
    ]
    command = [
        el("h3", "Run it again"),
        el("pre", row.command),
        el("h3", "Whole name"),
        el("pre", el("bdi", row.name)),
        el("h3", "Gradient norm at step 0"),
        el("p", number(row.gradient_norm_0)),
    ]
    if row.failure_reasons:
        command += [el("h3", "Failures"), el("pre", "\n".join(row.failure_reasons))]
    return el(
        "details",
        el("summary", "repetitions, all metrics, command"),
        el(
            "div",
            el("div", el("h3", f"{row.metric} by repetition"), el("table", *seeds, class_="small")),
            el("div", el("h3", "All metrics, mean"), el("table", *measured, class_="small"))
            if measured
            else None,
            el("div", *command),
            class_="cols",
        ),
    )


# --- below the table ------------------------------------------------------------------------


def _fold(title: str, hint: str, *children: str | None, open_: bool = False) -> Markup:
    body = join(el("summary", title, " ", el("span", hint, class_="soft")), el("div", *children))
    return Markup(f'<details class="card fold"{" open" if open_ else ""}>{body}</details>')


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    return el(
        "div",
        el(
            "table",
            el("thead", el("tr", *[el("th", head, scope="col") for head in heads])),
            el("tbody", *[el("tr", *[el("td", cell) for cell in row]) for row in rows]),
            class_="grid",
        ),
        class_="scroll",
    )


def _floors(task: TaskBoard) -> Markup:
    said = {
        "majority": "always the largest class",
        "prior": "draws by the training counts",
        "ce": "cross-entropy",
        ADJUSTED: "cross-entropy with post-hoc logit adjustment",
    }
    parts = [f"{said.get(name, name)} {number(value)}" for name, value in task.floors.items()]
    text = f"To beat: {', '.join(parts)}." if parts else "No reference row has been run."
    return el("p", text, class_="soft", style="margin-top:10px")


def _columns_explained(task: TaskBoard) -> Markup:
    items = [el("li", el("b", c.head), ": ", c.means) for c in _columns(task)]
    method = (
        "Repetitions are paired: every row sees the same split, initialisation, order and "
        "augmentation under the same seed. Row and seed effects are weighted least squares; each "
        "row's variance is moderated towards the common one (empirical Bayes), and the "
        "studentized range decides which rows differ. A failed repetition is left out and counted."
    )
    return _fold("How to read it", "columns and method", el("ul", *items), el("p", method))


def _data_card(task: TaskBoard) -> Markup:
    meta = task.meta
    counts = ", ".join(f"{of} {n}" for of, n in zip(task.classes, task.train_counts, strict=False))
    facts = [
        *[("provenance", f"{kind}: {PROVENANCE.get(kind, '-')}") for kind in task.provenance],
        ("source", meta.source),
        ("licence", meta.licence),
        ("revision", str(meta.revision)),
        ("training samples", counts or "unknown"),
        (
            "evaluated on",
            ", ".join(f"{part} {n}" for part, n in task.part_sizes.items()) or "unknown",
        ),
        ("ranked by", f"{meta.headline} on {meta.headline_split}"),
        ("repetitions", task.varies),
    ]
    problems = [el("li", problem) for problem in task.problems]
    return _fold(
        "The data",
        f"{', '.join(task.provenance) or 'unknown'} data, {meta.title}",
        _grid(("", ""), facts),
        el("h3", "Problems found while reading") if problems else None,
        el("ul", *problems) if problems else None,
    )


def _paper(task: TaskBoard) -> Markup | None:
    paper = task.paper
    if paper is None:
        return None
    verdicts = [
        (v.table, v.cell, v.printed, v.ours, el("span", v.verdict, class_=_tone(v.verdict)))
        for v in task.verdicts
    ]
    orders = [v.verdict for v in task.verdicts if not v.verdict.startswith("not ")]
    agree = sum(verdict == "order agrees" for verdict in orders)
    against = sum(verdict.startswith("order contradicts") for verdict in orders)
    return _fold(
        "The paper beside us",
        f"{len(orders)} claimed orders: {agree} agree, {against} contradict, "
        f"{len(orders) - agree - against} cannot be told",
        el("p", f"{paper.authors}: {paper.title}."),
        el("ul", *[el("li", finding) for finding in paper.findings]),
        el("p", f"Not stated in the paper: {', '.join(paper.unstated)}.", class_="soft"),
        _grid(("where", "cell or claim", "printed", "ours", "verdict"), verdicts),
    )


def _tone(verdict: str) -> str:
    if verdict == "order agrees":
        return "agrees"
    return "contradicts" if verdict.startswith("order contradicts") else "open-question"


def _refused(board: Board) -> Markup | None:
    if not board.refused:
        return None
    return _fold(
        "Not applicable",
        f"combinations kept out of the ranks: {len(board.refused)}",
        _grid(("task", "row", "reason"), board.refused),
    )


def _footer(board: Board) -> Markup:
    host = [(key, ", ".join(values)) for key, values in board.host.items()]
    return el(
        "footer",
        el(
            "div",
            _fold("Made on", "machine and versions", _grid(("", ""), host)),
            _fold(
                "How this page was made",
                "command and files",
                el("pre", board.command),
                el(
                    "p",
                    "leaderboard.json holds every number of this page; leaderboard.md is its "
                    "short form.",
                ),
            ),
        ),
    )


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
