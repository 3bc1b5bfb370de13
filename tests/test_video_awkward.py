"""Clips that readers get wrong: each against a full decode by the ffmpeg program."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pybench import video
from tests.field_coded import field_coded
from tests.painted import check_every_frame, ffmpeg, numbers, painted, truth

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program")

FRAMES, HEIGHT, WIDTH = 40, 120, 160
X264 = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-g", "9", "-bf", "3"]
X265 = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=9:bframes=3:pools=1"]
AV1 = ["-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-g", "9", "-crf", "30"]
SVT = ["-c:v", "libsvtav1", "-preset", "12", "-g", "9", "-crf", "30"]
VP9 = ["-c:v", "libvpx-vp9", "-g", "9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "800k"]
MPEG2 = ["-c:v", "mpeg2video", "-q:v", "3", "-g", "9", "-bf", "2"]
FIELDS = ["-flags", "+ilme+ildct"]
CONSTANT = ["-b:v", "2M", "-minrate", "2M", "-maxrate", "2M", "-bufsize", "600k"]
TEN = ["-pix_fmt", "yuv420p10le"]

ENCODED = {
    "av1_mp4": ("mp4", AV1),
    "av1_altref_mkv": ("mkv", SVT),
    "av1_altref_webm": ("webm", SVT),
    "av1_altref_ten_bits": ("mp4", [*SVT, *TEN]),
    "h264_moov_last_mov": ("mov", X264),
    "h264_closed_gop": ("mp4", [*X264, "-flags", "+cgop"]),
    "h264_deep_references": ("mp4", [*X264, "-x264-params", "open-gop=1:ref=8:b-pyramid=strict"]),
    "h264_fragmented_by_frame": ("mp4", [*X264, "-movflags", "frag_every_frame+empty_moov"]),
    "h264_open_gop_fragmented": (
        "mp4",
        [
            *X264,
            "-x264-params",
            "open-gop=1",
            "-movflags",
            "frag_keyframe+empty_moov+default_base_moof",
        ],
    ),
    "h264_negative_offsets": ("mp4", [*X264, "-movflags", "negative_cts_offsets"]),
    "h264_interlaced_mp4": ("mp4", [*X264, *FIELDS, "-x264-params", "bff=1"]),
    "h264_interlaced_mkv": ("mkv", [*X264, *FIELDS, "-x264-params", "tff=1"]),
    "h264_ps": ("mpg", [*X264, "-f", "mpeg"]),
    "h264_flv": ("flv", X264),
    "h264_ten_bits": ("mp4", [*X264, *TEN]),
    "h264_four_four_four": ("mkv", [*X264, "-pix_fmt", "yuv444p"]),
    "h264_rgb": ("mkv", ["-c:v", "libx264rgb", "-crf", "10", "-g", "9", "-pix_fmt", "rgb24"]),
    "hevc_open_gop": ("mp4", [*X265[:-1], "keyint=9:bframes=3:open-gop=1:pools=1"]),
    "hevc_closed_gop_fragmented": (
        "mp4",
        [*X265[:-1], "keyint=9:open-gop=0:pools=1", "-movflags", "frag_keyframe+empty_moov"],
    ),
    "hevc_ten_bits": ("mkv", [*X265, *TEN]),
    "vp9_mp4": ("mp4", VP9),
    "vp9_ten_bits": ("webm", [*VP9, *TEN, "-profile:v", "2"]),
    "mjpeg_mov": ("mov", ["-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj422p"]),
    "mjpeg_mp4": ("mp4", ["-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p"]),
    "mpeg2_fields_ts": ("ts", [*MPEG2, *FIELDS]),
    "mpeg2_vob": ("vob", MPEG2),
    "mpeg2_mkv": ("mkv", MPEG2),
    "mpeg1_ps": ("mpg", ["-c:v", "mpeg1video", "-q:v", "3", "-g", "9", "-bf", "2"]),
    "mpeg4_fields_mp4": ("mp4", ["-c:v", "mpeg4", "-q:v", "3", "-g", "12", "-bf", "2", *FIELDS]),
    "mpeg4_b_frames_mov": ("mov", ["-c:v", "mpeg4", "-q:v", "3", "-g", "9", "-bf", "2"]),
    "mpeg4_b_frames_mkv": ("mkv", ["-c:v", "mpeg4", "-q:v", "3", "-g", "9", "-bf", "2"]),
    "mpeg4_b_frames_ts": ("ts", ["-c:v", "mpeg4", "-q:v", "3", "-g", "9", "-bf", "2"]),
    "msmpeg4v2_avi": ("avi", ["-c:v", "msmpeg4v2", "-q:v", "3", "-g", "9"]),
    "msmpeg4_mkv": ("mkv", ["-c:v", "msmpeg4", "-q:v", "3", "-g", "9"]),
    "wmv2_asf": ("wmv", ["-c:v", "wmv2", "-q:v", "3", "-g", "9"]),
    "theora_ogg": ("ogv", ["-c:v", "libtheora", "-q:v", "9", "-g", "9"]),
    "prores_mov": ("mov", ["-c:v", "prores", "-pix_fmt", "yuv422p10le"]),
    "ffv1_mkv": ("mkv", ["-c:v", "ffv1"]),
    "h264_grey": ("mp4", [*X264, "-pix_fmt", "gray"]),
    "hevc_four_two_two": ("mkv", [*X265, "-pix_fmt", "yuv422p10le"]),
    "vp9_alpha_webm": ("webm", [*VP9, "-pix_fmt", "yuva420p"]),
    "png_alpha_mov": ("mov", ["-c:v", "png", "-pix_fmt", "rgba"]),
    "gif": ("gif", ["-c:v", "gif", "-pix_fmt", "rgb8"]),
    # Pictures filled up with zeros to the same size.
    "mpeg2_constant_rate_ts": ("ts", ["-c:v", "mpeg2video", "-g", "9", "-bf", "2", *CONSTANT]),
    "mpeg1_constant_rate_ps": ("mpg", ["-c:v", "mpeg1video", "-g", "9", "-bf", "2", *CONSTANT]),
    # The decoder names no keyframes, and goes by the packets; the colours are in the first packet.
    "flashsv2_flv": ("flv", ["-c:v", "flashsv2", "-g", "9", "-pix_fmt", "bgr24"]),
    "smc_mov": ("mov", ["-c:v", "smc", "-g", "9", "-pix_fmt", "pal8"]),
}


def encode(to: Path, arguments: list[str], size: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
    height, width = size
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "30"]
    pixels = [] if "-pix_fmt" in arguments else ["-pix_fmt", "yuv420p"]
    raw = painted(FRAMES, height, width).tobytes()
    ffmpeg(*source, "-i", "-", *arguments, *pixels, "-threads", "1", to, stdin=raw)
    return to


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a clip on first use."""
    folder = tmp_path_factory.mktemp("awkward")
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            extension, arguments = ENCODED[name]
            made[name] = encode(folder / f"{name}.{extension}", arguments)
        return made[name]

    return make


