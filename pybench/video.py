"""Reading and writing clips: exactly the frames that were asked for, or an error that says why not.

Frame `k` is the `k`-th picture in presentation order after the edit list: what a player shows and
what a full decode from the start gives, whatever the container, the B-frames or the seek points.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from pybench.missing import unloadable

try:
    from pybench import _core
except ImportError as error:
    raise unloadable(error) from error

PathLike: TypeAlias = str | os.PathLike[str]
Plan: TypeAlias = Literal["uniform", "middle", "stride", "segments", "random"]
OnError: TypeAlias = Literal["raise", "nearest", "black"]
Codec: TypeAlias = Literal["mpeg4", "h264", "mjpeg"]

_BEST_QUALITY_IN_USE = {"mpeg4": 3, "h264": 18, "mjpeg": 3}


class VideoError(OSError):
    """A clip that cannot be read or written. Reads `path: what; remedy`."""


class VideoNotFoundError(VideoError, FileNotFoundError):
    """The clip does not exist."""


@dataclass(frozen=True)
class Probe:
    """What a clip is, without its pictures.

    Attributes:
        frames: Frames shown, after the edit list. Of a file cut short: as many as it promises.
        width: Columns, after the rotation.
        height: Rows, after the rotation.
        rotation: Clockwise degrees by which the stored pictures are turned: 0, 90, 180 or 270.
        fps: Average frames per second.
        duration_s: Seconds from the start of the first frame to the end of the last.
        codec: FFmpeg's name, such as `h264`, `hevc`, `mpeg4`, `vp9`.
        container: `mp4`, `mov`, `matroska`, `webm`, `avi`, `mpegts` or another of FFmpeg's names.
        gops: Groups of pictures, that is keyframes.
        warnings: What is odd about the file, in sentences; empty for a clean one.
    """

    frames: int
    width: int
    height: int
    rotation: int
    fps: float
    duration_s: float
    codec: str
    container: str
    gops: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What is wrong with the sampled pictures; falsy when nothing is.

    Attributes:
        missing: Frames that could not be read, ascending.
        concealed: Frames of which the decoder guessed a part, or that depend on such, ascending.
        warnings: What is odd about the file, in sentences.
    """

    missing: tuple[int, ...] = ()
    concealed: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.concealed)


@dataclass(frozen=True, eq=False)
class Frames:
    """Pictures of one clip.

    Attributes:
        data: (T, H, W, 3) uint8, RGB.
        indices: (T,) int64, the frame of each picture.
        pts_s: (T,) float64, seconds from the first frame of the clip.
        report: What is missing or damaged.
    """

    data: npt.NDArray[np.uint8]
    indices: npt.NDArray[np.int64]
    pts_s: npt.NDArray[np.float64]
    report: Report


@dataclass(frozen=True, eq=False)
class Clips:
    """Pictures of many clips, stacked.

    Attributes:
        data: (N, T, H, W, 3) uint8, RGB.
        indices: (N, T) int64, the frame of each picture.
        pts_s: (N, T) float64, seconds from the first frame of each clip.
        reports: What is missing or damaged, per clip.
    """

    data: npt.NDArray[np.uint8]
    indices: npt.NDArray[np.int64]
    pts_s: npt.NDArray[np.float64]
    reports: tuple[Report, ...]


def probe(path: PathLike) -> Probe:
    """Tell what a clip is, from its packets.

    Pictures are decoded only where packets do not tell: when the timestamps lie (H.264 in AVI) or
    the clip starts in the middle of a group.

    Args:
        path: A file in any container that the linked FFmpeg reads.

    Returns:
        The facts of the clip.

    Raises:
        VideoError: The file cannot be read or holds no video.
        VideoNotFoundError: It does not exist.
    """
    _require_reader()
    clip = _core.VideoClip(path)
    return Probe(**clip.probe(), warnings=tuple(clip.warnings))


