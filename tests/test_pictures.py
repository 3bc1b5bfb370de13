"""Reading of pictures beside Pillow and torchvision."""

import contextlib
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pybench import core


def smooth(height: int, width: int) -> Any:
    """A picture that codecs agree on: slow waves of colour."""
    y, x = np.mgrid[:height, :width] / 40
    waves = [np.sin(x + y), np.cos(x - 2 * y), np.sin(3 * x) * np.cos(y)]
    return (127 + 100 * np.stack(waves, -1)).astype(np.uint8)


@pytest.fixture
def picture() -> Any:
    return Image.fromarray(smooth(90, 130))


FORMS = {
    "plain.jpg": {"mode": "RGB", "quality": 95},
    "progressive.jpg": {"mode": "RGB", "quality": 95, "progressive": True},
    "full.jpg": {"mode": "RGB", "quality": 95, "subsampling": 0},
    "grey.jpg": {"mode": "L", "quality": 95},
    "plain.png": {"mode": "RGB"},
    "grey.png": {"mode": "L"},
    "clear.png": {"mode": "RGBA"},
    "pale.png": {"mode": "LA"},
    "palette.png": {"mode": "P"},
    "bits.png": {"mode": "1"},
    "deep.png": {"mode": "I;16"},
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("size", [(90, 130), (45, 40), (200, 131)])
def test_a_picture_is_pillows(tmp_path: Path, picture: Any, name: str, size: Any) -> None:
    options: dict[str, Any] = dict(FORMS[name])
    mode = options.pop("mode")
    form = picture
    if mode == "I;16":
        form = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    elif mode != "RGB":
        form = picture.convert(mode)
    form.save(tmp_path / name, **options)
    read = core.read_images([tmp_path / name], size)
    assert read.shape == (1, *size, 3)
    with Image.open(tmp_path / name) as opened:
        known = picture.convert("L") if mode == "I;16" else opened
        expected = known.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR)
    difference = np.abs(read[0].astype(int) - np.asarray(expected).astype(int))
    # Decoders differ by a few in the chroma they interpolate; resizing rounds twice.
    assert difference.max() <= (6 if name.endswith("jpg") else 1)
    assert difference.mean() < 1


def test_pictures_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    paths = []
    for grey in range(40):
        Image.new("RGB", (8, 8), (6 * grey,) * 3).save(tmp_path / f"{grey}.png")
        paths.append(str(tmp_path / f"{grey}.png"))
    read = core.read_images(paths[::-1], (2, 3))
    assert read[:, 0, 0, 0].tolist() == [6 * grey for grey in reversed(range(40))]
    assert core.read_images([], (2, 3)).shape == (0, 2, 3, 3)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_every_cut_of_a_file_is_refused(tmp_path: Path, picture: Any, name: str) -> None:
    picture.save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for share in (0.0, 0.1, 0.5, 0.9):
        (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match=r"^paths must be readable JPEG or PNG pictures, got "):
            core.read_images([tmp_path / name], (4, 4))


def test_the_first_file_that_is_no_picture_is_named(tmp_path: Path, picture: Any) -> None:
    picture.save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    paths = [tmp_path / "a.png", tmp_path / "b.png", tmp_path / "missing.png"]
    with pytest.raises(ValueError) as caught:
        core.read_images(paths, (4, 4))
    assert str(caught.value) == (
        f"paths must be readable JPEG or PNG pictures, got {paths[1]} at index 1 "
        "(neither JPEG nor PNG); leave it out or replace it"
    )
    with pytest.raises(ValueError) as caught:
        core.read_images(paths[2:], (0, 4))
    assert str(caught.value) == (
        "size must be (rows, columns), got (0, 4); pass two ints in 1..=65536"
    )


def test_cmyk_is_refused_and_orientation_is_left_alone(tmp_path: Path, picture: Any) -> None:
    picture.convert("CMYK").save(tmp_path / "inks.jpg")
    with pytest.raises(ValueError) as caught:
        core.read_images([tmp_path / "inks.jpg"], (4, 4))
    assert str(caught.value) == (
        f"paths must be readable JPEG or PNG pictures, got {tmp_path / 'inks.jpg'} at index 0 "
        "(CMYK, no RGB); leave it out or replace it"
    )
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter for showing
    picture.save(tmp_path / "turned.jpg", exif=exif)
    picture.save(tmp_path / "plain.jpg")
    turned, plain = core.read_images([tmp_path / "turned.jpg", tmp_path / "plain.jpg"], (90, 130))
    np.testing.assert_array_equal(turned, plain)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_no_damage_makes_the_decoder_panic(tmp_path: Path, picture: Any, name: str) -> None:
    picture.save(tmp_path / name)
    whole, rng = (tmp_path / name).read_bytes(), np.random.default_rng(0)
    for _ in range(150):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(2, len(damaged), 5)] = rng.integers(0, 256, 5)
        (tmp_path / name).write_bytes(damaged.tobytes())
        # A panic is a RuntimeError; a damaged picture may also be one, only another.
        with contextlib.suppress(ValueError):
            core.read_images([tmp_path / name], (4, 4))


def test_a_header_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    Image.new("L", (1, 1)).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ValueError, match=r"\(60000 x 60000 pixels, more than 268435456\)"):
        core.read_images([tmp_path / "a.png"], (4, 4))


def test_one_path_alone_is_no_sequence_of_paths() -> None:
    with pytest.raises(TypeError) as caught:
        core.read_images("a.jpg", (4, 4))
    assert str(caught.value) == "paths must be a sequence of paths, got 'a.jpg'; put it in a list"