def check(path: Path) -> video.Frames:
    """All frames and 32 of them, with one thread and with two."""
    one = check_every_frame(path, 1)
    two = video.sample_frames(path, indices=range(len(one.data)), threads=2)
    np.testing.assert_array_equal(one.data, two.data)
    assert not two.report
    some = video.sample_frames(path, 32, threads=2)
    np.testing.assert_array_equal(some.data, one.data[some.indices])
    return one


@pytest.mark.parametrize("name", ENCODED)
def test_frames_are_those_of_a_full_decode(clip: Callable[[str], Path], name: str) -> None:
    check(clip(name))


def test_a_format_may_have_no_keyframes(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mkv", ["-c:v", "h261", "-q:v", "3"], size=(144, 176))
    everything = video.sample_frames(path, indices=range(FRAMES))
    assert numbers(everything.data) == truth(path, 144, 176)
    some = video.sample_frames(path, 9)
    np.testing.assert_array_equal(some.data, everything.data[some.indices])


def patched(path: Path, to: Path, *changes: tuple[bytes, int, bytes]) -> Path:
    """A copy with bytes overwritten behind the only place where a word stands."""
    data = bytearray(path.read_bytes())
    for word, offset, new in changes:
        assert data.count(word) == 1
        at = data.index(word) + offset
        data[at : at + len(new)] = new
    to.write_bytes(data)
    return to


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """H.264 with B-frames and five closed groups in an MP4 whose moov comes last."""
    return encode(tmp_path_factory.mktemp("plain") / "plain.mp4", X264)


@pytest.mark.parametrize("extension", ["h264", "mp4", "mov", "mkv", "avi", "ts"])
def test_two_fields_are_one_frame(tmp_path: Path, extension: str) -> None:
    """Also where each field is a packet with a time of its own."""
    raw, path = tmp_path / "fields.h264", tmp_path / f"remuxed.{extension}"
    raw.write_bytes(field_coded(painted(24, 96, 160)[..., 0]))
    ffmpeg("-fflags", "+genpts", "-r", "25", "-i", raw, "-c", "copy", path)
    assert truth(path, 96, 160) == list(range(24))
    assert video.probe(path).frames == 24
    for threads in (1, 2):
        got = video.sample_frames(path, indices=range(24), threads=threads)
        assert numbers(got.data) == list(range(24)) and not got.report


@pytest.mark.parametrize("seconds", ["0.1", "0.333", "0.61"])
@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_a_cut_may_begin_with_an_open_group(
    clip: Callable[[str], Path], tmp_path: Path, extension: str, seconds: str
) -> None:
    """Its leading pictures cannot be decoded, and FFmpeg holds them back."""
    path = tmp_path / f"cut.{extension}"
    whole = clip("h264_deep_references")
    ffmpeg("-ss", seconds, "-i", whole, "-c", "copy", "-use_editlist", "0", path)
    got = check(path)
    for k in range(len(got.data)):
        alone = video.sample_frames(path, indices=[k], threads=1)
        np.testing.assert_array_equal(alone.data[0], got.data[k])


# Headers that lack something, or lie


def test_order_is_right_without_composition_offsets(plain: Path, tmp_path: Path) -> None:
    without = [(name, 0, b"free") for name in (b"ctts", b"edts")]
    got = check(patched(plain, tmp_path / "no_ctts.mp4", *without))
    assert numbers(got.data) == list(range(FRAMES))


def test_order_is_right_when_every_frame_is_called_a_keyframe(plain: Path, tmp_path: Path) -> None:
    got = check(patched(plain, tmp_path / "no_stss.mp4", (b"stss", 0, b"free")))
    assert numbers(got.data) == list(range(FRAMES))


@pytest.mark.parametrize("tables", [(b"ctts",), (b"ctts", b"stss"), (b"edts",)])
def test_other_boxes_may_lack(plain: Path, tmp_path: Path, tables: tuple[bytes, ...]) -> None:
    check(patched(plain, tmp_path / "less.mp4", *((name, 0, b"free") for name in tables)))


@pytest.mark.parametrize("codec", [X264, ["-c:v", "mpeg4", "-q:v", "3", "-g", "9"]])
def test_a_header_may_announce_more_frames_than_there_are(codec: list[str], tmp_path: Path) -> None:
    honest = encode(tmp_path / "honest.avi", codec)
    many = struct.pack("<I", 431)
    check(patched(honest, tmp_path / "lies.avi", (b"avih", 8 + 16, many), (b"strh", 8 + 32, many)))


@pytest.mark.parametrize("codec", ["mpeg4", "msmpeg4", "msmpeg4v2", "wmv2"])
def test_an_avi_without_its_index_is_read(tmp_path: Path, codec: str) -> None:
    """FFmpeg then calls every packet a keyframe, unless it can look into the codec's pictures."""
    honest = encode(tmp_path / "honest.avi", ["-c:v", codec, "-q:v", "3", "-g", "9"])
    check(patched(honest, tmp_path / "no_index.avi", (b"idx1", 0, b"JUNK")))


# Edit lists


def edited(path: Path, to: Path, edits: list[tuple[int, int]]) -> Path:
    """A copy that shows these stretches, (duration, media time), in ticks of the film and track."""
    data = path.read_bytes()
    assert data.index(b"mdat") < data.index(b"moov")  # or the chunks would move
    start = data.index(b"elst") - 4
    size = struct.unpack_from(">I", data, start)[0]
    rows = b"".join(struct.pack(">IiI", *edit, 1 << 16) for edit in edits)
    box = b"elst" + struct.pack(">II", 0, len(edits)) + rows
    new = bytearray(data[:start] + struct.pack(">I", 4 + len(box)) + box + data[start + size :])
    for parent in (b"edts", b"trak", b"moov"):
        at = new.index(parent) - 4
        length = struct.unpack_from(">I", new, at)[0]
        struct.pack_into(">I", new, at, length + len(new) - len(data))
    to.write_bytes(new)
    return to


@pytest.mark.parametrize(
    ("edits", "shown"),
    [
        ([(1000, 1024 + 5 * 512)], range(5, 35)),
        ([(300, 1024 + 20 * 512)], range(20, 29)),
        ([(500, -1), (800, 1024)], range(24)),
        ([(300, 1024), (400, 1024 + 25 * 512)], [*range(9), *range(25, 37)]),
    ],
    ids=["cut", "short", "late", "two"],
)
def test_edits_show_what_they_say(
    plain: Path, tmp_path: Path, edits: list[tuple[int, int]], shown: list[int]
) -> None:
    got = check(edited(plain, tmp_path / "edited.mp4", edits))
    assert numbers(got.data) == list(shown)


def test_a_late_start_is_second_zero(plain: Path, tmp_path: Path) -> None:
    for name in ("late.mp4", "late.mkv", "late.ts", "late.mov"):
        ffmpeg("-itsoffset", "1.5", "-i", plain, "-c", "copy", tmp_path / name)
        got = check(tmp_path / name)
        np.testing.assert_allclose(got.pts_s, np.arange(FRAMES) / 30, atol=1.1e-3)


# Sound


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv", "avi", "ts", "mpg"])
@pytest.mark.parametrize("seconds", [0.4, 5.0])
def test_sound_changes_nothing(plain: Path, tmp_path: Path, extension: str, seconds: float) -> None:
    path = tmp_path / f"sound.{extension}"
    sound = ["-f", "lavfi", "-i", f"sine=duration={seconds}"]
    codec = MPEG2 if extension == "mpg" else ["-c:v", "copy"]
    ffmpeg("-i", plain, *sound, *codec, "-c:a", "mp2", path)
    got = check(path)
    assert numbers(got.data) == list(range(FRAMES))
    assert video.probe(path).duration_s == pytest.approx(FRAMES / 30, abs=0.04)


def test_a_cover_picture_is_not_the_film(plain: Path, tmp_path: Path) -> None:
    cover, path = tmp_path / "cover.png", tmp_path / "covered.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=red:size=640x640", "-frames:v", "1", cover)
    both = ["-map", "1", "-map", "0", "-c", "copy", "-disposition:v:0", "attached_pic"]
    ffmpeg("-i", plain, "-i", cover, *both, path)
    got = video.sample_frames(path, indices=range(FRAMES))
    assert numbers(got.data) == list(range(FRAMES))


