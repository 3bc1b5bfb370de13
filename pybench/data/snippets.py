"""Videos as features of their snippets: opened without running code, checked, cut into segments.

A video is (T, K, D): T snippets of 16 frames (or 32 segments), K crops, D numbers. On disk it is
one ``.npy`` file, one per crop, one per stream (colour and motion, side by side in D), or text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pybench.data.problems import DataError, Problem
from pybench.types import Labels

Features: TypeAlias = NDArray[np.float32]
Interval: TypeAlias = tuple[int, int]
"""First frame and the one behind the last, counted from 0."""

SNIPPET_FRAMES = 16
SEGMENTS = 32
FRAMES = "frames.csv"
"""Table ``path,frames``, which features of 32 segments need to be scored by frame."""
MANY_CROPS = (5, 10)
DROPPED = "left out of training"
REFUSED = "no AUC until it is mended: the test set must be whole"


@dataclass(frozen=True)
class Video:
    """A video of a list.

    Fields:
        name: for people.
        label: index into the classes.
        test: whether it belongs to the test set.
        files: its feature files: one, or one per crop or stream, in order.
        frames: how many frames the list says it has, or None.
        intervals: abnormal frames as the list says, or None where it does not say.
    """

    name: str
    label: int
    test: bool
    files: tuple[Path, ...]
    frames: int | None = None
    intervals: tuple[Interval, ...] | None = None


@dataclass(frozen=True, eq=False)
class Videos:
    """Labelled videos as a reader found them; no feature has been read.

    Fields:
        videos: in the order of the lists, training and test.
        classes: names; the normal class is last.
        lists: the files that say what belongs where; with the features they are the data.
        joined: what several files of a video are: its crops, or streams side by side.
        truth: per-frame truth of all test videos in the order of their list, or None.
        segments: whether each row is one of 32 parts of the video, not 16 frames.
        problems: damage that was survived; ``refused``: damage that leaves the test set unusable.
    """

    videos: tuple[Video, ...]
    classes: tuple[str, ...]
    lists: tuple[Path, ...]
    joined: Literal["crops", "streams"] = "crops"
    truth: Path | None = None
    segments: bool = False
    problems: tuple[Problem, ...] = ()
    refused: tuple[Problem, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file whose content is the data."""
        features = {file for video in self.videos for file in video.files}
        return (*self.lists, *((self.truth,) if self.truth else ()), *sorted(features))


@dataclass(frozen=True, eq=False)
class Opened:
    """Videos whose features were read.

    Fields:
        videos: those that are whole.
        shape: (K, D) of all of them.
        lengths: T of each.
        truth: for each test video (F,) whether a frame is abnormal; None for a training video, and
            for all when the number of frames of a video is not known.
        problems, refused: as before, and what the features showed.
    """

    videos: tuple[Video, ...]
    shape: tuple[int, int]
    lengths: tuple[int, ...]
    truth: tuple[NDArray[np.bool_] | None, ...]
    problems: tuple[Problem, ...]
    refused: tuple[Problem, ...]


class FeatureError(DataError):
    """A feature file that cannot be used: the file, and what is wrong with it."""

    def __init__(self, file: Path, what: str) -> None:
        super().__init__(f"{file}: {what}")
        self.file, self.what = file, what


