"""The compiled half of pybench."""

from collections.abc import Sequence
from os import PathLike
from typing import TypeAlias, TypedDict, final

import numpy as np
import numpy.typing as npt

# Video: `pybench.video` is the public face. Missing when built without the feature `video`.

class _Probe(TypedDict):
    frames: int
    width: int
    height: int
    rotation: int
    fps: float
    duration_s: float
    codec: str
    container: str
    gops: int

# Indices (T,), seconds (T,), and (missing, concealed).
_Sampled: TypeAlias = tuple[
    npt.NDArray[np.int64], npt.NDArray[np.float64], tuple[list[int], list[int]]
]

@final
class VideoClip:
    """An indexed clip: no open file, no decoder."""

    def __new__(cls, path: str | PathLike[str]) -> VideoClip: ...
    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns after the rotation."""
    @property
    def warnings(self) -> list[str]:
        """What is odd about the file."""
    def probe(self) -> _Probe:
        """What the clip is, its warnings apart."""
    def sample(
        self,
        out: npt.NDArray[np.uint8],
        *,
        frames: int | None,
        indices: Sequence[int] | None,
        threads: int,
        on_error: str,
    ) -> _Sampled:
        """Fill `out` (T, H, W, 3), C-contiguous."""

def video_sample_clips(
    paths: Sequence[str | PathLike[str]],
    out: npt.NDArray[np.uint8],
    *,
    frames: int | None,
    indices: Sequence[int] | None,
    threads: int,
    on_error: str,
) -> list[_Sampled]:
    """Fill `out` (N, T, H, W, 3), C-contiguous, one clip per thread."""

def video_write(
    path: str | PathLike[str],
    frames: npt.NDArray[np.uint8],
    *,
    fps: float,
    codec: str,
    gop: int,
    b_frames: int,
    quality: int,
) -> None:
    """Write `frames` (T, H, W, 3), C-contiguous."""
