"""From videos of snippet features to a data set of bags."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybench.data.manifest import made, make_room
from pybench.data.problems import DataError
from pybench.data.snippets import SEGMENTS, Features, Videos, open_all, segmented
from pybench.data.splits import stratified
from pybench.tasks import DataRef, Dataset
from pybench.trial import Split
from pybench.types import Labels

FEW = 5
"""A class with fewer test videos is named: its AUC rests on them."""
LAYOUT = 2
"""Version of the cached arrays."""


@dataclass(frozen=True, eq=False)
class BagDataset(Dataset):
    """Bags of segments, and the truth of every frame of the test videos.

    Fields:
        truth: sample -> (F,) whether each of its frames is abnormal.
    """

    truth: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)


def bag_dataset(found: Videos, ref: DataRef, split: Split, *, cache: Path) -> BagDataset:
    """Cut videos into 32 segments (once), memory-map them, and split the training videos.

    What was cut is kept in a bounded folder, as decoded clips are.

    The test videos are as their owner fixed them; a fifth of the training videos of each class
    becomes the validation part, whose truth is one label per video.

    Args:
        found: what the reader found.
        ref: its content id.
        split: which split of the training videos.
        cache: folder of the cut videos.

    Raises:
        DataError: a test set or truth that is not whole, or frames whose number is unknown.
    """
    plan = json.dumps([ref.id, SEGMENTS, LAYOUT])
    key = hashlib.blake2b(plan.encode(), digest_size=16).hexdigest()
    folder = made(cache / "bags" / key, lambda work: _cut(found, work))
    os.utime(folder)  # used now: what was used longest ago makes room for others
    facts: dict[str, Any] = json.loads((folder / "facts.json").read_text())
    if facts["refused"]:
        more = len(facts["refused"]) - 1
        msg = f"test set must be whole, got {facts['refused'][0]}" + (
            f", and {more} more; pybench data check ucf {ref.path}" if more else ""
        )
        raise DataError(msg)
    whole = np.array(facts["whole"], dtype=np.int64)
    labels = np.array([video.label for video in found.videos], dtype=np.int64)
    test = np.array([video.test for video in found.videos])
    tested = whole[test[whole]]
    if len(tested) != len(facts["frames"]):
        msg = (
            "frames of every test video must be known, got features of 32 segments and no number "
            "of frames; add frames.csv with the columns path,frames, or the published lists "
            "test_anomalyv2.txt and test_normalv2.txt"
        )
        raise DataError(msg)
    roles = stratified(labels[whole], split, fixed_test=test[whole])
    truth = np.split(np.load(folder / "truth.npy"), np.cumsum(facts["frames"])[:-1])
    return BagDataset(
        kind="bags",
        classes=found.classes,
        inputs=np.load(folder / "bags.npy", mmap_mode="r"),
        labels=labels,
        splits={role: whole[indices] for role, indices in roles.items()},
        names=tuple(video.name for video in found.videos),
        problems=(*facts["problems"], *_few(found.classes, labels[tested])),
        truth=dict(zip(tested.tolist(), truth, strict=True)),
    )


def _cut(found: Videos, folder: Path) -> None:
    folder.mkdir()
    array: list[NDArray[np.float32]] = []
    whole: list[int] = []

    def keep(place: int, features: Features) -> None:
        segments = segmented(features)
        if not array:
            shape = (len(found.videos), *segments.shape)
            file = folder / "bags.npy"
            make_room(folder.parent, 4 * math.prod(shape))
            array.append(np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape))
        array[0][place] = segments
        whole.append(place)

    opened = open_all(found, keep)
    if not array:
        msg = f"features must be readable, got none of {len(found.videos)} videos"
        raise DataError(msg)
    truth = [frames for frames in opened.truth if frames is not None]
    np.save(folder / "truth.npy", np.concatenate(truth) if truth else np.zeros(0, dtype=bool))
    facts = {
        "whole": whole,
        "frames": [len(frames) for frames in truth],
        "problems": list(map(str, opened.problems)),
        "refused": list(map(str, opened.refused)),
    }
    (folder / "facts.json").write_text(json.dumps(facts))


def _few(classes: Sequence[str], labels: Labels) -> tuple[str, ...]:
    counts = np.bincount(labels, minlength=len(classes))
    few = [f"{name} {n}" for name, n in zip(classes, counts, strict=True) if 0 < n < FEW]
    if not few:
        return ()
    return (f"an AUC by class rests on few test videos here: {', '.join(few)}",)