def open_all(found: Videos, each: Callable[[int, Features], None] | None = None) -> Opened:
    """Read every feature and the truth, and name what is wrong.

    Args:
        found: what a reader found.
        each: told of every video that is whole: its place in ``found.videos`` and its features.
    """
    problems, refused = list(found.problems), list(found.refused)

    def name(video: Video, file: Path, what: str) -> None:
        action = REFUSED if video.test else DROPPED
        (refused if video.test else problems).append(Problem(file.name, what, action))

    # Twice through the files, first for their shapes alone: what is usual decides what is damage.
    shapes: dict[int, tuple[int, ...]] = {}
    for place, video in enumerate(found.videos):
        try:
            shapes[place] = _joined_shape(_parts(video, found.joined), found.joined)
        except FeatureError as error:
            name(video, error.file, error.what)
    turned = _crops_first(shapes.values())
    if turned:
        shapes = {place: (shape[1], shape[0], shape[2]) for place, shape in shapes.items()}
    segments = found.segments or (found.truth is None and _same_length(shapes.values()))
    usual = _usual(shapes.values(), segments)
    whole: dict[int, int] = {}
    for place, shape in shapes.items():
        what = _unusual(shape, usual)
        if not what:
            parts = _parts(found.videos[place], found.joined)
            joined = _join(parts, found.joined)
            joined = joined.transpose(1, 0, 2) if turned else joined
            values = np.ascontiguousarray(joined, dtype=np.float32)
            bad = int(np.count_nonzero(~np.isfinite(values)))
            if bad:
                what = f"{bad} values are NaN or infinite"
        if what:
            name(found.videos[place], found.videos[place].files[0], what)
            continue
        whole[place] = shape[0]
        if each is not None:
            each(place, values)
    kept = [(found.videos[place], length) for place, length in whole.items()]
    frames = [v.frames or (None if segments else SNIPPET_FRAMES * length) for v, length in kept]
    truth, wrong = _truth(found, kept, frames) if not refused else ((None,) * len(kept), [])
    if found.truth is not None:
        problems += _disagreements(found.truth.name, kept, truth)
    return Opened(
        videos=tuple(video for video, _ in kept),
        shape=(usual[1], usual[2]) if usual else (0, 0),
        lengths=tuple(length for _, length in kept),
        truth=truth,
        problems=tuple(problems),
        refused=(*refused, *wrong),
    )


def segment_bounds(snippets: int, segments: int = SEGMENTS) -> Labels:
    """Where each segment begins: ``int(linspace(0, T, segments + 1))``.

    Example:
        >>> segment_bounds(6, 4).tolist()
        [0, 1, 3, 4, 6]
    """
    return np.linspace(0, snippets, segments + 1).astype(np.int64)


def segmented(features: Features, segments: int = SEGMENTS) -> Features:
    """(segments, K, D) means of equal shares of T snippets; an empty share repeats the next one.

    Example:
        >>> segmented(np.arange(6, dtype=np.float32)[:, None, None], 4).ravel().tolist()
        [0.0, 1.5, 3.0, 4.5]
    """
    bounds = segment_bounds(len(features), segments)
    sums = np.add.reduceat(features, bounds[:-1], axis=0)  # of an empty share: its first row
    sizes = np.maximum(np.diff(bounds), 1).astype(np.float32)
    return np.asarray(sums / sizes[:, None, None], dtype=np.float32)


def frame_truth(intervals: Sequence[Interval], frames: int) -> NDArray[np.bool_]:
    """(F,) whether each frame lies in an interval."""
    truth = np.zeros(frames, dtype=bool)
    for begin, end in intervals:
        truth[begin:end] = True
    return truth


def _parts(video: Video, joined: Literal["crops", "streams"]) -> list[NDArray[Any]]:
    """The arrays of a video's files, memory-mapped where they can be.

    Raises:
        FeatureError: a file that is damaged, or files that do not belong together.
    """
    parts = [_open_file(file) for file in video.files]
    first = parts[0]
    for file, part in zip(video.files[1:], parts[1:], strict=True):
        if part.ndim != 2 or len(part) != len(first) or first.ndim != 2:
            what = f"shape {part.shape} beside {first.shape} of {video.files[0].name}"
            raise FeatureError(file, what)
        if joined == "crops" and part.shape != first.shape:
            raise FeatureError(file, _width(part.shape[1], first.shape[1]))
    return parts


def _joined_shape(
    parts: Sequence[NDArray[Any]], joined: Literal["crops", "streams"]
) -> tuple[int, ...]:
    first = parts[0]
    if first.ndim == 3:
        return first.shape
    crops = len(parts) if joined == "crops" else 1
    return len(first), crops, sum(part.shape[1] for part in parts) // crops


