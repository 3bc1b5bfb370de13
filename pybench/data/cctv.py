"""Simulated surveillance video in UCF-Crime's folder layout: the way from pixels, at any size.

A fixed camera over a floor, people who walk through, and in an abnormal video one event. Meant for
walking the whole way (`pybench features extract`, training, report) without the real videos; the
benchmark itself trains on simulated features of the real set's size.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pybench import video
from pybench.data.crime_snippets import COUNTS
from pybench.seeds import generator

HEIGHT, WIDTH, FPS = 120, 160, 30
EVENTS = {
    "Abuse": "struggle",
    "Arrest": "halt",
    "Arson": "fire",
    "Assault": "struggle",
    "Burglary": "dash",
    "Explosion": "fire",
    "Fighting": "struggle",
    "RoadAccidents": "impact",
    "Robbery": "dash",
    "Shooting": "flashes",
    "Shoplifting": "dash",
    "Stealing": "dash",
    "Vandalism": "stain",
}
"""What an event looks like; classes that share one differ in how strong it is."""
LEAST = (2, 1)
"""Training and test videos of a class at any scale: enough to hold one out."""
FRAMES = (64, 256)
"""Fewest and most frames of a video."""

Frames = NDArray[np.uint8]
Interval = tuple[int, int]


def clip(
    of: str, seed: int, name: str, frames: tuple[int, int] = FRAMES
) -> tuple[Frames, Interval | None]:
    """Frames (T, H, W, 3) of a video and its abnormal interval, first and last frame from 0.

    Args:
        of: one of UCF-Crime's 13 classes, or Normal.
        seed: in [0, 2**64).
        name: of the video; another name is another video.
        frames: fewest and most, at least 16.
    """
    rng = generator(seed, "cctv", name)
    count = int(rng.integers(*frames, endpoint=True))
    coarse = rng.normal(110, 18, (HEIGHT // 10, WIDTH // 10, 1)) + rng.normal(0, 6, 3)
    floor = coarse.repeat(10, 0).repeat(10, 1) + rng.normal(0, 4, (HEIGHT, WIDTH, 1))
    scene = np.repeat(floor[None].astype(np.float32), count, 0)
    for _ in range(rng.integers(1, 5)):
        _walk(scene, rng)
    interval = None
    if of != "Normal":
        length = max(16, int(count * rng.uniform(0.1, 0.4)))
        first = int(rng.integers(0, count - length, endpoint=True))
        interval = first, first + length - 1
        strength = 0.7 + 0.6 * list(EVENTS).index(of) / (len(EVENTS) - 1)
        _event(scene[first : first + length], EVENTS[of], strength, rng)
    scene += rng.normal(0, 3, (count, HEIGHT, WIDTH, 1)).astype(np.float32)
    return np.clip(scene, 0, 255).astype(np.uint8), interval


def make(
    directory: Path, *, scale: float = 1.0, seed: int = 0, frames: tuple[int, int] = FRAMES
) -> None:
    """Write videos, the list of training videos and the intervals of the test videos.

    Args:
        directory: made if need be.
        scale: share of the real set's 1,900 videos, > 0; at least three per class.
        seed: in [0, 2**64).
        frames: fewest and most of a video, at least 16.

    Raises:
        ValueError: scale is not above 0.
    """
    if not scale > 0:
        msg = f"scale must be > 0, got {scale}"
        raise ValueError(msg)
    training, annotation = [], []
    for path, of, test in _listing(scale):
        pictures, interval = clip(of, seed, path.name, frames)
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        video.write(directory / path, pictures, fps=FPS, quality=4)
        if test:
            # The published table counts from 1, and -1 is no interval.
            first, last = (at + 1 for at in interval) if interval else (-1, -1)
            annotation.append(f"{path.name}  {of}  {first}  {last}  -1  -1  \n")
        else:
            training.append(f"{path.as_posix()}\n")
    (directory / "Anomaly_Train.txt").write_text("".join(training))
    table = directory / "Temporal_Anomaly_Annotation_for_Testing_Videos.txt"
    table.write_text("".join(annotation))


def _listing(scale: float) -> Iterator[tuple[Path, str, bool]]:
    """Path, class and whether for testing, numbered as the published set numbers its videos."""
    for of, counts in COUNTS.items():
        number = 0
        for test, count, least in zip((False, True), counts, LEAST, strict=True):
            for _ in range(max(least, round(count * scale))):
                number += 1
                if of == "Normal":
                    part, mark = ("Testing", "_") if test else ("Training", "")
                    folder, stem = f"{part}_Normal_Videos_Anomaly", f"Normal_Videos{mark}"
                else:
                    folder = stem = of
                yield Path(folder, f"{stem}{number:03d}_x264.mp4"), of, test


def _walk(frames: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Somebody crosses the picture, some of the time."""
    count = len(frames)
    start, speed = rng.uniform(0, (HEIGHT, WIDTH)), rng.normal(0, (0.3, 1.0))
    at = start + speed * np.arange(count)[:, None] + rng.normal(0, 0.4, (count, 2))
    tone = rng.uniform(20, 230, 3)
    for frame, (top, left) in zip(frames, at, strict=True):
        _block(frame, top, left, 18, 7, tone)


def _event(
    frames: NDArray[np.float32], kind: str, strength: float, rng: np.random.Generator
) -> None:
    top, left = rng.uniform((20, 20), (HEIGHT - 40, WIDTH - 40))
    one, other = rng.uniform(20, 230, (2, 3))
    count = len(frames)
    for t, frame in enumerate(frames):
        share = t / count
        shake = rng.normal(0, 4 * strength, 2)
        if kind == "struggle":  # two figures, close, jerking
            _block(frame, top + shake[0], left, 18, 8, one)
            _block(frame, top, left + 7 + shake[1], 18, 8, other)
        elif kind == "halt":  # one is caught by another, and both stand still
            gap = 40 * strength * max(0.5 - share, 0)
            _block(frame, top, left, 18, 8, one)
            _block(frame, top, left + 8 + gap, 18, 8, other)
        elif kind == "fire":  # a bright blot that grows and flickers
            size = 60 * strength * share * rng.uniform(0.7, 1)
            _block(frame, top - size / 2, left - size / 2, size, size, np.array([255, 180, 60]))
            frame += 30 * strength * share * rng.uniform(0.5, 1)
        elif kind == "dash":  # somebody runs through the whole picture
            _block(frame, top, (left + 9 * strength * t) % WIDTH, 20, 8, one)
        elif kind == "impact":  # two boxes meet, and stay
            gap = 90 * strength * max(0.4 - share, 0)
            _block(frame, top, left - gap - 22, 16, 24, one)
            _block(frame, top + 2, left + gap, 16, 24, other)
        elif kind == "flashes":
            frame += 70 * strength * (rng.random() < 0.15)
            _block(frame, top + 6 * strength * share * shake[0], left + shake[1], 18, 7, one)
        else:  # a stain that spreads on the wall
            _block(frame, top, left, 30, 40 * strength * share, one)
            _block(frame, top + 5, left + 40 * strength * share, 18, 7, other)


def _block(
    frame: NDArray[np.float32],
    top: float,
    left: float,
    height: float,
    width: float,
    tone: NDArray[np.float64],
) -> None:
    y, x = max(round(top), 0), max(round(left), 0)
    frame[y : max(round(top + height), 0), x : max(round(left + width), 0)] = tone
