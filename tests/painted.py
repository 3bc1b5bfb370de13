"""Clips whose frames carry their number, and what a full decode by the ffmpeg program shows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pybench import video

FRAMES, HEIGHT, WIDTH = 90, 120, 160
BITS = 10


def painted(count: int, height: int = HEIGHT, width: int = WIDTH) -> npt.NDArray[np.uint8]:
    """Pictures that carry their number as ten blocks, bright for 1, over a moving pattern."""
    y, x = np.mgrid[:height, :width]
    pictures = np.empty((count, height, width, 3), np.uint8)
    for k in range(count):
        pattern = 70 + 12 * np.sin((x + 3 * k) / 11) + 12 * np.cos((y - 2 * k) / 7)
        pictures[k] = pattern[:, :, None] + [0, 8, -8]
        for bit in range(BITS):
            top, left = block(bit, height, width)
            level = 210 if k >> bit & 1 else 20
            pictures[k, top : top + height // 4, left : left + width // 6] = level
    return pictures


def block(bit: int, height: int, width: int) -> tuple[int, int]:
    row, column = divmod(bit, 5)
    return height // 8 + row * height // 2, width // 40 + column * width // 5


def numbers(pictures: npt.NDArray[np.uint8]) -> list[int]:
    """The numbers painted into pictures (T, H, W) or (T, H, W, 3)."""
    height, width = pictures.shape[1:3]
    read = np.zeros(len(pictures), int)
    for bit in range(BITS):
        top, left = block(bit, height, width)
        inner = pictures[
            :,
            top + height // 16 : top + 3 * height // 16,
            left + width // 24 : left + 3 * width // 24,
        ]
        read |= (inner.reshape(len(pictures), -1).mean(axis=1) > 115).astype(int) << bit
    return read.tolist()


def ffmpeg(*arguments: str | Path, stdin: bytes | None = None) -> bytes:
    command = ["ffmpeg", "-nostdin", "-y", "-v", "error", *map(str, arguments)]
    if stdin is not None:
        command.remove("-nostdin")
    done = subprocess.run(command, input=stdin, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def truth(path: Path, height: int = HEIGHT, width: int = WIDTH) -> list[int]:
    """The painted numbers in the order in which the ffmpeg program shows them."""
    raw = ffmpeg(
        *("-i", path, "-map", "0:v:0", "-vsync", "passthrough"),
        *("-f", "rawvideo", "-pix_fmt", "gray", "-"),
    )
    return numbers(np.frombuffer(raw, np.uint8).reshape(-1, height, width))


def check_every_frame(path: Path, threads: int = 2) -> video.Frames:
    """All frames and 32 uniform ones are those of a full decode."""
    expected = truth(path)
    facts = video.probe(path)
    assert facts.frames == len(expected)
    everything = video.sample_frames(path, indices=range(len(expected)), threads=threads)
    assert numbers(everything.data) == expected
    assert not everything.report
    some = video.sample_frames(path, 32, threads=threads)
    chosen = np.linspace(0, len(expected) - 1, 32).round().astype(np.int64)
    np.testing.assert_array_equal(some.indices, chosen)
    np.testing.assert_array_equal(some.data, everything.data[chosen])
    np.testing.assert_array_equal(some.pts_s, everything.pts_s[chosen])
    return everything
