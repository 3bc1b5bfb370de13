"""Generated features of surveillance videos: UCF-Crime's counts, lengths and intervals.

A snippet is the ReLU of a scene, a slow drift, and what happens in it: an event of the video's
class in and around its intervals, and in half of all videos, normal ones too, bursts that mean
nothing (a crowd, headlights, a shaken camera). Scenes, lengths of videos and lengths of features
are drawn apart from the class, so that none of them tells it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pybench.checks import require
from pybench.data import rtfm
from pybench.data.snippets import SNIPPET_FRAMES, Features, Interval
from pybench.data.ucf import ANOMALIES, NORMAL
from pybench.seeds import generator

VERSION = "1"
"""Raised by whatever changes a single number of the default data."""

COUNTS = {
    "Abuse": (48, 2),
    "Arrest": (45, 5),
    "Arson": (41, 9),
    "Assault": (47, 3),
    "Burglary": (87, 13),
    "Explosion": (29, 21),
    "Fighting": (45, 5),
    "RoadAccidents": (127, 23),
    "Robbery": (145, 5),
    "Shooting": (27, 23),
    "Shoplifting": (29, 21),
    "Stealing": (95, 5),
    "Vandalism": (45, 5),
    NORMAL: (800, 150),
}
"""Training and test videos of each class, from the official lists."""

MEDIAN_SHARE = {
    "Abuse": 0.055,
    "Arrest": 0.20,
    "Arson": 0.30,
    "Assault": 0.15,
    "Burglary": 0.21,
    "Explosion": 0.13,
    "Fighting": 0.37,
    "RoadAccidents": 0.087,
    "Robbery": 0.34,
    "Shooting": 0.10,
    "Shoplifting": 0.067,
    "Stealing": 0.13,
    "Vandalism": 0.062,
}
"""Median share of a video that is abnormal, from the temporal annotation of the test videos."""

ALIKE = (
    ("Robbery", "Stealing", "Shoplifting"),
    ("Fighting", "Assault", "Abuse"),
    ("Arson", "Explosion"),
)
"""Classes that share half of what their events look like."""

MEDIAN_SNIPPETS = 118
SNIPPETS = (10, 1500)
TWO_INTERVALS = 16 / 140
LENGTH = 8.0
"""Mean Euclidean length of a snippet's features."""
STEP = 1 / 1024
"""Features are multiples of it: the last bits of another processor's arithmetic do not count."""


@dataclass(frozen=True)
class Difficulty:
    """What makes events hard to see; the defaults are frozen under :data:`VERSION`.

    Fields:
        event: how much an event adds to the features of its class.
        burst: how much a burst adds, in the same measure.
        spread: standard deviation of the strength of an event among videos, of its mean 1.
        unlike: how far classes differ in visibility, of its mean 1.
        around: how much of an event shows before it begins and after it ended, at most; people
            gather and run, smoke rises. It fades over half of the video.
        drift: standard deviation of the slow drift beside a scene's 1.
        threshold: what the ReLU takes off; it decides how many features are zero.
    """

    event: float = 1.9
    burst: float = 1.8
    spread: float = 0.3
    unlike: float = 0.4
    around: float = 0.85
    drift: float = 0.4
    threshold: float = 0.8