# Sizes


@pytest.mark.parametrize("extension", ["ts", "h264", "m2v", "webm"])
def test_the_size_may_change_on_the_way(tmp_path: Path, extension: str) -> None:
    codec = {"m2v": MPEG2, "webm": VP9}.get(extension, X264)
    small = encode(tmp_path / f"small.{extension}", codec)
    large = encode(tmp_path / f"large.{extension}", codec, (180, 240))
    both = tmp_path / f"both.{extension}"
    if extension == "webm":
        names = tmp_path / "list.txt"
        names.write_text(f"file '{small}'\nfile '{large}'\n")
        ffmpeg("-f", "concat", "-safe", "0", "-i", names, "-c", "copy", both)
    else:
        both.write_bytes(small.read_bytes() + large.read_bytes())
    got = check(both)
    assert got.data.shape[1:3] == (HEIGHT, WIDTH)
    assert set(numbers(got.data)) == set(range(FRAMES))


ODD = {
    "mpeg4.mp4": ["-c:v", "mpeg4", "-q:v", "2"],
    "mpeg4.avi": ["-c:v", "mpeg4", "-q:v", "2"],
    "vp9.webm": VP9,
    "mjpeg.avi": ["-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p"],
    "h264.mkv": [*X264, "-pix_fmt", "yuv444p"],
    "hevc.mp4": [*X265, "-pix_fmt", "yuv444p"],
    "av1.mp4": AV1,
    "ffv1.mkv": ["-c:v", "ffv1"],
}


