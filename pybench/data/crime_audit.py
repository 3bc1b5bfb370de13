"""Do shortcuts tell generated anomalies? Measures what each of three views of a video tells.

``python -m pybench.data.crime_audit`` makes the default videos and prints a table of
cross-validated AUCs of abnormal against normal videos, with 95 % intervals over videos: length of
the video, mean length of its features, its scene. All three must stay near .5. The statistics that
the generator was built to follow.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pybench.core import roc_auc
from pybench.data.crime_snippets import World, events
from pybench.data.snippets import Features, segmented
from pybench.data.ucf import NORMAL
from pybench.seeds import generator

FOLDS = 5
RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Views:
    """What the shortcuts see of N videos, and how their features look.

    Fields:
        abnormal: (N,) truth.
        views: name -> (N, V) what a shortcut sees.
        active: (N,) share of features above zero.
        neighbours: (N,) mean cosine of neighbouring segments.
    """

    abnormal: NDArray[np.bool_]
    views: dict[str, NDArray[np.float64]]
    active: NDArray[np.float64]
    neighbours: NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """AUC of one view with its 95 % interval over videos."""

    view: str
    auc: float
    low: float
    high: float


def views(world: World, scale: float = 1.0) -> Views:
    """Make videos and look at them as the shortcuts do."""
    drawn = list(events(world, scale))
    length = np.zeros((len(drawn), 2))
    norm = np.zeros((len(drawn), 2))
    scene = np.zeros((len(drawn), world.SCENES))
    active, neighbours = np.zeros(len(drawn)), np.zeros(len(drawn))
    for row, event in enumerate(drawn):
        features = world.features(event)
        norms = np.linalg.norm(features, axis=2)
        length[row] = event.snippets, np.log(event.snippets)
        norm[row] = norms.mean(), norms.std()
        scene[row, event.scene] = 1
        active[row] = (features > 0).mean()
        neighbours[row] = _neighbour_cosine(segmented(features))
    return Views(
        np.array([event.of != NORMAL for event in drawn]),
        {"length of the video": length, "length of its features": norm, "scene": scene},
        active,
        neighbours,
    )


def table(seen: Views, seed: int) -> list[Row]:
    """Cross-validated AUC of every view."""
    fold = generator(seed, "audit", "folds").permutation(len(seen.abnormal)) % FOLDS
    rows = []
    for name, view in seen.views.items():
        scores = np.zeros(len(view))
        for k in range(FOLDS):
            held = fold == k
            # Ranks within a fold, so that folds of different offsets can be pooled.
            fitted = _forest(view[~held], seen.abnormal[~held], view[held])
            scores[held] = np.argsort(np.argsort(fitted)) / held.sum()
        rows.append(_row(name, seen.abnormal, scores, seed))
    return rows


def _row(name: str, truth: NDArray[np.bool_], scores: NDArray[np.float64], seed: int) -> Row:
    rng = generator(seed, "audit", "bootstrap", name)
    labels = truth.astype(np.int64)
    draws = []
    for _ in range(RESAMPLES):
        picked = rng.integers(len(labels), size=len(labels))
        draws.append(roc_auc(labels[picked], scores[picked]) or 0.5)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Row(name, float(roc_auc(labels, scores) or 0.5), float(low), float(high))


def _forest(
    view: NDArray[np.float64], truth: NDArray[np.bool_], held: NDArray[np.float64]
) -> NDArray[np.float64]:
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(100, min_samples_leaf=20, random_state=0)
    scores: NDArray[np.float64] = forest.fit(view, truth).predict_proba(held)[:, 1]
    return scores


def _neighbour_cosine(segments: Features) -> float:
    unit = segments / np.linalg.norm(segments, axis=2, keepdims=True)
    return float((unit[1:] * unit[:-1]).sum(2).mean())


def markdown(rows: Sequence[Row]) -> str:
    """The table of the data card."""
    head = "| view of a video | AUC | 95% interval |\n|---|---|---|\n"
    return head + "\n".join(
        f"| {r.view} | {r.auc:.3f} | {r.low:.3f} .. {r.high:.3f} |" for r in rows
    )


def main() -> None:
    """Make the videos, fit the shortcuts, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    seen = views(World(seed=arguments.seed), arguments.scale)
    print(markdown(table(seen, arguments.seed)))
    print(
        f"\nactive features {seen.active.mean():.1%} "
        f"(5..95 %: {np.percentile(seen.active, 5):.1%} .. {np.percentile(seen.active, 95):.1%}); "
        f"cosine of neighbouring segments {seen.neighbours.mean():.3f} "
        f"({np.percentile(seen.neighbours, 5):.3f} .. {np.percentile(seen.neighbours, 95):.3f})"
    )


if __name__ == "__main__":
    main()