def _join(parts: Sequence[NDArray[Any]], joined: Literal["crops", "streams"]) -> NDArray[Any]:
    """(T, K, D) of one file, of a file per crop, or of a file per stream."""
    if parts[0].ndim == 3:
        return parts[0]
    if joined == "crops":
        return np.stack(parts, axis=1)
    return np.concatenate(parts, axis=1)[:, None, :]


def _open_file(path: Path) -> NDArray[Any]:
    try:
        size = path.stat().st_size
    except OSError:
        raise FeatureError(path, "listed but absent") from None
    if not size:
        raise FeatureError(path, "empty file")
    array = _open_npy(path, size) if path.suffix == ".npy" else _open_text(path)
    if array.ndim not in (2, 3) or array.dtype.kind != "f":
        what = f"shape {array.shape} of {array.dtype} instead of floats (T, D) or (T, crops, D)"
        raise FeatureError(path, what)
    return array


def _open_npy(path: Path, size: int) -> NDArray[Any]:
    formats = np.lib.format
    try:
        with path.open("rb") as file:
            version = formats.read_magic(file)
            read = (
                formats.read_array_header_1_0
                if version == (1, 0)
                else formats.read_array_header_2_0
            )
            shape, _, dtype = read(file)
            held = size - file.tell()
    except ValueError:
        raise FeatureError(path, "not a NumPy file, or cut short in its header") from None
    if dtype.hasobject:
        raise FeatureError(path, "holds pickled objects, which are never loaded")
    needed = dtype.itemsize * int(np.prod(shape))
    if held != needed:
        how = "cut short" if held < needed else "longer than its header says"
        raise FeatureError(path, f"{how}: {held} of {needed} bytes of shape {shape}")
    if not needed:
        raise FeatureError(path, f"no snippet: shape {shape}")
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _open_text(path: Path) -> NDArray[Any]:
    try:
        return np.loadtxt(path, dtype=np.float32, ndmin=2)
    except (ValueError, UnicodeDecodeError) as error:
        raise FeatureError(path, f"not a table of numbers: {error}") from None


def _usual(shapes: Collection[tuple[int, ...]], segments: bool) -> tuple[int, int, int] | None:
    """The most frequent (T, K, D), T being 0 where it may vary."""
    if not shapes:
        return None
    (crops, width), _ = Counter(shape[1:] for shape in shapes).most_common(1)[0]
    return (SEGMENTS if segments else 0, crops, width)


def _unusual(shape: tuple[int, ...], usual: tuple[int, int, int] | None) -> str:
    if usual is None:
        return ""
    length, crops, width = usual
    if shape[2] != width:
        return _width(shape[2], width)
    if shape[1] != crops:
        return f"{shape[1]} crop{'s' * (shape[1] > 1)} instead of {crops}"
    if length and shape[0] != length:
        return f"{shape[0]} segments instead of {length}"
    return ""


def _same_length(shapes: Collection[tuple[int, ...]]) -> bool:
    """Whether nearly all videos have 32 rows: parts of a video then, whatever its length."""
    return sum(shape[0] == SEGMENTS for shape in shapes) > 0.8 * len(shapes)


def _crops_first(shapes: Collection[tuple[int, ...]]) -> bool:
    """Whether nearly all videos are (crops, T, D): 5 or 10 rows, and more or varying columns."""
    if not shapes:
        return False
    ((rows, often),) = Counter(shape[0] for shape in shapes).most_common(1)
    ((columns, same),) = Counter(shape[1] for shape in shapes).most_common(1)
    nearly = 0.8 * len(shapes)
    return rows in MANY_CROPS and often > nearly and (same <= nearly or columns > max(MANY_CROPS))


def _width(got: int, usual: int) -> str:
    return f"{got} numbers per snippet instead of {usual}"


