"""Decoded clips, kept as memory-mapped uint8 so that a video is decoded once and not per trial.

The key is the content id of the data, the sampling plan and the size. One process writes, others
wait for it; the folder is bounded, and the clips used longest ago go first.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pybench import video
from pybench._core import kernel_sources
from pybench.data.manifest import made, make_room

CHUNK = 64


@dataclass(frozen=True, eq=False)
class DecodedClips:
    """Frames of many clips.

    Fields:
        frames: (N, T, H, W, 3) uint8, memory-mapped; zeros where a clip could not be read.
        damaged: index of each clip that is unusable -> why.
        notes: what was concealed in clips that are still used.
    """

    frames: NDArray[np.uint8]
    damaged: dict[int, str]
    notes: tuple[str, ...]


def decoded_clips(
    paths: Sequence[Path], data_id: str, *, frames: int, size: tuple[int, int], cache: Path
) -> DecodedClips:
    """Decode ``frames`` uniform frames of each clip to ``size``, or map what was decoded before.

    Args:
        paths: N video files.
        data_id: content id of the data they belong to.
        frames: T per clip.
        size: (height, width) in pixels.
        cache: folder of the decoded clips.
    """
    plan = [data_id, [p.name for p in paths], frames, *size, kernel_sources()["video"]]
    key = hashlib.blake2b(json.dumps(plan).encode(), digest_size=16).hexdigest()
    needed = len(paths) * frames * size[0] * size[1] * 3

    def decode(work: Path) -> None:
        make_room(work.parent, needed)
        _decode(paths, frames, size, work)

    folder = made(cache / "clips" / key, decode)
    os.utime(folder)
    facts = json.loads((folder / "facts.json").read_text())
    return DecodedClips(
        np.load(folder / "frames.npy", mmap_mode="r"),
        {int(index): why for index, why in facts["damaged"].items()},
        tuple(facts["notes"]),
    )


def _decode(paths: Sequence[Path], frames: int, size: tuple[int, int], folder: Path) -> None:
    folder.mkdir()
    array = np.lib.format.open_memmap(
        folder / "frames.npy", mode="w+", dtype=np.uint8, shape=(len(paths), frames, *size, 3)
    )
    damaged: dict[int, str] = {}
    notes: list[str] = []
    for begin in range(0, len(paths), CHUNK):
        _decode_chunk(paths, begin, frames, size, array, damaged, notes)
    array.flush()
    (folder / "facts.json").write_text(json.dumps({"damaged": damaged, "notes": notes}))


def _decode_chunk(
    paths: Sequence[Path],
    begin: int,
    frames: int,
    size: tuple[int, int],
    array: NDArray[np.uint8],
    damaged: dict[int, str],
    notes: list[str],
) -> None:
    """Decode a chunk at once; clip by clip only when one of them is damaged."""
    chunk = paths[begin : begin + CHUNK]
    try:
        video.sample_clips(chunk, frames=frames, size=size, out=array[begin : begin + len(chunk)])
    except video.VideoError:
        for index, path in enumerate(chunk, begin):
            try:
                clip = video.sample_frames(path, frames=frames, size=size, on_error="nearest")
            except video.VideoError as error:
                damaged[index] = str(error)
                array[index] = 0
                continue
            array[index] = clip.data
            if clip.report.missing or clip.report.concealed:
                notes.append(
                    f"{path.name}: {len(clip.report.missing)} frames missing and "
                    f"{len(clip.report.concealed)} concealed; nearest frames used"
                )
