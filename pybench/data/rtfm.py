"""Writer of snippet features in the layout of RTFM's lists, which the reader ``ucf`` reads.

``features/NAME_i3d.npy`` (T, crops, D) per video; ``list/ucf-i3d.list`` and
``list/ucf-i3d-test.list`` with abnormal videos first; ``list/gt-ucf.npy`` with one 0 or 1 per frame
of the test videos in the order of their list; and the same intervals as text in
``Temporal_Anomaly_Annotation.txt``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pybench.checks import require
from pybench.data.snippets import SNIPPET_FRAMES, Features, Interval, frame_truth

NORMAL = "Normal"


@dataclass(frozen=True, eq=False)
class Described:
    """A video to be written.

    Fields:
        name: such as ``Abuse001_x264``; what precedes its number is its class.
        of: name of its class, ``"Normal"`` for the normal one.
        test: whether it belongs to the test set.
        features: (T, crops, D), one row per 16 frames.
        intervals: abnormal frames, at most two intervals.
    """

    name: str
    of: str
    test: bool
    features: Features
    intervals: Sequence[Interval] = ()


def write(folder: Path, videos: Iterable[Described]) -> None:
    """Write videos one after another; they are taken as they come and listed in the order of names.

    Raises:
        ValueError: features of another number of axes, or more than two intervals.
    """
    (folder / "features").mkdir(parents=True)
    (folder / "list").mkdir()
    written: list[tuple[bool, bool, str, str, int, Sequence[Interval]]] = []
    for video in videos:
        require(
            video.features.ndim == 3,
            "features",
            "of shape (T, crops, D)",
            f"{video.features.shape} for {video.name}",
        )
        require(len(video.intervals) <= 2, "intervals", "two at most", len(video.intervals))
        np.save(folder / "features" / f"{video.name}_i3d.npy", video.features, allow_pickle=False)
        normal, length = video.of == NORMAL, len(video.features)
        written.append((video.test, normal, video.name, video.of, length, video.intervals))
    written.sort(key=lambda row: row[:3])
    for test, name in ((False, "ucf-i3d.list"), (True, "ucf-i3d-test.list")):
        lines = [f"features/{row[2]}_i3d.npy\n" for row in written if row[0] == test]
        (folder / "list" / name).write_text("".join(lines))
    tests = [row for row in written if row[0]]
    truth = [frame_truth(row[5], SNIPPET_FRAMES * row[4]) for row in tests]
    joined = np.concatenate(truth) if truth else np.zeros(0)
    np.save(folder / "list" / "gt-ucf.npy", joined.astype(np.float64), allow_pickle=False)
    lines = [f"{row[2]}.mp4  {row[3]}  {_annotation(row[5])}  \n" for row in tests]
    (folder / "Temporal_Anomaly_Annotation.txt").write_text("".join(lines))


def _annotation(intervals: Sequence[Interval]) -> str:
    """First and last frame of each of two intervals, counted from 1; -1 where there is none."""
    numbers = [number for begin, end in intervals for number in (begin + 1, end)]
    return "  ".join(map(str, (numbers + [-1] * 4)[:4]))
