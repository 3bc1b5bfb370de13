"""Do shortcuts solve the simulated collisions? Measures what each of four views of a clip tells.

``python -m pybench.data.crash_audit --clips 1000`` makes as many clips, equally many per class, and
prints a table of cross-validated scores: file size, brightness over time, one random frame, and the
whole clip. The first two must stay near chance, the third far below the last.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pybench import video
from pybench.data import crash_scenes
from pybench.data.rigid_bodies import FRAMES
from pybench.data.traffic import CLASSES
from pybench.models.small3d import Small3D
from pybench.processes import pool
from pybench.seeds import generator, integer
from pybench.types import ModelContext

FOLDS = 5
REPEATS = 10
"""Cross-validations of a forest; a single one moves by a point or two with its folds and seeds."""
SIZE = Small3D.size
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Views:
    """What the classifiers see of N clips."""

    labels: Labels
    bytes: NDArray[np.int64]
    frames: NDArray[np.uint8]
    """(N, 50, H, W, 3)"""


@dataclass(frozen=True)
class Row:
    """Scores of one view, in points (0..100), with the 95% interval over clips."""

    view: str
    balanced_accuracy: float
    macro_f1: float
    low: float
    high: float


def views(clips: int, seed: int, workers: int) -> Views:
    """Write and read back clips, equally many per class."""
    with pool(workers) as processes:
        seen = list(processes.map(partial(_view, seed), range(clips), chunksize=4))
    labels = np.arange(clips, dtype=np.int64) % len(CLASSES)
    return Views(labels, np.array([s for s, _ in seen]), np.stack([f for _, f in seen]))


def _view(seed: int, i: int) -> tuple[int, NDArray[np.uint8]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        kind = CLASSES[i % len(CLASSES)]
        # Folds see every codec: the codec goes with the clip's number, as in the data set.
        codec: video.Codec = "h264" if i // len(CLASSES) % 10 == 9 else "mpeg4"
        crash_scenes.write(path, kind, seed, f"audit-{i}", codec)
        return path.stat().st_size, video.sample_frames(path, indices=range(FRAMES), size=SIZE).data


def table(seen: Views, seed: int) -> list[Row]:
    """Cross-validated scores of the four views."""
    learners: dict[str, tuple[int, Callable[[Views, Labels, Labels, int], Labels]]] = {
        "file size": (REPEATS, _by_size),
        "brightness over time": (REPEATS, _by_brightness),
        "one random frame": (1, _by_frame),
        "whole clip (small3d)": (1, _by_clip),
    }
    rows = []
    for name, (repeats, learn) in learners.items():
        guess = np.empty((repeats, len(seen.labels)), dtype=np.int64)
        for repeat in range(repeats):
            fold = _folds(seen.labels, seed, repeat)
            for k in range(FOLDS):
                train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
                drawn = integer(seed, name, repeat, k) % 2**32
                guess[repeat, test] = learn(seen, train, test, drawn)
        rows.append(_row(name, seen.labels, guess, seed))
    return rows


def _folds(labels: Labels, seed: int, repeat: int) -> Labels:
    fold = np.empty_like(labels)
    for c in range(len(CLASSES)):
        rng = generator(seed, "audit", "folds", repeat, c)
        mine = rng.permutation(np.flatnonzero(labels == c))
        fold[mine] = np.arange(len(mine)) % FOLDS
    return fold


def _row(name: str, labels: Labels, guess: Labels, seed: int) -> Row:
    """Scores of guesses (R, N), means over R cross-validations; the interval is over clips."""
    right = guess == labels
    recall = [right[:, labels == c].mean(0) for c in range(len(CLASSES))]
    rng = generator(seed, "audit", "bootstrap", name)
    draws = [np.mean([rng.choice(r, len(r)).mean() for r in recall]) for _ in range(2000)]
    f1 = [
        2 * (one & (labels == c)).sum() / max((labels == c).sum() + (guessed == c).sum(), 1)
        for c in range(len(CLASSES))
        for one, guessed in zip(right, guess, strict=True)
    ]
    low, high = np.percentile(draws, [2.5, 97.5])
    balanced = float(np.mean([r.mean() for r in recall]))
    return Row(name, 100 * balanced, 100 * float(np.mean(f1)), 100 * float(low), 100 * float(high))


def _forest(
    features: NDArray[np.float64], seen: Views, train: Labels, test: Labels, seed: int
) -> Labels:
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(300, min_samples_leaf=5, random_state=seed)
    guess: Labels = forest.fit(features[train], seen.labels[train]).predict(features[test])
    return guess


def _by_size(seen: Views, train: Labels, test: Labels, seed: int) -> Labels:
    return _forest(np.log(seen.bytes)[:, None], seen, train, test, seed)


def _by_brightness(seen: Views, train: Labels, test: Labels, seed: int) -> Labels:
    level = seen.frames.mean(axis=(2, 3, 4))
    steps = np.diff(level, axis=1)
    features = [level, steps, np.sort(np.abs(steps), axis=1), np.std(steps, axis=1, keepdims=True)]
    return _forest(np.concatenate(features, axis=1), seen, train, test, seed)


def _by_frame(seen: Views, train: Labels, test: Labels, seed: int) -> Labels:
    rng = generator(seed, "frames")
    layers: list[nn.Module] = []
    widths = (3, 16, 32, 64, 96)
    torch.manual_seed(seed)
    for a, b in pairwise(widths):
        layers += [nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    net = nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(96, len(CLASSES))
    )

    def picture(indices: Labels) -> Tensor:
        frames = seen.frames[indices, rng.integers(0, FRAMES, len(indices))]
        return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 64 - 2

    _fit(net, picture, seen.labels, np.tile(train, 4), epochs=12, batch=64, seed=seed)
    with torch.no_grad():
        guess: Labels = net.eval()(picture(test)).argmax(1).numpy()
    return guess


def _by_clip(seen: Views, train: Labels, test: Labels, seed: int) -> Labels:
    torch.manual_seed(seed)
    net = Small3D().build(ModelContext(num_classes=len(CLASSES)))
    uniform = np.linspace(0, FRAMES - 1, Small3D.frames).round().astype(int)

    def clip(indices: Labels) -> Tensor:
        return torch.from_numpy(seen.frames[np.ix_(indices, uniform)])

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, clips: Tensor) -> Tensor:
            logits: Tensor = self.net(clips).logits
            return logits

    model = Logits()
    _fit(model, clip, seen.labels, train, epochs=15, batch=16, seed=seed)
    with torch.no_grad():
        parts = [model.eval()(clip(part)).argmax(1) for part in np.array_split(test, 8)]
    guess: Labels = torch.cat(parts).numpy()
    return guess


def _fit(
    net: nn.Module,
    read: Callable[[Labels], Tensor],
    labels: Labels,
    train: Labels,
    *,
    epochs: int,
    batch: int,
    seed: int,
) -> None:
    rng = generator(seed, "order")
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    steps = epochs * -(-len(train) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    net.train()
    for _ in range(epochs):
        order = rng.permutation(train)
        for begin in range(0, len(order), batch):
            drawn = order[begin : begin + batch]
            loss = functional.cross_entropy(net(read(drawn)), torch.from_numpy(labels[drawn]))
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()


def markdown(rows: list[Row]) -> str:
    """The table of the data card."""
    head = "| view of a clip | balanced accuracy | 95% interval | macro-F1 |\n|---|---|---|---|\n"
    return head + "\n".join(
        f"| {r.view} | {r.balanced_accuracy:.1f} | {r.low:.1f} .. {r.high:.1f} | {r.macro_f1:.1f} |"
        for r in rows
    )


def main() -> None:
    """Make the clips, train the four classifiers, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seen = views(arguments.clips, arguments.seed, arguments.workers)
    print(markdown(table(seen, arguments.seed)))


if __name__ == "__main__":
    from pybench.data import crash_audit

    crash_audit.main()  # the imported one: workers look its functions up by the module's name
