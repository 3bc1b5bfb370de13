"""What makes reading fast changes nothing: own tables, known indexes, skipped packets, vectors.

FFmpeg's demuxer is the witness: a box at the end of an ISO file, which it ignores, makes the reader
leave the tables to it.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms.v2.functional import resize

from pybench import video
from tests.painted import numbers, painted

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program")

FRAMES, HEIGHT, WIDTH = 90, 120, 160
X264 = ["-c:v", "libx264", "-preset", "veryfast", "-g", "30"]
X265 = ["-c:v", "libx265", "-preset", "ultrafast"]
HEVC = "keyint=30:bframes=4:pools=1:log-level=none"
WAYS = {
    "h264": ("mp4", [*X264, "-bf", "3"]),
    "h264_sliced": ("mp4", [*X264, "-bf", "3", "-slices", "4"]),
    "h264_in_order": ("mov", [*X264, "-bf", "0"]),
    "h264_open": ("mp4", [*X264, "-bf", "3", "-x264-params", "open-gop=1:b-pyramid=strict"]),
    "h264_10bit": ("mp4", [*X264, "-pix_fmt", "yuv420p10le"]),
    "h264_444": ("mp4", [*X264, "-pix_fmt", "yuv444p"]),
    "h264_tagged": ("mp4", [*X264, "-colorspace", "bt709", "-movflags", "+write_colr"]),
    "hevc": ("mp4", [*X265, "-x265-params", HEVC]),
    "hevc_layers": ("mp4", [*X265, "-x265-params", f"{HEVC}:temporal-layers=1"]),
    "mpeg4": ("mp4", ["-c:v", "mpeg4", "-q:v", "3", "-bf", "0"]),
    "mpeg4_b": ("mp4", ["-c:v", "mpeg4", "-q:v", "3", "-bf", "2"]),
    "with_sound": ("mp4", [*X264, "-shortest", "-c:a", "aac"]),
    "mkv": ("mkv", [*X264, "-bf", "3"]),
    "ts": ("ts", [*X264, "-bf", "3"]),
    "mpeg2_ts": ("ts", ["-c:v", "mpeg2video", "-q:v", "3", "-g", "15", "-bf", "2"]),
    "mpeg4_avi": ("avi", ["-c:v", "mpeg4", "-q:v", "3", "-bf", "0"]),
    "xvid_avi": ("avi", ["-c:v", "mpeg4", "-q:v", "3", "-bf", "2", "-vtag", "XVID"]),
}


def encode(path: Path, *settings: str, pictures: np.ndarray | None = None) -> Path:
    raw = painted(FRAMES) if pictures is None else pictures
    shape = f"{raw.shape[2]}x{raw.shape[1]}"
    sound = ["-f", "lavfi", "-i", "sine"] if "aac" in settings else []
    subprocess.run(
        [
            *("ffmpeg", "-y", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", shape),
            *("-r", "30", "-i", "-", *sound, "-pix_fmt", "yuv420p", *settings, "-threads", "1"),
            path,
        ],
        input=raw.tobytes(),
        check=True,
    )
    return path


@pytest.fixture(scope="module", params=WAYS)
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    extension, settings = WAYS[request.param]
    folder = tmp_path_factory.mktemp("index")
    return encode(folder / f"{request.param}.{extension}", *settings)


def let_settle() -> None:
    """Waits until a file just written is old enough for its index to be remembered."""
    time.sleep(0.05)


def test_the_own_tables_say_what_ffmpeg_says(clip: Path, tmp_path: Path) -> None:
    if clip.suffix not in (".mp4", ".mov"):
        pytest.skip("only ISO files have these tables")
    witness = tmp_path / clip.name
    witness.write_bytes(clip.read_bytes() + struct.pack(">I4s", 8, b"junk"))
    assert video.probe(clip) == video.probe(witness)
    ours = video.sample_frames(clip, indices=range(FRAMES))
    theirs = video.sample_frames(witness, indices=range(FRAMES))
    assert numbers(ours.data) == list(range(FRAMES))
    np.testing.assert_array_equal(ours.data, theirs.data)
    np.testing.assert_array_equal(ours.pts_s, theirs.pts_s)
    assert not ours.report and not theirs.report


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_skipped_pictures_do_not_change_the_others(clip: Path, threads: int) -> None:
    everything = video.sample_frames(clip, indices=range(FRAMES), threads=1)
    for chosen in (range(0, FRAMES, 7), range(40, 56), [1], [88], [0, 45, 46, 89]):
        some = video.sample_frames(clip, indices=chosen, threads=threads)
        np.testing.assert_array_equal(some.data, everything.data[list(chosen)])
        np.testing.assert_array_equal(some.pts_s, everything.pts_s[list(chosen)])
        assert not some.report


def test_a_remembered_index_gives_the_same(clip: Path) -> None:
    first = video.sample_frames(clip, 16, size=56)
    facts = video.probe(clip)
    let_settle()
    for _ in range(3):
        again = video.sample_frames(clip, 16, size=56)
        np.testing.assert_array_equal(again.data, first.data)
        np.testing.assert_array_equal(again.pts_s, first.pts_s)
        assert video.probe(clip) == facts


@pytest.mark.parametrize("extension", ["mp4", "avi"])
def test_a_changed_file_is_read_anew(tmp_path: Path, extension: str) -> None:
    path, other = tmp_path / f"clip.{extension}", tmp_path / f"other.{extension}"
    pictures = painted(60)
    video.write(path, pictures, gop=10)
    video.write(other, pictures[::-1], gop=10)
    let_settle()
    for _ in range(2):
        assert numbers(video.sample_frames(path, indices=[0, 59]).data) == [0, 59]
    times = path.stat()
    new = other.read_bytes()
    # Overwritten in place, as long as before and with its old date.
    length = max(len(new), times.st_size)
    path.write_bytes(new + b"\0" * (length - len(new)))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    got = video.sample_frames(path, indices=[0, 59], on_error="nearest")
    assert numbers(got.data) == [59, 0]
    # Another file in its place.
    video.write(other, pictures[:20])
    other.rename(path)
    assert video.probe(path).frames == 20


def test_a_file_cut_after_it_was_indexed_is_not_sampled_in_silence(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4", *X264, "-movflags", "+faststart")
    let_settle()
    video.sample_frames(path, 4)
    os.truncate(path, path.stat().st_size * 2 // 3)
    with pytest.raises(video.VideoError, match="cut short"):
        video.sample_frames(path, 4)


@pytest.mark.parametrize("size", [(224, 224), (112, 112), (60, 200), (37, 53), (480, 500)])
@pytest.mark.parametrize("depth", ["yuv420p", "yuv422p10le"])
def test_sizes_change_as_torchvision_does_it(
    tmp_path: Path, size: tuple[int, int], depth: str
) -> None:
    y, x = np.mgrid[:242, :322]
    wave = 120 + 60 * np.sin(x / 9) * np.cos(y / 7) + 30 * np.sin((x + 2 * y) / 3)
    picture = np.stack([wave, np.roll(wave, 9, axis=1), 240 - wave], axis=-1)
    pictures = np.clip(picture, 0, 255).astype(np.uint8)[None].repeat(2, axis=0)
    settings = ["-c:v", "libx264", "-crf", "12", "-pix_fmt", depth]
    path = encode(tmp_path / "clip.mp4", *settings, pictures=pictures)
    whole = torch.from_numpy(video.sample_frames(path, 1).data).permute(0, 3, 1, 2)
    expected = resize(whole.float(), list(size), antialias=True).permute(0, 2, 3, 1).numpy()
    got = video.sample_frames(path, 1, size=size).data
    difference = np.abs(got.astype(float) - expected)
    assert difference.mean() < 1
    assert abs((got - expected).mean()) < 0.3


def test_memory_does_not_grow_with_the_calls(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mkv", *X264, "-bf", "2", pictures=painted(30, 64, 96))
    code = f"""
import os
from pathlib import Path
from pybench import video

def resident_mb():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

for k in range(600):
    if k == 100:
        before = resident_mb()
    os.utime({str(path)!r})  # neither the first nor any later call finds the index remembered
    video.sample_frames({str(path)!r}, 8, size=32, threads=2)
print(resident_mb() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 16


def test_a_header_that_lies_about_the_size_costs_no_memory(tmp_path: Path) -> None:
    data = bytearray(encode(tmp_path / "clip.mp4", "-c:v", "mjpeg").read_bytes())
    start = data.index(b"\xff\xc0")
    for at in [k for k in range(start, len(data) - 9) if data[k : k + 2] == b"\xff\xc0"]:
        struct.pack_into(">HH", data, at + 5, 65_500, 65_500)
    lying = tmp_path / "lying.mp4"
    lying.write_bytes(data)
    with pytest.raises(video.VideoError):
        video.sample_frames(lying, 2, size=32)