@dataclass(frozen=True)
class Event:
    """The truth behind a video.

    Fields:
        name, of, test: the video, its class and its part.
        scene: number of its scene.
        snippets: T.
        intervals: abnormal frames.
        strength: how strong its event is beside others of the class.
        bursts: (kind, first snippet, snippets) of what means nothing.
    """

    name: str
    of: str
    test: bool
    scene: int
    snippets: int
    intervals: tuple[Interval, ...]
    strength: float
    bursts: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class World:
    """What all videos of a seed share: scenes, and what events look like.

    Fields:
        seed: of all random numbers.
        width: D.
        crops: K views of each snippet.
        difficulty: how hard events are to see.
    """

    seed: int = 0
    width: int = 256
    crops: int = 1
    difficulty: Difficulty = Difficulty()

    SCENES = 60
    BURSTS = 3

    def __post_init__(self) -> None:
        require(self.width >= 40, "width", ">= 40", self.width)
        require(self.crops >= 1, "crops", ">= 1", self.crops)

    @cached_property
    def scenes(self) -> NDArray[np.float64]:
        """(scenes, D) what a place looks like when nothing happens."""
        return generator(self.seed, "anomaly", "scenes").normal(size=(self.SCENES, self.width))

    @cached_property
    def looks(self) -> dict[str, NDArray[np.float64]]:
        """Class -> (D,) what its events add: a tenth of the features, by its visibility."""
        each = self.width // 10
        shared = {
            name: generator(self.seed, "anomaly", "alike", number).permutation(self.width)[
                : each // 2
            ]
            for number, names in enumerate(ALIKE)
            for name in names
        }
        looks = {}
        for name in ANOMALIES:
            rng = generator(self.seed, "anomaly", "look", name)
            own = rng.permutation(self.width)
            chosen = np.concatenate([shared.get(name, own[:0]), own])[:each]
            look = np.zeros(self.width)
            look[chosen] = 1 + self.difficulty.unlike * rng.uniform(-1, 1)
            looks[name] = look
        return looks

    @cached_property
    def bursts(self) -> NDArray[np.float64]:
        """(kinds, D) what harmless bursts add; some of it is what events add, too."""
        bursts = np.zeros((self.BURSTS, self.width))
        events = np.stack(list(self.looks.values()))
        for kind, burst in enumerate(bursts):
            rng = generator(self.seed, "anomaly", "burst", kind)
            like = rng.permutation(len(events))[:2]
            burst[rng.permutation(self.width)[: self.width // 10]] = 1
            burst[:] = np.maximum(burst, rng.random(self.width) < 0.5 * events[like].mean(0))
        return bursts

    def event(self, of: str, number: int, *, test: bool) -> Event:
        """What happens in a video."""
        part = "test" if test else "train"
        rng = generator(self.seed, "anomaly", part, of, number)
        low, high = SNIPPETS
        snippets = int(np.clip(rng.lognormal(np.log(MEDIAN_SNIPPETS), 0.9), low, high))
        normal = of == NORMAL
        stem = f"Normal_Videos{'_' * test}" if normal else of
        return Event(
            name=f"{stem}{number:03}_x264",
            of=of,
            test=test,
            scene=int(rng.integers(self.SCENES)),
            snippets=snippets,
            intervals=() if normal else _intervals(MEDIAN_SHARE[of], snippets, rng),
            strength=float(max(1 + self.difficulty.spread * rng.normal(), 0.2)),
            bursts=_bursts(snippets, self.BURSTS, rng),
        )

    def features(self, event: Event) -> Features:
        """(T, K, D) features of a video."""
        how = self.difficulty
        part = "test" if event.test else "train"
        rng = generator(self.seed, "anomaly", part, "features", event.name)
        size = (event.snippets, self.width)
        seen = self.scenes[event.scene] + 0.3 * rng.normal(size=self.width)
        happens = how.drift * _drift(rng, size)
        if event.intervals:
            shape = _visible(event.intervals, event.snippets, how.around) * event.strength
            shape *= how.event
            happens += shape[:, None] * self.looks[event.of]
        for kind, first, count in event.bursts:
            shape = np.sin(np.pi * (np.arange(count) + 0.5) / count)
            happens[first : first + count] += how.burst * shape[:, None] * self.bursts[kind]
        views = seen + happens
        crops = [views] + [views + 0.3 * rng.normal(size=size) for _ in range(self.crops - 1)]
        active = np.maximum(np.stack(crops, axis=1) - how.threshold, 0)
        # How long features are is drawn apart, or it would tell where something happens.
        lengths = LENGTH * (1 + 0.1 * rng.normal() + 0.05 * _drift(rng, (event.snippets, 1)))
        active *= (lengths / np.maximum(np.sqrt((active**2).sum(2)).mean(1), 1e-6)[:, None])[
            ..., None
        ]
        return (np.rint(active / STEP) * STEP).astype(np.float32)


def events(world: World, scale: float = 1.0) -> Iterator[Event]:
    """Every video of the data set, or a share of each class with at least five in each part."""
    for of, sizes in COUNTS.items():
        first = 1
        for size, test in zip(sizes, (False, True), strict=True):
            number = size if scale == 1 else max(round(scale * size), min(size, 5))
            for place in range(number):
                yield world.event(of, first + place, test=test)
            first += number


def make(directory: Path, *, scale: float, seed: int, crops: int = 1, width: int = 256) -> None:
    """Write generated videos in RTFM's layout, and the truth behind them in ``events.jsonl``.

    Args:
        directory: new folder.
        scale: share of the real number of videos, 1 = 1,610 and 290.
        seed: of all random numbers.
        crops: K.
        width: D.
    """
    world = World(seed=seed, crops=crops, width=width)
    drawn = list(events(world, scale))
    rtfm.write(
        directory,
        (rtfm.Described(e.name, e.of, e.test, world.features(e), e.intervals) for e in drawn),
    )
    log = "".join(json.dumps(vars(event)) + "\n" for event in drawn)
    (directory / "events.jsonl").write_text(log)


def fingerprint() -> str:
    """Hash of some videos of the default data: it changes when any number of them does."""
    world, digest = World(), hashlib.blake2b(digest_size=16)
    for of in COUNTS:
        for test in (False, True):
            event = world.event(of, 1, test=test)
            digest.update(json.dumps(vars(event)).encode())
            digest.update(world.features(event).tobytes())
    return digest.hexdigest()


def _drift(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float64]:
    """(T, D) slow noise of variance 1: each snippet remembers .9 of the one before."""
    noise = rng.normal(size=size)
    noise[1:] *= (1 - 0.9**2) ** 0.5
    for before, row in pairwise(noise):
        row += 0.9 * before
    return noise


def _intervals(share: float, snippets: int, rng: np.random.Generator) -> tuple[Interval, ...]:
    """One interval of abnormal frames, sometimes two with a gap."""
    frames = SNIPPET_FRAMES * snippets
    length = int(np.clip(share * rng.lognormal(0, 0.6) * frames, SNIPPET_FRAMES, 0.8 * frames))
    if rng.random() >= TWO_INTERVALS or length < 4 * SNIPPET_FRAMES:
        begin = int(rng.integers(frames - length + 1))
        return ((begin, begin + length),)
    first = int(length * rng.uniform(0.3, 0.7))
    left, gap, _ = np.diff(np.sort(rng.integers(frames - length, size=2)), prepend=0, append=0)
    middle = left + first + max(int(gap), 1)
    return ((int(left), int(left) + first), (int(middle), int(middle) + length - first))


def _bursts(
    snippets: int, kinds: int, rng: np.random.Generator
) -> tuple[tuple[int, int, int], ...]:
    """Harmless bursts: in half of all videos, one to three."""
    number = int(rng.integers(1, 4)) if rng.random() < 0.5 else 0
    found = []
    for _ in range(number):
        length = int(np.clip(snippets * rng.uniform(0.03, 0.15), 2, snippets))
        first = int(rng.integers(snippets - length + 1))
        found.append((int(rng.integers(kinds)), first, length))
    return tuple(found)


def _visible(intervals: tuple[Interval, ...], snippets: int, around: float) -> NDArray[np.float64]:
    """(T,) how much of an event each snippet shows: it swells, fades, and leaves traces."""
    shown = np.zeros(SNIPPET_FRAMES * snippets)
    frames = np.arange(len(shown)) + 0.5
    for begin, end in intervals:
        within = np.clip((frames - begin) / (end - begin), 0, 1)
        away = np.maximum(np.maximum(begin - frames, frames - end), 0) / len(frames)
        swell = 0.6 + 0.4 * np.sin(np.pi * within)
        shown = np.maximum(shown, np.where(away == 0, swell, around * (1 - 2 * away)))
    return np.asarray(shown.reshape(snippets, SNIPPET_FRAMES).mean(axis=1))
