"""`pybench video`: the facts of a clip, and a sheet of what training would see of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from pybench import video
from pybench.cli import app
from pybench.contact_sheet import CAPTION, GAP, TITLE
from tests.painted import painted


def command(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["video", *map(str, words)], standalone_mode=False)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    video.write(path, painted(40, 120, 160), fps=20)
    return path


@pytest.fixture
def half(clip: Path) -> Path:
    path = clip.with_name("half.avi")
    video.write(path, painted(40, 120, 160), fps=20)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def test_probe_says_what_the_reader_knows(clip: Path, half: Path) -> None:
    facts = json.loads(command("probe", clip, "--json").stdout)
    assert facts["file"] == str(clip) and facts["warnings"] == []
    assert (facts["frames"], facts["width"], facts["height"]) == (40, 160, 120)
    assert (facts["codec"], facts["rotation"], facts["duration_s"]) == ("mpeg4", 0, 2.0)
    lines = command("probe", clip).stdout.splitlines()
    assert "size       160x120" in lines
    assert "frames     40 shown, 20 per second" in lines
    assert "duration   2.000 s" in lines
    assert "warning    cut short" in command("probe", half).stdout


def test_a_sheet_shows_the_frames_beside_each_other(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    done = command("sample", clip, "--frames", 6, "--size", "120x160", "--out", out, "--json")
    assert done.return_value == 0
    told = json.loads(done.stdout)
    assert told["indices"] == [0, 8, 16, 23, 31, 39]
    assert told["pts_s"] == pytest.approx([k / 20 for k in told["indices"]])
    assert told["missing"] == told["concealed"] == told["warnings"] == []
    sheet = np.asarray(Image.open(out))
    cell = (120 + CAPTION + GAP, 160 + GAP)
    columns = (sheet.shape[1] - GAP) // cell[1]
    pictures = video.sample_frames(clip, 6, size=(120, 160)).data
    for number, picture in enumerate(pictures):
        top = TITLE + number // columns * cell[0]
        left = GAP + number % columns * cell[1]
        np.testing.assert_array_equal(sheet[top : top + 120, left : left + 160], picture)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--plan", "middle", "--frames", 4], [18, 19, 20, 21]),
        (["--plan", "stride", "--stride", 16], [0, 16, 32]),
        (["--plan", "segments", "--frames", 2], [10, 30]),
        (["--indices", "7,3"], [7, 3]),
        (["--times", "0.5,1.99"], [10, 39]),
        ([], np.linspace(0, 39, 32).round().astype(int).tolist()),
    ],
)
def test_sample_takes_what_the_plan_takes(
    clip: Path, tmp_path: Path, words: list[str], expected: list[int]
) -> None:
    done = command("sample", clip, *words, "--out", tmp_path / "sheet.png", "--json")
    assert json.loads(done.stdout)["indices"] == expected


def test_damage_is_drawn_and_is_the_exit_code(half: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    refused = command("sample", half, "--out", out).exception
    assert isinstance(refused, video.VideoError) and "cannot be read" in str(refused)
    assert not out.exists()
    done = command("sample", half, "--frames", 4, "--on-error", "black", "--out", out)
    assert done.return_value == 1
    assert "missing: 26, 39" in done.stdout and "warnings: cut short" in done.stdout
    assert (np.asarray(Image.open(out)) == (248, 113, 113)).all(axis=2).any()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--indices", "3,x"], "--indices must be numbers"),
        (["--size", "big"], "--size must be a number or HEIGHTxWIDTH"),
        (["--out", "sheet.avi"], "out must end like a picture"),
        (["--plan", "dense"], "plan must be one of"),
        (["--plan", "random"], "seed must be given"),
        (["--on-error", "skip"], "on_error must be"),
    ],
)
def test_a_sheet_that_cannot_be_is_one_sentence(
    clip: Path, words: list[str], sentence: str
) -> None:
    error = command("sample", clip, *words).exception
    assert isinstance(error, ValueError) and sentence in str(error)
