"""Damaged clips of every container: no crash, no hang, and nothing wrong that is not named."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pybench import video
from tests import fuzz_video
from tests.fuzz_video import (
    CLIPS,
    FRAMES,
    HEIGHT,
    WHOLE,
    WIDTH,
    fuzz,
    make_clips,
    misplaced,
    pictures_of,
    references,
)
from tests.painted import ffmpeg, painted

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program")

FINE = {"refused", "flagged", "clean"}
BLOCK = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fuzz")
    make_clips(path)
    return path


def test_a_few_damaged_clips_are_never_sampled_wrongly_in_silence(folder: Path) -> None:
    findings = list(fuzz(range(20 * len(CLIPS)), folder))
    assert [finding for finding in findings if finding.verdict not in FINE] == []
    assert {finding.verdict for finding in findings} == FINE


@pytest.mark.soak
def test_ten_thousand_damaged_clips_are_never_sampled_wrongly_in_silence(folder: Path) -> None:
    findings = fuzz(range(10_000), folder)
    assert [finding for finding in findings if finding.verdict not in FINE] == []


def blocks(data: bytes, damage: Callable[[int], bytes]) -> list[bytes]:
    """Copies with one block of the second half damaged: behind all headers, but for a last moov."""
    begin, end = len(data) // 2, len(data) * 3 // 4
    size = min(BLOCK, (end - begin) // 2)
    return [data[:at] + damage(size) + data[at + size :] for at in (begin, begin + size)]


@pytest.mark.parametrize("name", CLIPS)
def test_what_is_not_named_is_what_ffmpeg_decodes(folder: Path, tmp_path: Path, name: str) -> None:
    """Overwritten with noise and with zeros: bit for bit."""
    data = (folder / name).read_bytes()
    noise = np.random.default_rng(0)
    for number, broken in enumerate([*blocks(data, noise.bytes), *blocks(data, bytes)]):
        path = tmp_path / f"{number}-{name}"
        path.write_bytes(broken)
        try:
            shown = video.probe(path).frames
            got = video.sample_frames(
                path, indices=range(shown), size=(HEIGHT, WIDTH), on_error="black"
            )
        except video.VideoError:
            continue
        truths = (references([path], tmp_path)[0], pictures_of(folder / WHOLE / f"{name}.mkv"))
        assert misplaced(got, *truths) is None, number


# In AV1 a wrong byte is often another picture that is just as valid; the end of the HEVC film is
# its header; from the others FFmpeg drops packets without a word.
UNNOTICED = ("av1.mp4", "hevc.mp4", "hevc.mkv", "h264_fragmented.mp4", "msmpeg4.avi")
NOTICING = [name for name in CLIPS if name not in UNNOTICED]


@pytest.mark.parametrize("damage", ["noise", "zeros"])
@pytest.mark.parametrize("name", NOTICING)
def test_a_damaged_block_is_noticed(folder: Path, tmp_path: Path, name: str, damage: str) -> None:
    make = bytes if damage == "zeros" else np.random.default_rng(1).bytes
    for number, broken in enumerate(blocks((folder / name).read_bytes(), make)):
        path = tmp_path / f"{number}-{name}"
        path.write_bytes(broken)
        try:
            report = video.sample_frames(path, FRAMES, size=16, on_error="nearest").report
        except video.VideoError:
            continue
        assert report or report.warnings, number


SLICED = {
    # Arguments of the encoder; bytes of a unit's header; which units are slices; one nobody knows.
    "h264": (["-c:v", "libx264", "-x264-params", "slices=3:keyint=8"], 0x1F, {1, 5}, 30),
    "hevc": (
        ["-c:v", "libx265", "-x265-params", "slices=3:keyint=8:ctu=16:pools=1:log-level=0"],
        0x7E,
        set(range(0, 44, 2)),
        48 << 1,
    ),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("container", ["mp4", "raw"])
@pytest.mark.parametrize("codec", SLICED)
def test_a_part_of_a_picture_that_is_never_decoded_is_noticed(
    tmp_path: Path, codec: str, container: str, threads: int
) -> None:
    """No decoder complains of a slice that is not there."""
    encoder, kinds, slices, unknown = SLICED[codec]
    height, width = 96, 512
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "25"]
    raw = painted(FRAMES, height, width).tobytes()
    stream = tmp_path / f"clip.{codec}"
    ffmpeg(*source, "-i", "-", *encoder, "-pix_fmt", "yuv420p", "-bf", "0", stream, stdin=raw)
    data = bytearray(stream.read_bytes())
    starts = [at + 3 for at in range(len(data) - 4) if data[at : at + 3] == b"\0\0\1"]
    # Slices of one picture follow each other: the first says so in the bit behind the header.
    header = 1 if codec == "h264" else 2
    parts = [at for at in starts if data[at] & kinds in slices and not data[at + header] & 0x80]
    assert len(parts) == 2 * FRAMES
    lost = parts[2 * 10]
    data[lost] = data[lost] & ~kinds & 0xFF | unknown
    stream.write_bytes(data)
    path = stream
    if container == "mp4":
        path = tmp_path / "clip.mp4"
        ffmpeg("-r", "25", "-i", stream, "-c", "copy", path)
    report = video.sample_frames(
        path, indices=range(FRAMES), size=16, on_error="nearest", threads=threads
    ).report
    assert report.missing == ()
    assert report.concealed == tuple(range(10, 16))
    with pytest.raises(video.VideoError, match="damaged"):
        video.sample_frames(path, indices=[12], size=16, threads=threads)
    assert not video.sample_frames(path, indices=[3, 17], size=16, threads=threads).report


@pytest.mark.parametrize("extension", ["mov", "avi"])
def test_a_jpeg_without_its_tables_is_noticed(folder: Path, tmp_path: Path, extension: str) -> None:
    """A decoder that starts there would make do with tables of its own."""
    data = bytearray((folder / f"mjpeg.{extension}").read_bytes())
    pictures = [at for at in range(len(data)) if data[at : at + 3] == b"\xff\xd8\xff"]
    at = pictures[10]
    data[at : at + 60] = bytes(60)
    path = tmp_path / f"broken.{extension}"
    path.write_bytes(data)
    for indices in ([10], range(FRAMES)):
        got = video.sample_frames(path, indices=indices, size=(HEIGHT, WIDTH), on_error="black")
        truth = references([path], tmp_path)[0]
        if 10 not in (*got.report.missing, *got.report.concealed):
            assert np.array_equal(got.data[indices.index(10)], truth[10])


def test_a_keyframe_whose_time_is_wrong_keeps_its_place(folder: Path, tmp_path: Path) -> None:
    """FFmpeg shows pictures as they are decoded; by this time the first would be the last."""
    data = bytearray((folder / "h264.flv").read_bytes())
    tags = [
        k for k in range(13, len(data) - 16) if data[k] == 9 and data[k + 11 : k + 13] == b"\x17\1"
    ]
    data[tags[0] + 13 : tags[0] + 16] = (1 << 20).to_bytes(3, "big")
    path = tmp_path / "late.flv"
    path.write_bytes(data)
    got = video.sample_frames(path, indices=range(FRAMES), size=(HEIGHT, WIDTH))
    assert np.array_equal(got.data, pictures_of(folder / WHOLE / "h264.flv.mkv"))
    assert any("timestamps" in warning for warning in got.report.warnings)


@pytest.mark.parametrize("extension", ["mkv", "ts", "flv", "mp4"])
def test_packets_that_got_lost_leave_a_gap(tmp_path: Path, extension: str) -> None:
    """Pictures that need no other are lost without any complaint of the decoder."""
    whole, part = tmp_path / f"whole.{extension}", tmp_path / f"part.{extension}"
    alone = ["-c:v", "libx264", "-preset", "veryfast", "-g", "1", "-pix_fmt", "yuv420p"]
    one_by_one = ["-movflags", "frag_every_frame+empty_moov"] if extension == "mp4" else []
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", "25"]
    raw = painted(FRAMES, HEIGHT, WIDTH).tobytes()
    ffmpeg(*source, "-i", "-", *alone, *one_by_one, whole, stdin=raw)
    assert not any("room" in warning for warning in video.probe(whole).warnings)
    lose = ["-bsf:v", "noise=amount=0:drop='between(n,9,11)'"]
    ffmpeg("-i", whole, "-c", "copy", "-copyts", *lose, *one_by_one, part)
    assert video.probe(part).frames == FRAMES - 3
    assert any("room for 3 more" in warning for warning in video.probe(part).warnings)


@pytest.mark.parametrize("which", [0, 1])
def test_a_fragment_whose_header_is_destroyed_is_noticed(
    folder: Path, tmp_path: Path, which: int
) -> None:
    data = bytearray((folder / "h264_fragmented.mp4").read_bytes())
    at = [k for k in range(len(data)) if data[k : k + 4] == b"moof"][which]
    data[at - 4 : at + 4] = b"\x9a" * 8
    path = tmp_path / "part.mp4"
    path.write_bytes(data)
    try:
        warnings = video.probe(path).warnings
    except video.VideoError as error:
        warnings = (str(error),)
    assert any("no fragment begins at byte" in warning for warning in warnings)


LIES = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
from pybench import video
for path in sys.argv[2:]:
    try:
        print(video.sample_frames(path, 4, size=16, on_error="black", threads=1).report)
    except video.VideoError as error:
        print(error)
"""


