"""Snippet features from video files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pybench import features, video
from pybench.features import Settings, SettingsError, extract
from tests.command import pybench

UNTRAINED = Settings("r3d18", None, random_weights=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos, of 40 and of 10 frames, and a list beside them."""
    directory = tmp_path_factory.mktemp("videos")
    (directory / "Abuse").mkdir()
    rng = np.random.default_rng(5)
    for name, frames in (("Abuse/long.mp4", 40), ("short.avi", 10)):
        coarse = rng.integers(0, 255, (frames, 6, 8, 3), dtype=np.uint8)
        video.write(directory / name, coarse.repeat(12, 1).repeat(12, 2))
    (directory / "list.txt").write_text("Abuse/long.mp4\n")
    return directory


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "out"
    outcome = extract(folder, out, UNTRAINED, quiet=True)
    assert (outcome.done, outcome.skipped, outcome.snippets) == (2, 0, 3)
    return out


def array(file: Path) -> npt.NDArray[np.float32]:
    read: npt.NDArray[np.float32] = np.load(file, allow_pickle=False)
    return read


def test_each_video_becomes_one_row_per_16_frames(made: Path) -> None:
    long, short = array(made / "Abuse/long.mp4.npy"), array(made / "short.avi.npy")
    assert (long.shape, short.shape) == ((2, 1, 512), (1, 1, 512))
    assert long.dtype == np.float32
    assert np.isfinite(long).all()
    assert long.std() > 0
    assert not np.array_equal(long[0], long[1])
    assert (made / "list.txt").read_text() == "Abuse/long.mp4\n"
    assert json.loads((made / "features.json").read_text())["weights"] == "random, seed 0"


def test_a_row_is_what_the_network_says_of_these_frames(folder: Path, made: Path) -> None:
    import torch

    from pybench.models.r3d18 import R3D18
    from pybench.types import ModelContext

    path = folder / "Abuse/long.mp4"
    second = video.sample_frames(path, indices=range(16, 32), size=(128, 171)).data
    torch.manual_seed(0)
    network = R3D18().build(ModelContext(num_classes=2)).eval()
    with torch.inference_mode():
        clip = torch.from_numpy(second[None, :, 8:120, 29:141].copy())
        expected = network(clip).features["layer4"].numpy()[0]
    np.testing.assert_allclose(array(made / "Abuse/long.mp4.npy")[1, 0], expected, atol=1e-5)


def test_what_is_there_is_not_made_again(folder: Path, made: Path) -> None:
    before = (made / "short.avi.npy").stat().st_mtime_ns
    outcome = extract(folder, made, UNTRAINED, quiet=True)
    assert (outcome.done, outcome.skipped) == (0, 2)
    assert (made / "short.avi.npy").stat().st_mtime_ns == before


def test_segments_keep_the_number_of_frames_beside_them(folder: Path, tmp_path: Path) -> None:
    extract(folder, tmp_path / "out", replace(UNTRAINED, segments=2), quiet=True)
    assert array(tmp_path / "out/Abuse/long.mp4.npy").shape == (2, 1, 512)
    table = (tmp_path / "out" / "frames.csv").read_text()
    assert table == "path,frames\nlong.mp4,40\nshort.avi,10\n"


def test_a_folder_keeps_to_its_settings(folder: Path, made: Path) -> None:
    with pytest.raises(SettingsError, match=r"got .* with another crops; choose another folder"):
        extract(folder, made, replace(UNTRAINED, crops=10), quiet=True)


def test_ten_crops_are_centre_corners_and_mirrored() -> None:
    picture = np.arange(4 * 6, dtype=np.uint8).reshape(1, 1, 4, 6, 1).repeat(3, axis=-1)
    crops = [crop[0, 0, :, :, 0].tolist() for crop in features._crops(picture, (2, 2), 10)]
    assert crops[0] == [[8, 9], [14, 15]]
    assert crops[1:5] == [
        [[0, 1], [6, 7]],
        [[4, 5], [10, 11]],
        [[12, 13], [18, 19]],
        [[16, 17], [22, 23]],
    ]
    assert crops[5:] == [[row[::-1] for row in crop] for crop in crops[:5]]


def test_a_damaged_video_is_named_and_the_others_go_on(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "short.avi").read_bytes()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "cut.mp4").write_bytes((folder / "Abuse/long.mp4").read_bytes()[:2000])
    (tmp_path / "in" / "good.avi").write_bytes(whole)
    command = ("features", "extract", tmp_path / "in", "--out", tmp_path / "out")
    ended = pybench(*map(str, command), "--random-weights", "--json", cwd=tmp_path)
    assert ended.returncode == 1, ended.stderr
    found = json.loads(ended.stdout)
    assert found["done"] == 1
    assert [problem["file"] for problem in found["problems"]] == ["cut.mp4"]
    assert not (tmp_path / "out" / "cut.mp4.npy").exists()


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ((), "weights must name a file, got none; give --weights FILE, or --random-weights"),
        (("--weights", "/nowhere"), "--weights must name a file, got '/nowhere'"),
        (("--random-weights", "--crops", "5"), "crops must be 1 or 10, got 5"),
        (("--random-weights", "--model", "vgg"), "model must be r3d18 or i3d, got 'vgg'"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    folder: Path, tmp_path: Path, extra: tuple[str, ...], sentence: str
) -> None:
    ended = pybench(
        "features", "extract", str(folder), "--out", str(tmp_path / "out"), *extra, cwd=tmp_path
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"pybench: {sentence}")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="directory must hold videos"):
        extract(tmp_path, tmp_path / "out", UNTRAINED, quiet=True)
