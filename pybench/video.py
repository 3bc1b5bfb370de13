"""Reading and writing clips: exactly the frames that were asked for, or an error that says why not.

Frame `k` is the `k`-th picture in presentation order after the edit list: what a player shows and
what a full decode from the start gives, whatever the container, the B-frames or the seek points.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from pybench import _core

PathLike: TypeAlias = str | os.PathLike[str]
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
    indices: Sequence[int] | npt.NDArray[np.integer] | None = None,
    size: tuple[int, int] | int | None = None,
    threads: int | None = None,
    on_error: OnError = "raise",
) -> Frames:
    """Decode some frames of a clip, resized with an antialiased triangle filter.

    Args:
        path: A file in any container that the linked FFmpeg reads.
        frames: This many, spread evenly: `linspace(0, total - 1, frames)` rounded. At least 1.
        indices: These frames instead, in this order, repeats allowed; each in 0..total-1.
        size: (height, width) of the output, one number for a square, None for that of the clip.
            The picture is stretched to it after its rotation was applied.
        threads: Groups of pictures decoded at the same time; None: `PYBENCH_THREADS` or all cores.
            The result does not depend on it.
        on_error: What to do when a wanted frame is missing or damaged. "raise" fails; "nearest"
            takes the nearest frame that can be read; "black" leaves it black. The last two keep
            partly damaged pictures as the decoder gives them, and report everything.

    Returns:
        The pictures (T, H, W, 3), their indices, their times in seconds and what is wrong.

    Raises:
        VideoError: The file cannot be read, is damaged (`on_error="raise"`), or has no picture.
        VideoNotFoundError: It does not exist.
        IndexError: An index lies outside the clip.
        ValueError: An argument breaks its rule.
    """
    _require_reader()
    count, chosen = _pick(frames, indices)
    clip = _core.VideoClip(path)
    height, width = clip.size if size is None else _size(size)
    data = np.zeros((count, height, width, 3), np.uint8)
    frame_of, pts_s, (missing, concealed) = clip.sample(
        data,
        frames=None if chosen is not None else count,
        indices=chosen,
        threads=_threads(threads),
        on_error=on_error,
    )
    report = Report(tuple(missing), tuple(concealed), tuple(clip.warnings))
    return Frames(data, frame_of, pts_s, report)


def sample_clips(
    paths: Sequence[PathLike],
    frames: int | None = None,
    *,
    size: tuple[int, int] | int,
    indices: Sequence[int] | npt.NDArray[np.integer] | None = None,
    threads: int | None = None,
    on_error: OnError = "raise",
    out: npt.NDArray[np.uint8] | None = None,
) -> Clips:
    """Decode the same choice of frames from many clips, one clip per thread.

    Args:
        paths: N files.
        frames: As for `sample_frames`.
        size: (height, width) of the output, or one number for a square.
        indices: As for `sample_frames`.
        threads: Clips decoded at the same time; None: `PYBENCH_THREADS` or all cores.
        on_error: As for `sample_frames`; a clip without any picture always fails.
        out: (N, T, H, W, 3) uint8, C-contiguous and writeable, filled in place and returned.

    Returns:
        The pictures (N, T, H, W, 3), their indices, their times and what is wrong per clip.

    Raises:
        VideoError: As for `sample_frames`; names the clip.
        VideoNotFoundError: A clip does not exist.
        IndexError: An index lies outside a clip.
        ValueError: An argument breaks its rule.
    """
    _require_reader()
    count, chosen = _pick(frames, indices)
    shape = (len(paths), count, *_size(size), 3)
    if out is None:
        out = np.zeros(shape, np.uint8)
    elif out.shape != shape or out.dtype != np.uint8:
        msg = f"out must be uint8 {shape}, got {out.dtype} {out.shape}; allocate it so"
        raise ValueError(msg)
    elif not (out.flags.c_contiguous and out.flags.writeable):
        msg = "out must be C-contiguous and writeable, got an array that is not; pass a fresh one"
        raise ValueError(msg)
    sampled = _core.video_sample_clips(
        [os.fspath(path) for path in paths],
        out,
        frames=None if chosen is not None else count,
        indices=chosen,
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


def _pick(
    frames: int | None, indices: Sequence[int] | npt.NDArray[np.integer] | None
) -> tuple[int, list[int] | None]:
    if frames is not None and indices is None:
        count = operator.index(frames)
        if count < 1:
            msg = f"frames must be at least 1, got {count}; ask for a frame"
            raise ValueError(msg)
        return count, None
    if frames is not None or indices is None:
        msg = "frames or indices must be given, got both or neither; pass one of them"
        raise ValueError(msg)
    chosen = [operator.index(index) for index in indices]
    if not chosen:
        msg = "indices must name at least one frame, got none; ask for a frame"
        raise ValueError(msg)
    if min(chosen) < 0:
        msg = f"indices must be 0 or more, got {min(chosen)}; count from the first frame"
        raise IndexError(msg)
    return len(chosen), chosen


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
