"""The competition folder: clean, and with each damage it comes with in real life."""

from pathlib import Path

import numpy as np
import pytest

from pybench.data import check, dacon
from pybench.data.problems import DataError

HEAD = "sample_id,video_path,label\n"


def folder(path: Path, rows: str, videos: int = 3, head: str = HEAD) -> Path:
    (path / "train").mkdir(parents=True)
    for number in range(videos):
        (path / "train" / f"TRAIN_{number:04}.mp4").write_bytes(b"not empty")
    (path / "train.csv").write_text(head + rows)
    return path


def row(number: int, label: object) -> str:
    return f"TRAIN_{number:04},./train/TRAIN_{number:04}.mp4,{label}\n"


def test_a_clean_folder_is_read_without_a_problem(tmp_path: Path) -> None:
    clips = dacon.read(folder(tmp_path, row(0, 0) + row(1, 3) + row(2, 12)))
    assert clips.labels.tolist() == [0, 1, 2]
    assert clips.classes == ("none", "ego", "other")
    assert clips.names == ("TRAIN_0000", "TRAIN_0001", "TRAIN_0002")
    assert clips.problems == ()
    assert clips.test is None


def test_all_thirteen_labels_fall_into_three_classes() -> None:
    assert [dacon.class_of(label) for label in range(13)] == [0] + [1] * 6 + [2] * 6


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (row(0, 0) + row(7, 1), "listed but absent"),
        (row(0, 0) + "X,../outside.mp4,1\n", "path leads out of the folder"),
        (row(0, 0) + row(0, 1), "TRAIN_0000 occurs twice"),
    ],
)
def test_a_damaged_row_is_named_and_left_out(tmp_path: Path, rows: str, what: str) -> None:
    (tmp_path / "outside.mp4").write_bytes(b"x")
    clips = dacon.read(folder(tmp_path / "data", rows))
    assert len(clips.paths) == 1
    assert [problem.what for problem in clips.problems] == [what]


def test_an_empty_video_is_named(tmp_path: Path) -> None:
    path = folder(tmp_path, row(0, 0) + row(1, 1))
    (path / "train" / "TRAIN_0001.mp4").write_bytes(b"")
    assert [str(p) for p in dacon.read(path).problems] == [
        "./train/TRAIN_0001.mp4: empty file; sample dropped"
    ]


@pytest.mark.parametrize("label", [13, -1, "crash", "", "1.0"])
def test_an_unknown_label_is_an_error_that_names_line_and_value(
    tmp_path: Path, label: object
) -> None:
    with pytest.raises(DataError, match=r"label must be in \[0, 13\), got .* line 3"):
        dacon.read(folder(tmp_path, row(0, 0) + row(1, label)))


def test_a_folder_without_its_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"folder must hold train\.csv"):
        dacon.read(tmp_path)


def test_a_table_without_its_columns_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must have the columns"):
        dacon.read(folder(tmp_path, "a,b\n", head="x,y\n"))


def test_a_table_of_bytes_is_an_error(tmp_path: Path) -> None:
    path = folder(tmp_path, row(0, 0))
    (path / "train.csv").write_bytes(b"\xff\xfe\x00garbage")
    with pytest.raises(DataError, match="must be a UTF-8 CSV file"):
        dacon.read(path)


def test_a_short_row_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3 must have 3 fields"):
        dacon.read(folder(tmp_path, row(0, 0) + "TRAIN_0001\n"))


def test_a_relabelling_corrects_and_drops(tmp_path: Path) -> None:
    path = folder(tmp_path, row(0, 0) + row(1, 1) + row(2, 7))
    (path / "relabel.txt").write_text("0001 0\n0002 -1\n0099 3\n")
    clips = dacon.read(path)
    assert clips.names == ("TRAIN_0000", "TRAIN_0001")
    assert clips.labels.tolist() == [0, 0]
    assert [p.what for p in clips.problems] == ["no sample '0099'"]


def test_a_relabelling_may_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder(tmp_path / "data", row(0, 0) + row(1, 1))
    plain = dacon.read(path)
    fixes = tmp_path / "fixes.txt"
    fixes.write_text("0001 7\n")
    monkeypatch.setenv(dacon.RELABEL, str(fixes))
    clips = dacon.read(path)
    assert clips.labels.tolist() == [0, 2]
    assert set(clips.files) - set(plain.files) == {fixes}


def test_a_fixed_split_is_honoured(tmp_path: Path) -> None:
    path = folder(tmp_path, row(0, 0) + row(1, 1) + row(2, 7))
    (path / "split.csv").write_text("sample_id,split\nTRAIN_0000,train\nTRAIN_0001,test\n")
    clips = dacon.read(path)
    assert np.array_equal(clips.test, [False, True, False])
    assert [p.what for p in clips.problems] == ["TRAIN_0002 has no role"]


def test_check_names_videos_that_cannot_be_decoded(tmp_path: Path) -> None:
    found = check("dacon", folder(tmp_path, row(0, 0) + row(1, 1)))
    assert found["reader"] == "dacon"
    assert found["samples"] == 2
    assert found["counts"] == {"none": 1, "ego": 1, "other": 0}
    assert [p["action"] for p in found["problems"]] == ["sample dropped"] * 2