@pytest.mark.parametrize("name", ODD)
def test_sizes_may_be_odd(tmp_path: Path, name: str) -> None:
    path = encode(tmp_path / name, ODD[name], (125, 163))
    expected = truth(path, 125, 163)
    assert expected == list(range(FRAMES))
    got = video.sample_frames(path, indices=range(FRAMES))
    assert got.data.shape[1:3] == (125, 163) and numbers(got.data) == expected
    small = video.sample_frames(path, 8, size=(61, 87))
    assert numbers(small.data) == small.indices.tolist()


@pytest.mark.parametrize("extension", ["h264", "mp4"])
def test_a_crop_in_the_stream_is_applied(tmp_path: Path, extension: str) -> None:
    crop = "h264_metadata=crop_right=20:crop_bottom=18"
    path = encode(tmp_path / f"cropped.{extension}", [*X264, "-bsf:v", crop])
    raw = ffmpeg("-i", path, "-vsync", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-")
    expected = np.frombuffer(raw, np.uint8).reshape(FRAMES, 110, 140).astype(float)
    got = video.sample_frames(path, indices=range(FRAMES))
    assert (video.probe(path).height, video.probe(path).width) == (110, 140)
    assert np.abs(got.data.mean(axis=3) - expected).mean() < 12


@pytest.mark.parametrize("size", [(2, 2), (2, 16), (16, 2), (3, 5), (8, 4096)])
@pytest.mark.parametrize("name", ["mpeg4.avi", "mpeg4.mp4", "vp9.webm", "h264.mkv", "av1.mp4"])
def test_sizes_may_be_tiny(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    path = encode(tmp_path / name, ODD[name], size)
    height, width = size
    raw = ffmpeg("-i", path, "-vsync", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-")
    expected = np.frombuffer(raw, np.uint8).reshape(FRAMES, height, width).astype(float)
    got = video.sample_frames(path, indices=range(FRAMES))
    assert got.data.shape[1:3] == size and not got.report
    assert np.abs(got.data.mean(axis=3) - expected).mean() < 12
    assert video.sample_frames(path, 3, size=(7, 9)).data.shape == (3, 7, 9, 3)


@pytest.mark.parametrize("name", [*ODD, "h264.ts", "h264.avi", "mpeg2.mpg", "hevc.ts"])
def test_a_clip_may_have_one_frame(tmp_path: Path, name: str) -> None:
    codec = {"h264": X264, "mpeg2": MPEG2, "hevc": X265}.get(name.partition(".")[0])
    path = encode(tmp_path / name, [*(ODD.get(name) or codec), "-frames:v", "1"])
    assert video.probe(path).frames == 1 and video.probe(path).duration_s > 0
    got = video.sample_frames(path, 3)
    assert got.indices.tolist() == [0, 0, 0] and got.pts_s.tolist() == [0.0] * 3
    assert numbers(got.data) == [0, 0, 0]


# Rate


@pytest.mark.parametrize("name", ["h264.ts", "vp9.webm", "mpeg4.mp4", "hevc.mp4"])
def test_the_rate_may_vary(tmp_path: Path, name: str) -> None:
    codec = {"h264": X264, "vp9": VP9, "hevc": X265, "mpeg4": ["-c:v", "mpeg4", "-q:v", "2"]}
    uneven = ["-vf", "select='not(mod(n\\,7))+not(mod(n\\,5))'", "-vsync", "vfr"]
    got = check(encode(tmp_path / name, [*uneven, *codec[name.partition(".")[0]]]))
    kept = [k for k in range(FRAMES) if k % 7 == 0 or k % 5 == 0]
    assert numbers(got.data) == kept
    np.testing.assert_allclose(got.pts_s, np.array(kept) / 30, atol=1.1e-3)


# Colours

MATRICES = {"smpte170m": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020nc": (0.2627, 0.0593)}


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_colours_follow_matrix_range_and_depth(
    tmp_path: Path, codec: str, matrix: str, depth: int, full: bool
) -> None:
    luma, blue, red = 121, 105, 140
    shift = depth - 8
    planes = [np.full(240 * 320, luma), np.full(240 * 80, blue), np.full(240 * 80, red)]
    raw = (np.concatenate(planes) << shift).astype(np.uint16 if shift else np.uint8).tobytes()
    path = tmp_path / "flat.mkv"
    pixels = "yuv420p10le" if shift else "yuv420p"
    lossless = {"h264": ["libx264", "-qp", "0"], "vp9": ["libvpx-vp9", "-lossless", "1"]}[codec]
    ffmpeg(
        *("-f", "rawvideo", "-pix_fmt", pixels, "-s", "320x240", "-r", "5", "-i", "-"),
        *("-c:v", *lossless, "-colorspace", matrix, "-color_range", "pc" if full else "tv", path),
        stdin=raw * 2,
    )
    kr, kb = MATRICES[matrix]
    y = luma / 255 if full else (luma - 16) / 219
    b = y + 2 * (1 - kb) * (blue - 128) / (255 if full else 224)
    r = y + 2 * (1 - kr) * (red - 128) / (255 if full else 224)
    expected = 255 * np.array([r, (y - kr * r - kb * b) / (1 - kr - kb), b])
    for size in (None, 112):
        got = video.sample_frames(path, 1, size=size).data
        np.testing.assert_allclose(got.mean(axis=(0, 1, 2)), expected, atol=1.0)