def sample_frames(
    path: PathLike,
    frames: int | None = None,
    *,
    plan: Plan | None = None,
    stride: int | None = None,
    seed: int | None = None,
    indices: Sequence[int] | npt.NDArray[np.integer] | None = None,
    times_s: Sequence[float] | npt.NDArray[np.floating] | None = None,
    size: tuple[int, int] | int | None = None,
    threads: int | None = None,
    on_error: OnError = "raise",
) -> Frames:
    """Decode some frames of a clip, resized with an antialiased triangle filter.

    The frames are chosen by a number and a plan, by `indices` or by `times_s`. With `total` frames
    in the clip, `frames=n` and `plan`

    - "uniform" (default): `linspace(0, total - 1, n)` rounded;
    - "middle": n frames `stride` (default 1) apart, as many before the middle as behind it;
    - "stride": every `stride`-th frame from the first on, n of them or up to the end;
    - "segments": one of each of n equal parts (TSN): its centre, or with a `seed` any of it;
    - "random": n different frames, ascending, drawn with `seed`.

    A clip that is too short for its plan repeats frames, in "middle" and "stride" the last one.

    Args:
        path: A file in any container that the linked FFmpeg reads.
        frames: T, at least 1. Left out, "stride" goes on to the end.
        plan: See above; only with a number of frames.
        stride: Frames from one to the next, at least 1; for "middle" and "stride" only.
        seed: In 0..2**64-1, for "random" and "segments" only. Drawn from the Philox stream
            `video/clip=0` of `pybench.core.philox`.
        indices: These frames instead, in this order, repeats allowed; each in 0..total-1.
        times_s: The frames on the screen at these seconds from the first one instead, in this
            order; each at least 0 and below the duration.
        size: (height, width) of the output, one number for a square, None for that of the clip.
            The picture is stretched to it after its rotation was applied.
        threads: Decoding threads; None: `PYBENCH_THREADS` or all cores.
            The result does not depend on it.
        on_error: What to do when a wanted frame is missing or damaged. "raise" fails; "nearest"
            takes the nearest frame that can be read; "black" leaves it black. The last two keep
            partly damaged pictures as the decoder gives them, and report everything.

    Returns:
        The pictures (T, H, W, 3), their indices, their times in seconds and what is wrong.

    Raises:
        VideoError: The file cannot be read, is damaged (`on_error="raise"`), or has no picture.
        VideoNotFoundError: It does not exist.
        IndexError: An index or a time lies outside the clip.
        ValueError: An argument breaks its rule.
    """
    _require_reader()
    chosen = _choose(frames, plan, stride, _streams(seed, 1), indices, times_s)
    clip = _core.VideoClip(path)
    if chosen is None:
        total, step = clip.probe()["frames"], operator.index(stride or 1)
        chosen = _Choice("stride", -(-total // step), step)
    height, width = clip.size if size is None else _size(size)
    data = np.zeros((chosen.count, height, width, 3), np.uint8)
    frame_of, pts_s, (missing, concealed) = clip.sample(
        data, chosen, threads=_threads(threads), on_error=on_error
    )
    report = Report(tuple(missing), tuple(concealed), tuple(clip.warnings))
    return Frames(data, frame_of, pts_s, report)


def sample_clips(
    paths: Sequence[PathLike],
    frames: int | None = None,
    *,
    size: tuple[int, int] | int,
    plan: Plan | None = None,
    stride: int | None = None,
    seed: int | Sequence[int] | None = None,
    indices: Sequence[int] | npt.NDArray[np.integer] | None = None,
    times_s: Sequence[float] | npt.NDArray[np.floating] | None = None,
    threads: int | None = None,
    on_error: OnError = "raise",
    out: npt.NDArray[np.uint8] | None = None,
) -> Clips:
    """Decode the same choice of frames from many clips, one clip per thread.

    Args:
        paths: N files.
        frames: T, as for `sample_frames`, but never left out with a plan.
        size: (height, width) of the output, or one number for a square.
        plan: As for `sample_frames`.
        stride: As for `sample_frames`.
        seed: One number: clip i draws from its stream `video/clip=i`. N numbers: each clip draws
            what `sample_frames` draws with that seed, whatever it shares a batch with.
        indices: As for `sample_frames`.
        times_s: As for `sample_frames`.
        threads: Clips decoded at the same time; None: `PYBENCH_THREADS` or all cores.
        on_error: As for `sample_frames`; a clip without any picture always fails.
        out: (N, T, H, W, 3) uint8, C-contiguous and writeable, filled in place and returned, such
            as `tensor.numpy()`.

    Returns:
        The pictures (N, T, H, W, 3), their indices, their times and what is wrong per clip.

    Raises:
        VideoError: As for `sample_frames`; names the clip.
        VideoNotFoundError: A clip does not exist.
        IndexError: An index or a time lies outside a clip.
        ValueError: An argument breaks its rule.
    """
    _require_reader()
    chosen = _choose(frames, plan, stride, _streams(seed, len(paths)), indices, times_s)
    if chosen is None:
        msg = "frames must be given for many clips, got None; say how many frames each gives"
        raise ValueError(msg)
    count = chosen.count
    shape = (len(paths), count, *_size(size), 3)
    if out is None:
        out = np.zeros(shape, np.uint8)
    elif out.shape != shape or out.dtype != np.uint8:
        msg = f"out must be uint8 {shape}, got {out.dtype} {out.shape}; allocate it so"
        raise ValueError(msg)
    elif not (out.flags.c_contiguous and out.flags.writeable):
        what = "contiguous" if out.flags.writeable else "writeable"
        msg = f"out must be C-contiguous and writeable, got one not {what}; pass a fresh one"
        raise ValueError(msg)
    sampled = _core.video_sample_clips(
        [os.fspath(path) for path in paths],
        out,
        chosen,
        threads=_threads(threads),
        on_error=on_error,
    )
    frame_of = np.array([frame_of for frame_of, _, _ in sampled]).reshape(-1, count)
    pts_s = np.array([pts_s for _, pts_s, _ in sampled]).reshape(-1, count)
    reports = tuple(Report(tuple(lost), tuple(bad)) for _, _, (lost, bad) in sampled)
    return Clips(out, frame_of.astype(np.int64), pts_s.astype(np.float64), reports)


def write(
    path: PathLike,
    frames: npt.NDArray[np.uint8],
    *,
    fps: float = 30.0,
    codec: Codec = "mpeg4",
    gop: int = 12,
    b_frames: int = 0,
    quality: int | None = None,
) -> None:
    """Write a clip; the same input gives the same bytes.

    Args:
        path: The file; its extension chooses the container. Written in place: a caller who needs
            all or nothing writes beside it and renames.
        frames: (T, H, W, 3) uint8, RGB. H.264 needs even H and W.
        fps: Frames per second, above 0.
        codec: "mpeg4" (always there), "h264" (libx264) or "mjpeg".
        gop: Frames from keyframe to keyframe, 1..600.
        b_frames: Most B-frames in a row, 0..16.
        quality: Quantiser 1..31 for "mpeg4" and "mjpeg", constant rate factor 0..51 for "h264";
            small is good. None is nearly invisible: 3 or 18.

    Raises:
        VideoError: The file cannot be written, or FFmpeg was built without the encoder.
        ValueError: An argument breaks its rule.
    """
    _require_reader()
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        msg = (
            f"frames must be (T, H, W, 3) uint8, got {frames.shape} {frames.dtype}; "
            "convert it to RGB bytes"
        )
        raise ValueError(msg)
    _core.video_write(
        path,
        np.ascontiguousarray(frames),
        fps=fps,
        codec=codec,
        gop=gop,
        b_frames=b_frames,
        quality=_BEST_QUALITY_IN_USE.get(codec, 3) if quality is None else quality,
    )


def _require_reader() -> None:
    if not hasattr(_core, "VideoClip"):
        msg = (
            "pybench was built without video; install FFmpeg's development packages and libclang, "
            "and build it again with the feature 'video'"
        )
        raise VideoError(msg)


@dataclass(frozen=True)
class _Choice:
    """Which frames, checked; read by the Rust side, which alone knows the clip."""

    plan: str
    count: int
    stride: int = 1
    indices: tuple[int, ...] = ()
    times_s: tuple[float, ...] = ()
    words: tuple[int, ...] = ()
    """`count` random words for each clip, if the plan draws."""


def _choose(
    frames: int | None,
    plan: Plan | None,
    stride: int | None,
    streams: list[tuple[int, int]] | None,
    indices: Sequence[int] | npt.NDArray[np.integer] | None,
    times_s: Sequence[float] | npt.NDArray[np.floating] | None,
) -> _Choice | None:
    """The choice, or None when only the clip tells how many frames its plan gives."""
    ways = {"frames": frames, "indices": indices, "times_s": times_s}
    given = [name for name, value in ways.items() if value is not None]
    if len(given) > 1 or not (given or plan == "stride"):
        msg = (
            "one of frames, indices and times_s must be given, "
            f"got {' and '.join(given) or 'none'}; pass one of them"
        )
        raise ValueError(msg)
    if indices is not None or times_s is not None:
        _refuse(f"with {given[0]}", plan=plan, stride=stride, seed=streams)
    if indices is not None:
        return _these(indices)
    if times_s is not None:
        seconds = tuple(float(second) for second in times_s)
        _at_least_one("times_s", len(seconds))
        return _Choice("times_s", len(seconds), times_s=seconds)
    plan = plan or "uniform"
    if plan not in get_args(Plan):
        msg = f"plan must be one of {', '.join(get_args(Plan))}, got {plan!r}; choose one"
        raise ValueError(msg)
    if plan not in ("random", "segments"):
        _refuse(f"with plan {plan!r}", seed=streams)
    if plan not in ("middle", "stride"):
        _refuse(f"with plan {plan!r}", stride=stride)
    if plan == "random" and streams is None:
        msg = "seed must be given for plan 'random', got None; pass a number of your run's own"
        raise ValueError(msg)
    if plan == "stride" and stride is None:
        msg = "stride must be given for plan 'stride', got None; say how many frames to advance"
        raise ValueError(msg)
    step = 1 if stride is None else _at_least_one("stride", stride)
    if frames is None:
        return None
    count = _at_least_one("frames", frames)
    return _Choice(plan, count, step, words=_words(streams or [], count))


def _refuse(where: str, **arguments: object) -> None:
    for name, value in arguments.items():
        if value is not None:
            msg = f"{name} must be left out {where}, got one; it would change nothing"
            raise ValueError(msg)


def _these(indices: Sequence[int] | npt.NDArray[np.integer]) -> _Choice:
    chosen = tuple(operator.index(index) for index in indices)
    _at_least_one("indices", len(chosen))
    if min(chosen) < 0:
        msg = f"indices must be 0 or more, got {min(chosen)}; count from the first frame"
        raise IndexError(msg)
    return _Choice("indices", len(chosen), indices=chosen)


def _at_least_one(name: str, value: int) -> int:
    number = operator.index(value)
    if number < 1:
        what = "name at least one frame" if name in ("indices", "times_s") else "be at least 1"
        msg = f"{name} must {what}, got {number}; ask for a frame"
        raise ValueError(msg)
    return number


def _streams(seed: int | Sequence[int] | None, clips: int) -> list[tuple[int, int]] | None:
    """Seed and clip number of the random stream of each clip."""
    if seed is None:
        return None
    if isinstance(seed, int | np.integer):
        return [(int(seed), clip) for clip in range(clips)]
    if len(seed) != clips:
        msg = f"seed must be one number or {clips}, got {len(seed)}; give each clip one"
        raise ValueError(msg)
    return [(operator.index(one), 0) for one in seed]


def _words(streams: list[tuple[int, int]], count: int) -> tuple[int, ...]:
    return tuple(
        word
        for seed, clip in streams
        for word in _core.philox(_core.stream_key(seed, f"video/clip={clip}"), size=count).tolist()
    )


def _size(size: tuple[int, int] | int) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if not (1 <= height <= 16384 and 1 <= width <= 16384):
        msg = f"size must be (height, width) in 1..16384, got {size}; choose a size"
        raise ValueError(msg)
    return height, width


def _threads(threads: int | None) -> int:
    if threads is None:
        threads = int(os.environ.get("PYBENCH_THREADS", 0)) or len(os.sched_getaffinity(0))
    if threads < 1:
        msg = f"threads must be at least 1, got {threads}; leave it out to use all cores"
        raise ValueError(msg)
    return threads
