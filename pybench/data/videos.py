"""From labelled videos to a data set of decoded clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pybench import video
from pybench.data.problems import Clips, DataError, Problem
from pybench.data.splits import balanced_subset, prior_subset, stratified
from pybench.decoded import decoded_clips
from pybench.tasks import DataRef, Dataset
from pybench.trial import Split


def undecodable(clips: Clips) -> list[Problem]:
    """Decode every frame of every video; one problem per video that is not whole."""
    problems = []
    for path, name in zip(clips.paths, clips.names, strict=True):
        try:
            shown = video.probe(path).frames
            frames = video.sample_frames(
                path, indices=range(shown), size=(16, 16), on_error="nearest"
            )
        except video.VideoError as error:
            problems.append(Problem(name, str(error), "sample dropped"))
            continue
        missing, concealed = len(frames.report.missing), len(frames.report.concealed)
        if missing or concealed:
            what = f"{missing} of {shown} frames missing, {concealed} concealed"
            problems.append(Problem(name, what, "nearest frames used"))
    return problems


def clip_dataset(
    clips: Clips, ref: DataRef, split: Split, *, frames: int, size: tuple[int, int], cache: Path
) -> Dataset:
    """Decode (once) and split labelled videos.

    The test set is scored in two parts: ``test/balanced`` with equal numbers per class, and
    ``test/natural`` in the proportions of the training set.

    Args:
        clips: what a reader found.
        ref: its content id and provenance.
        split: which split.
        frames: T uniform frames per clip.
        size: (height, width) of the frames.
        cache: folder of decoded clips.

    Raises:
        DataError: no video is readable, or a class has too few.
    """
    decoded = decoded_clips(clips.paths, ref.id, frames=frames, size=size, cache=cache)
    whole = np.array([i for i in range(len(clips.paths)) if i not in decoded.damaged], dtype=int)
    if not len(whole):
        msg = f"videos must be readable, got none of {len(clips.paths)} at {ref.path}"
        raise DataError(msg)
    fixed = None if clips.test is None else clips.test[whole]
    roles = stratified(clips.labels[whole], split, fixed_test=fixed)
    splits = {role: whole[indices] for role, indices in roles.items()}
    counts = np.bincount(clips.labels[splits["train"]], minlength=len(clips.classes))
    splits["test/balanced"] = balanced_subset(clips.labels, splits["test"])
    splits["test/natural"] = prior_subset(clips.labels, splits["test"], counts)
    dropped = [Problem(clips.names[i], why, "sample dropped") for i, why in decoded.damaged.items()]
    return Dataset(
        kind="classes",
        classes=clips.classes,
        inputs=decoded.frames,
        labels=clips.labels,
        splits=splits,
        names=clips.names,
        problems=tuple(map(str, [*clips.problems, *dropped])) + decoded.notes,
    )