@pytest.mark.parametrize("name", ["h264_moov_first.mp4", "mpeg4.avi", "vp9.webm", "h264.flv"])
def test_a_size_that_lies_takes_no_memory(folder: Path, tmp_path: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    head = min(len(data) - 4, 800 if name.endswith("mp4") else 400)
    paths = []
    for at in range(0, head, 12):
        for lie in (b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"):
            paths.append(tmp_path / f"{len(paths)}-{name}")
            paths[-1].write_bytes(data[:at] + lie + data[at + 4 :])
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    bound = min(2 << 30, limit) if limit != resource.RLIM_INFINITY else 2 << 30
    done = subprocess.run(
        [sys.executable, "-c", LIES, str(bound), *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(paths)


GROWTH = """
import resource, sys
from pybench import video
*paths, calls = sys.argv[1:]
def read(number):
    path = paths[number % len(paths)]
    try:
        video.sample_frames(path, 6, size=24, on_error="nearest", threads=1 + number % 2)
    except video.VideoError:
        pass
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
for number in range(60):
    read(number)
before = resident()
for number in range(int(calls)):
    read(number)
print(resident() - before)
"""


@pytest.mark.parametrize("calls", [300, pytest.param(10_000, marks=pytest.mark.soak)])
def test_memory_does_not_grow(folder: Path, tmp_path: Path, calls: int) -> None:
    broken = fuzz_video.mutant(2 * len(CLIPS), folder, tmp_path)
    names = ("h264_moov_first.mp4", "h264.ts", "vp9.webm", "mpeg4_b.avi", "hevc.mkv")
    paths = [*(folder / name for name in names), broken, tmp_path / "absent.mp4"]
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, *map(str, paths), str(calls)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 8 << 20
