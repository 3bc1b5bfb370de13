"""Figures of trials on bags: scores over time with the true intervals, ROC and PR by class.

One page per row of a suite, of its first seed: no script, no network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pybench.data.bag_dataset import BagDataset
from pybench.report.markup import Markup, el, join
from pybench.report.words import number
from pybench.run import cache_folder
from pybench.scoring.videos import Video, ranked, roc_auc, roc_auc_interval, videos
from pybench.tasks import tasks

if TYPE_CHECKING:
    from pybench.run import Planned
    from pybench.store import Record, Store

WIDTH, HEIGHT, SIDE = 360, 70, 180
STYLE = """
body { font: 14px system-ui, sans-serif; margin: 2em auto; max-width: 76em; color: #222 }
table { border-collapse: collapse } td, th { padding: .2em .8em; text-align: right }
td:first-child, th:first-child { text-align: left } tr:nth-child(even) { background: #f4f4f4 }
figure { display: inline-block; margin: .4em .8em .4em 0 } figcaption { font-size: 12px }
.pair { display: inline-block }
svg { background: #fafafa; border: 1px solid #ddd } .truth { fill: #f3c5b8 }
.line { fill: none; stroke: #1f5f8b; stroke-width: 1.3 }
"""


def write(planned: Planned, store: Store, folder: Path) -> list[Path]:
    """Write a page for every row of the tasks of bags that has a finished trial.

    Returns:
        The files written.
    """
    written: dict[Path, None] = {}
    for job in planned.jobs:
        trial, task = job.trial, tasks.build(job.trial.task)
        file = folder / trial.task / f"{_slug(f'{trial.model} {trial.name}')}.html"
        if task.meta.kind != "bags" or file in written:
            continue
        record = store.get(job.id)
        if record is None or record.status != "done":
            continue
        ref = planned.data[trial.task]
        dataset = task.load(ref, trial.split, trial.model, cache_folder(store.root))
        if isinstance(dataset, BagDataset):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(page(record, dataset), encoding="utf-8")
            written[file] = None
    return list(written)


def page(record: Record, dataset: BagDataset) -> str:
    """The figures of one trial, from its stored scores."""
    scores, truth, names = [], [], []
    table = record.predictions()
    normal = len(dataset.classes) - 1
    for row in table.filter(table["split"] == "test").iter_rows(named=True):
        kind = -1 if row["label"] == normal else row["label"]
        truth.append(np.where(dataset.truth[row["sample"]], kind, -1))
        scores.append(row["scores"])
        names.append(row["name"])
    classes = dataset.classes[:-1]
    found, _ = videos(truth, scores, classes)
    title = f"{record.trial.name}, {record.trial.model}, seed {record.trial.seed}"
    body = join(
        el("h1", title),
        el("p", "Test videos, scored by frame; intervals are 95 % over videos drawn again."),
        _table(found, classes),
        el("h2", "ROC and precision-recall, each class with the normal videos"),
        *_curves(found, classes),
        el("h2", "Score over time: best, median and worst video of each class"),
        *_timelines(found, truth, names, classes),
    )
    head = el("head", el("meta", charset="utf-8"), el("title", title), el("style", Markup(STYLE)))
    return "<!doctype html>" + el("html", head, el("body", body), lang="en")


def _of(found: Sequence[Video], number_of: int) -> list[Video]:
    return [video for video in found if video.shows(number_of)]


def _table(found: Sequence[Video], classes: Sequence[str]) -> Markup:
    """AUC by class with and without the normal videos, each with its interval over videos."""
    normal = [video for video in found if not video.abnormal]
    abnormal = [video for video in found if video.abnormal]
    groups = [("all", abnormal), *((name, _of(found, c)) for c, name in enumerate(classes))]
    head = ("class", "test videos", "AUC with normal videos", "AUC inside its videos")
    rows = [
        el(
            "tr",
            el("td", name),
            el("td", str(len(mine))),
            el("td", _area([*mine, *normal])),
            el("td", _area(mine)),
        )
        for name, mine in groups
    ]
    return el("table", el("tr", *(el("th", text) for text in head)), *rows)


def _area(chosen: Sequence[Video]) -> str:
    limits = roc_auc_interval(chosen)
    within = "" if limits is None else f" [{number(limits[0])}, {number(limits[1])}]"
    return number(roc_auc(chosen)) + within


def _curves(found: Sequence[Video], classes: Sequence[str]) -> Iterator[Markup]:
    normal = [video for video in found if not video.abnormal]
    for place, name in enumerate(classes):
        mine = _of(found, place)
        if not mine:
            continue
        cells = ranked([*mine, *normal])
        hits = np.cumsum(cells.hits)[cells.last]
        misses = np.cumsum(cells.misses)[cells.last]
        if not hits[-1] or not misses[-1]:
            continue
        recall = hits / hits[-1]
        roc = _line(np.append(0, misses / misses[-1]), np.append(0, recall), SIDE, SIDE)
        pr = _line(recall, hits / (hits + misses), SIDE, SIDE)
        pair = (_figure(line, SIDE, SIDE, f"{name}, {k}") for k, line in (("ROC", roc), ("PR", pr)))
        yield el("div", *pair, class_="pair")


def _timelines(
    found: Sequence[Video],
    truth: Sequence[NDArray[np.int64]],
    names: Sequence[str],
    classes: Sequence[str],
) -> Iterator[Markup]:
    for place, name in enumerate(classes):
        areas = {k: roc_auc([v]) for k, v in enumerate(found) if v.shows(place)}
        order = sorted((k for k in areas if areas[k] is not None), key=lambda k: -(areas[k] or 0))
        if not order:
            continue
        # Of one or two videos each is shown once.
        picked = dict.fromkeys((order[0], order[len(order) // 2], order[-1]))
        yield el("h3", f"{name}: {len(areas)} test videos")
        for k in picked:
            yield _figure(
                join(*_spans(truth[k] >= 0), _steps(found[k])),
                WIDTH,
                HEIGHT,
                f"{names[k]}, {len(truth[k])} frames, AUC {number(areas[k])}",
            )


def _spans(abnormal: NDArray[np.bool_]) -> Iterator[Markup]:
    """The true intervals as bars."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], abnormal.astype(np.int8), [0]])))
    for begin, end in edges.reshape(-1, 2).tolist():
        x, width = WIDTH * begin / len(abnormal), WIDTH * (end - begin) / len(abnormal)
        yield el(
            "rect", x=f"{x:.1f}", y=0, width=f"{max(width, 1):.1f}", height=HEIGHT, class_="truth"
        )


def _steps(video: Video) -> Markup:
    """The score of each snippet, from 0 at the bottom to 1."""
    borders = np.append(0, np.cumsum(video.hits + video.misses)) / (video.hits + video.misses).sum()
    return _line(np.repeat(borders, 2)[1:-1], np.repeat(video.scores, 2), WIDTH, HEIGHT)


def _line(x: NDArray[np.float64], y: NDArray[np.float64], width: int, height: int) -> Markup:
    # Half pixels, each once in a row: thousands of thresholds fall on few of them.
    places = np.rint(2 * np.stack([width * x, height * (1 - y)], axis=1)) / 2
    moved = np.append(True, (np.diff(places, axis=0) != 0).any(axis=1))
    points = " ".join(f"{a:g},{b:g}" for a, b in places[moved].tolist())
    return el("polyline", points=points, class_="line")


def _figure(inside: Markup, width: int, height: int, caption: str) -> Markup:
    picture = el("svg", inside, width=width, height=height, role="img", aria_label=caption)
    return el("figure", picture, el("figcaption", caption))


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")