def _truth(
    found: Videos, kept: Sequence[tuple[Video, int]], frames: Sequence[int | None]
) -> tuple[tuple[NDArray[np.bool_] | None, ...], list[Problem]]:
    """Truth of the kept videos, and what is wrong with it."""
    nothing: tuple[None, ...] = (None,) * len(kept)
    if found.truth is not None:
        return _from_array(found, kept, frames)
    wrong = list(_outside(kept, frames, found.classes))
    if wrong or any(f is None for (v, _), f in zip(kept, frames, strict=True) if v.test):
        return nothing, wrong
    return tuple(
        frame_truth(video.intervals or (), count or 0) if video.test else None
        for (video, _), count in zip(kept, frames, strict=True)
    ), []


def _outside(
    kept: Sequence[tuple[Video, int]], frames: Sequence[int | None], classes: Sequence[str]
) -> Iterator[Problem]:
    for (video, _), count in zip(kept, frames, strict=True):
        if not video.test:
            continue
        if video.intervals is None:
            yield Problem(video.name, "no temporal annotation", REFUSED)
        elif bool(video.intervals) != (video.label != len(classes) - 1):
            what = "no abnormal" if not video.intervals else "an abnormal"
            yield Problem(
                video.name,
                f"{what} interval in a video of class {classes[video.label]}",
                REFUSED,
            )
        # Up to 15 frames behind the last whole snippet have no feature.
        late = [e for _, e in video.intervals or () if count and e > count + SNIPPET_FRAMES - 1]
        if late:
            yield Problem(video.name, f"an interval ends at frame {max(late)} of {count}", REFUSED)


def _from_array(
    found: Videos, kept: Sequence[tuple[Video, int]], frames: Sequence[int | None]
) -> tuple[tuple[NDArray[np.bool_] | None, ...], list[Problem]]:
    nothing: tuple[None, ...] = (None,) * len(kept)
    file = found.truth
    if file is None:
        return nothing, []
    try:
        array = _open_npy(file, file.stat().st_size)
    except FeatureError as error:
        return nothing, [Problem(file.name, error.what, REFUSED)]
    counts = [
        count or 0 if video.test else 0 for (video, _), count in zip(kept, frames, strict=True)
    ]
    if array.ndim != 1 or array.dtype.kind not in "fiub" or not np.isin(array, (0, 1)).all():
        return nothing, [Problem(file.name, "values other than one 0 or 1 per frame", REFUSED)]
    if len(array) != sum(counts):
        what = f"{len(array)} frames, and the test videos have {sum(counts)}"
        return nothing, [Problem(file.name, what, REFUSED)]
    parts = np.split(np.asarray(array).astype(bool), np.cumsum(counts)[:-1])
    wrong = [
        Problem(
            file.name,
            f"{'no' if abnormal else 'an'} abnormal frame in {video.name}, a video of class "
            f"{found.classes[video.label]}",
            REFUSED,
        )
        for (video, _), part in zip(kept, parts, strict=True)
        if video.test and (abnormal := video.label != len(found.classes) - 1) != bool(part.any())
    ]
    if wrong:
        return nothing, wrong
    return tuple(p if v.test else None for (v, _), p in zip(kept, parts, strict=True)), []


def _disagreements(
    name: str, kept: Sequence[tuple[Video, int]], truth: Sequence[NDArray[np.bool_] | None]
) -> Iterator[Problem]:
    """Name the videos of which the array says something else than the list of intervals.

    Copies of the truth differ by whether intervals begin a frame early and end at a whole snippet.
    """
    for (video, _), frames in zip(kept, truth, strict=True):
        if frames is None or video.intervals is None:
            continue
        other = int((frame_truth(video.intervals, len(frames)) != frames).sum())
        if other > 2 * SNIPPET_FRAMES * max(len(video.intervals), 1):
            what = f"the temporal annotation differs in {other} of {len(frames)} frames"
            yield Problem(video.name, what, f"{name} is used")
