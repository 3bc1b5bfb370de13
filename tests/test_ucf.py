"""UCF-Crime in every layout people have it in: clean, and with the damage it comes with."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybench.data import check, rtfm, ucf
from pybench.data.problems import DataError
from pybench.data.snippets import REFUSED, open_all, segmented
from tests import ucf_layouts as layouts

SHAPES = {"rtfm": (10, 24), "deepmil": (10, 16), "two_streams": (1, 24), "c3d": (1, 20)}


@pytest.mark.parametrize("layout", SHAPES)
def test_a_clean_folder_is_read_without_a_warning(layout: str, tmp_path: Path) -> None:
    found = check("ucf", layouts.LAYOUTS[layout](tmp_path / "data"))
    assert found["problems"] == []
    assert {k: n for k, n in found["counts"].items() if n} == {
        "Abuse": 2,
        "Arson": 2,
        "RoadAccidents": 1,
        "Normal": 3,
    }
    assert (found["crops"], found["width"]) == SHAPES[layout]


@pytest.mark.parametrize("layout", ["rtfm", "deepmil", "two_streams"])
def test_every_layout_tells_the_same_truth(layout: str, tmp_path: Path) -> None:
    opened = open_all(ucf.read(layouts.LAYOUTS[layout](tmp_path / "data")))
    truth = {v.name: t for v, t in zip(opened.videos, opened.truth, strict=True)}
    assert truth["Abuse001_x264"] is None
    frames = {name: np.flatnonzero(truth[name]) + 1 for name in layouts.TEST}
    assert frames["Abuse028_x264"].tolist() == list(range(165, 241))
    assert frames["Arson011_x264"].tolist() == [*range(10, 21), *range(100, 131)]
    assert not truth["Normal_Videos_003_x264"].any()
    assert {len(t) for t in truth.values() if t is not None} == {layouts.FRAMES}


def test_segments_of_unknown_length_are_read_and_have_no_truth(tmp_path: Path) -> None:
    opened = open_all(ucf.read(layouts.c3d(tmp_path / "data")))
    assert set(opened.lengths) == {32}
    assert all(truth is None for truth in opened.truth)


def test_streams_stand_side_by_side_colour_first(tmp_path: Path) -> None:
    folder = layouts.two_streams(tmp_path / "data")
    np.save(folder / "all_flows" / "Abuse" / "Abuse001_x264.mp4.npy", np.zeros((32, 12), "f4"))
    seen = {}
    found = ucf.read(folder)
    open_all(found, lambda place, array: seen.update({found.videos[place].name: array}))
    array = seen["Abuse001_x264"]
    assert (array[..., :12] > 0).all()
    assert (array[..., 12:] == 0).all()


def test_a_table_names_classes_and_intervals_of_any_other_data(tmp_path: Path) -> None:
    found = ucf.read(layouts.table(tmp_path / "data"))
    assert found.classes == ("fall", "jump", "normal")
    opened = open_all(found)
    assert opened.problems == opened.refused == ()
    ends = [np.flatnonzero(t).tolist() for t in opened.truth if t is not None]
    assert ends == [[*range(16, 32)], [], [*range(16), *range(32, 48)]]
    assert ucf.read(tmp_path / "data" / "videos.csv").classes == found.classes


class Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


def save(file: str, array: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: np.save(next(folder.rglob(file)), array)


def remove(file: str) -> Callable[[Path], None]:
    return lambda folder: next(folder.rglob(file)).unlink()


def cut(file: str, size: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = next(folder.rglob(file))
        path.write_bytes(path.read_bytes()[:size])

    return damage


def replace(file: str, old: str, new: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = next(folder.rglob(file))
        text = path.read_bytes().decode()
        assert old in text
        path.write_bytes(text.replace(old, new, 1).encode())

    return damage


def with_nan(*shape: int) -> np.ndarray:
    array = layouts.features(*shape)
    array.reshape(-1)[5] = np.nan
    return array


def poison(folder: Path) -> None:
    """A NumPy file whose objects would run code."""
    path = next(folder.rglob("Abuse001_x264_i3d.npy"))
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": (1,)}
        )
        pickle.dump(Bomb(), file)


def write_objects(folder: Path) -> None:
    """A ground truth that would run code."""
    np.save(next(folder.rglob(GT)), np.array([{}, 1], dtype=object), allow_pickle=True)


def lengthen(file: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = next(folder.rglob(file))
        path.write_bytes(path.read_bytes() + b"more")

    return damage


def one_more_crop(folder: Path) -> None:
    path = next(folder.rglob(f"{A1}__9.npy"))
    path.with_name(f"{A1}__10.npy").write_bytes(path.read_bytes())


def annotated(damage: Callable[[Path], None]) -> Callable[[Path], None]:
    """Damage to an annotation beside an array that tells the same."""

    def both(folder: Path) -> None:
        layouts.annotation(folder)
        damage(folder)

    return both


def nan_in_crop(folder: Path) -> None:
    save(f"{A28}__7.npy", with_nan(17, 16))(folder)


A1, A28 = "Abuse001_x264", "Abuse028_x264"
GT = "gt-ucf.npy"
DAMAGES: list[tuple[str, Callable[[Path], None], str, str, bool]] = [
    ("rtfm", remove(f"{A1}_i3d.npy"), A1, "listed but absent", False),
    ("rtfm", remove(f"{A28}_i3d.npy"), A28, "listed but absent", True),
    ("rtfm", cut(f"{A1}_i3d.npy", 4000), A1, "cut short: 3872 of 16320 bytes", False),
    ("rtfm", cut(f"{A1}_i3d.npy", 40), A1, "cut short in its header", False),
    ("rtfm", cut(f"{A28}_i3d.npy", 0), A28, "empty file", True),
    ("rtfm", save(f"{A1}_i3d.npy", with_nan(17, 10, 24)), A1, "1 values are NaN", False),
    ("rtfm", save(f"{A28}_i3d.npy", with_nan(17, 10, 24)), A28, "1 values are NaN", True),
    ("rtfm", save(f"{A1}_i3d.npy", layouts.features(17, 10, 20)), A1, "20 numbers per sn", False),
    ("rtfm", save(f"{A1}_i3d.npy", layouts.features(17, 24)), A1, "1 crop instead of 10", False),
    ("rtfm", save(f"{A1}_i3d.npy", np.ones((17, 10, 24), int)), A1, "instead of floats", False),
    ("rtfm", save(f"{A1}_i3d.npy", np.ones((0, 10, 24), "f4")), A1, "no snippet", False),
    ("rtfm", poison, A1, "pickled objects, which are never loaded", False),
    ("rtfm", save(GT, np.zeros(800)), GT, "800 frames, and the test videos have 816", True),
    ("rtfm", save(GT, np.full(816, 0.5)), GT, "other than one 0 or 1", True),
    ("rtfm", save(GT, np.zeros(816)), GT, "no abnormal fr", True),
    ("rtfm", save(GT, np.ones(816)), GT, "an abnormal frame in Normal_Videos_003_x264", True),
    ("rtfm", cut(GT, 500), GT, "cut short", True),
    ("rtfm", remove(GT), "ucf-i3d", "neither gt-ucf.npy nor", True),
    ("rtfm", remove("ucf-i3d-test.list"), "ucf-i3d", "no list of test videos", True),
    ("rtfm", replace("ucf-i3d.list", "Arson", "Arsen"), "line 2", "'Arsen' does not exist", False),
    ("rtfm", replace("ucf-i3d.list", "Arson002", "Abuse001"), "line 2", "occurs twice", False),
    ("rtfm", replace("ucf-i3d.list", A1, A28), "i3d.list line 1", "in training and test", False),
    ("deepmil", remove(f"{A1}__3.npy"), A1, "9 crops instead of 10: number [3] absent", False),
    ("deepmil", cut(f"{A28}__3.npy", 300), f"{A28}__3.npy", "cut short", True),
    ("deepmil", save(f"{A1}__3.npy", layouts.features(9, 16)), f"{A1}__3", "shape (9, 16)", False),
    ("deepmil", save(f"{A1}__3.npy", layouts.features(17, 8)), f"{A1}__3", "8 numbers per", False),
    ("deepmil", replace("Temporal*", "165  240", "240  165"), "line 1", "begin before", True),
    (
        "deepmil",
        replace("Temporal*", "165  240  -1  -1", "-1  -1  2  3"),
        "line 1",
        "begin b",
        True,
    ),
    (
        "deepmil",
        replace("Temporal*", "165  240  -1", "165  -1  -1"),
        "line 1",
        "begin before",
        True,
    ),
    ("deepmil", replace("Temporal*", "100  130", "15  130"), "line 2", "overlap", True),
    (
        "deepmil",
        replace("Temporal*", "100  130", "100  900"),
        "Arson011",
        "ends at frame 900",
        True,
    ),
    ("deepmil", replace("Temporal*", "  Abuse", "  Abduct"), "line 1", "does not exist", True),
    ("deepmil", replace("Temporal*", "  Abuse", "  Arson"), "line 1", "is not Arson", True),
    ("deepmil", replace("Temporal*", "240  -1  -1", "240  -1"), "line 1", "4 frame numbers", True),
    ("deepmil", replace("Temporal*", "165  240", "-1  -1"), A28, "no abnormal interval", True),
    ("deepmil", replace("Anomaly_Train.txt", "Abuse/", "Abduct/"), "line 1", "not exist", False),
    ("deepmil", remove("Temporal*"), "Temporal_Anomaly_Annotation.txt", "absent", True),
    ("two_streams", remove(f"all_flows/Abuse/{A1}.mp4.npy"), A1, "flow features are ab", False),
    ("two_streams", save(f"all_rgbs/Abuse/{A1}.mp4.npy", layouts.features(31, 12)), A1, "s", False),
    (
        "two_streams",
        replace("test_anomalyv2.txt", "[165, 240]", "[165]"),
        "line 1",
        "two ends",
        True,
    ),
    (
        "two_streams",
        replace("test_normalv2.txt", "272 -1", "-"),
        "line 1",
        "frames and inter",
        True,
    ),
    ("c3d", cut(f"{A1}.txt", 9000), A1, "18 segments instead of 32", False),
    ("c3d", cut(f"{A1}.txt", 9100), A1, "not a table of numbers", False),
    ("c3d", replace(f"{A28}.txt", "e", "x"), A28, "not a table of numbers", True),
    ("table", replace("videos.csv", "fall,train", "fall,trian"), "line 2", "train or test", False),
    ("table", replace("videos.csv", "17,32", "17,soon"), "line 4", "frame numbers", True),
    ("table", remove("x/3.npy"), "x/3.npy", "listed but absent", False),
    ("table", replace("videos.csv", "normal,train", "quiet,train"), "videos.csv", "no norm", False),
    ("rtfm", remove("ucf-i3d.list"), "ucf-i3d-test.list", "no list of training", False),
    ("rtfm", cut("ucf-i3d.list", 0), "ucf-i3d", "no training video", False),
    ("rtfm", cut("ucf-i3d-test.list", 0), "ucf-i3d", "no abnormal test video", True),
    ("rtfm", save(GT, np.zeros((1, 816))), GT, "other than one 0 or 1", True),
    ("rtfm", write_objects, GT, "pickled objects, which are never loaded", True),
    ("rtfm", lengthen(f"{A1}_i3d.npy"), A1, "longer than its header says", False),
    ("rtfm", save(f"{A28}_i3d.npy", layouts.features(16, 10, 24)), GT, "have 800", True),
    ("rtfm", save(f"{A1}_i3d.npy", layouts.features(10, 17, 24)), A1, "17 crops inst", False),
    ("rtfm", annotated(replace("Temporal*", "100  130", "15  130")), "line 2", "overlap", False),
    ("rtfm", annotated(replace("Temporal*", "165  240", "1  240")), A28, "differs in 164", False),
    ("deepmil", nan_in_crop, A28, "1 values are NaN", True),
    ("deepmil", one_more_crop, A1, "11 crops instead of 10: number [10] too many", False),
    ("deepmil", replace("Temporal*", "Videos_003", "Videos_004"), "003", "in no list", False),
    ("deepmil", replace("Temporal*", "Videos_003", "Videos_004"), "004", "listed but", True),
    (
        "deepmil",
        replace("Anomaly_Train.txt", "Training_Normal_Videos_Anomaly/", "Abuse/"),
        "line 4",
        "is of two classes",
        False,
    ),
    ("deepmil", replace("Anomaly_Train.txt", "Abuse/Ab", "ABUSE/AB"), "line 1", "not exist", False),
    ("deepmil", cut("Anomaly_Train.txt", 0), "Anomaly_Train.txt", "no training video", False),
    ("deepmil", cut("Temporal*", 0), "Anomaly_Train.txt", "no abnormal test video", True),
]


@pytest.mark.parametrize(
    ("layout", "damage", "file", "what", "scored"),
    DAMAGES,
    ids=[f"{layout}: {what}" for layout, _, _, what, _ in DAMAGES],
)
def test_damage_is_named_with_its_file_and_what_follows(
    layout: str,
    damage: Callable[[Path], None],
    file: str,
    what: str,
    scored: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = layouts.LAYOUTS[layout](tmp_path / "data")
    damage(folder)
    problems = check("ucf", folder)["problems"]
    named = [p for p in problems if file in p["file"] and what in p["what"]]
    assert named, problems
    assert (named[0]["action"] == REFUSED) == scored
    assert not (tmp_path / "exploded").exists()


def windows(folder: Path) -> None:
    """Lists as Windows tools save them."""
    for path in [*folder.rglob("*.list"), *folder.glob("*.txt"), *folder.rglob("*.csv")]:
        lines = path.read_text().splitlines()
        path.write_bytes("".join(f"{line} \r\n" for line in [*lines, ""]).encode("utf-8-sig"))


def wide(folder: Path) -> None:
    """Lists in the encoding of PowerShell's redirection."""
    for path in [*folder.rglob("*.list"), *folder.glob("*.txt")]:
        path.write_bytes(path.read_text().encode("utf-16"))


def resaved(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def again(folder: Path) -> None:
        for path in folder.rglob("*.npy"):
            if path.name != GT:
                np.save(path, change(np.load(path)))

    return again


def renamed(old: str, new: str) -> Callable[[Path], None]:
    def rename(folder: Path) -> None:
        for path in sorted(folder.rglob("*.npy")):
            path.rename(path.with_name(path.name.replace(old, new)))

    return rename


def beside(folder: Path) -> None:
    """What else lies about in such folders."""
    (folder / "README.txt").write_text("Features of UCF-Crime 2018\n")
    (folder / "Anomaly_Test.txt").write_text("Abuse/Abuse028_x264.mp4\n")
    (folder / ".DS_Store").write_bytes(b"\x00\x01")
    (folder / "results.csv").write_text("epoch,auc\n1,0.5\n")
    np.save(folder / "scores.npy", np.zeros((3, 4)))


SAME = [
    ("rtfm", windows),
    ("rtfm", wide),
    ("rtfm", beside),
    ("rtfm", layouts.annotation),
    ("rtfm", resaved(np.asfortranarray)),
    ("rtfm", resaved(lambda x: x.astype("f2"))),
    ("rtfm", resaved(lambda x: x.astype(">f8"))),
    ("rtfm", resaved(lambda x: x.transpose(1, 0, 2))),
    ("rtfm", renamed("_x264_i3d", "")),
    ("rtfm", renamed("Abuse", "abuse")),
    ("deepmil", windows),
    ("deepmil", beside),
    ("deepmil", renamed("_x264", "")),
    ("two_streams", windows),
    ("two_streams", beside),
    ("c3d", windows),
    ("c3d", beside),
    ("table", windows),
]


@pytest.mark.parametrize(("layout", "change"), SAME)
def test_what_changes_nothing_is_read_as_before(
    layout: str, change: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = layouts.LAYOUTS[layout](tmp_path / "data")
    before = open_all(ucf.read(folder))
    change(folder)
    found = check("ucf", folder)
    assert found["problems"] == []
    after = open_all(ucf.read(folder))
    assert (after.shape, after.lengths) == (before.shape, before.lengths)
    for ours, theirs in zip(after.truth, before.truth, strict=True):
        assert np.array_equal(ours, theirs)


def test_a_list_that_cannot_be_read_is_a_problem_of_its_own(tmp_path: Path) -> None:
    folder = layouts.deepmil(tmp_path / "data")
    (folder / "Anomaly_Train.txt").write_bytes(b"\xff\xfe\x00")
    (problem,) = check("ucf", folder)["problems"]
    assert "Anomaly_Train.txt must be a text file" in problem["what"]


def test_a_set_of_absent_features_names_each_of_them(tmp_path: Path) -> None:
    folder = layouts.rtfm(tmp_path / "data")
    for path in folder.rglob("*_i3d.npy"):
        path.unlink()
    absent = [p for p in check("ucf", folder)["problems"] if p["what"] == "listed but absent"]
    assert len(absent) == 8


@pytest.mark.parametrize("given", ["table", "lists"])
def test_frames_beside_segments_give_them_a_truth(given: str, tmp_path: Path) -> None:
    folder = layouts.c3d(tmp_path / "data")
    names = (*layouts.TEST, *layouts.TEST_NORMAL)
    if given == "table":
        rows = "".join(f"{name}.mp4,{layouts.FRAMES}\n" for name in names)
        (folder / "frames.csv").write_text(f"path,frames\n{rows}")
    else:
        abnormal = "".join(f"Abuse/{n}.mp4|{layouts.FRAMES}|[1, 2]\n" for n in layouts.TEST)
        (folder / "test_anomalyv2.txt").write_text(abnormal)
        normal = "".join(f"x/{n}.mp4 {layouts.FRAMES} -1\n" for n in layouts.TEST_NORMAL)
        (folder / "test_normalv2.txt").write_text(normal)
    found = ucf.read(folder)
    opened = open_all(found)
    assert opened.problems == opened.refused == ()
    truth = [frames for frames in opened.truth if frames is not None]
    assert [len(frames) for frames in truth] == [layouts.FRAMES] * 3
    assert sum(int(frames.sum()) for frames in truth) == 76 + 11 + 31


def test_a_table_of_frames_must_hold_numbers(tmp_path: Path) -> None:
    folder = layouts.c3d(tmp_path / "data")
    (folder / "frames.csv").write_text("path,frames\nAbuse028_x264.mp4,many\n")
    (problem,) = check("ucf", folder)["problems"]
    assert problem["file"] == "frames.csv line 2"
    assert "must be path and number of frames" in problem["what"]


def test_a_damaged_test_set_has_no_truth_at_all(tmp_path: Path) -> None:
    folder = layouts.rtfm(tmp_path / "data")
    remove(f"{A28}_i3d.npy")(folder)
    opened = open_all(ucf.read(folder))
    assert all(truth is None for truth in opened.truth)
    assert opened.refused


def test_the_official_annotation_stands_in_for_a_missing_array(tmp_path: Path) -> None:
    folder = layouts.rtfm(tmp_path / "data")
    remove(GT)(folder)
    layouts.annotation(folder)
    opened = open_all(ucf.read(folder))
    assert opened.refused == ()
    assert sum(int(t.sum()) for t in opened.truth if t is not None) == 76 + 11 + 31


def test_files_of_one_name_are_told_apart_by_their_folder(tmp_path: Path) -> None:
    folder = layouts.rtfm(tmp_path / "data")
    (folder / "A_old_copy").mkdir()
    np.save(folder / "A_old_copy" / f"{A1}_i3d.npy", layouts.features(2, 3))
    assert check("ucf", folder)["problems"] == []


def test_a_folder_without_lists_says_which_lists_there_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="must hold lists of videos"):
        ucf.read(tmp_path)


def test_a_list_of_bytes_is_an_error(tmp_path: Path) -> None:
    folder = layouts.deepmil(tmp_path / "data")
    (folder / "Anomaly_Train.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="must be a text file"):
        ucf.read(folder)


@given(st.integers(1, 100), st.integers(1, 40))
def test_segments_are_means_of_equal_shares(snippets: int, segments: int) -> None:
    features = np.arange(snippets, dtype=np.float32)[:, None, None]
    bounds = np.linspace(0, snippets, segments + 1).astype(int)
    expected = [features[a:b].mean() if b > a else features[a, 0, 0] for a, b in pairwise(bounds)]
    assert np.allclose(segmented(features, segments).ravel(), expected)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    videos = [
        rtfm.Described("Normal_Videos_001_x264", "Normal", True, layouts.features(3, 2, 5)),
        rtfm.Described("Abuse001_x264", "Abuse", True, layouts.features(4, 2, 5), [(5, 20)]),
        rtfm.Described("Normal_Videos002_x264", "Normal", False, layouts.features(6, 2, 5)),
        rtfm.Described("Abuse003_x264", "Abuse", False, layouts.features(5, 2, 5), [(0, 16)]),
    ]
    rtfm.write(tmp_path / "made", iter(videos))
    found = ucf.read(tmp_path / "made")
    seen = {}
    opened = open_all(found, lambda place, array: seen.update({found.videos[place].name: array}))
    assert opened.problems == opened.refused == ()
    assert {name: array.shape for name, array in seen.items()} == {
        video.name: video.features.shape for video in videos
    }
    for video in videos:
        assert np.array_equal(seen[video.name], video.features)
    truth = {v.name: t for v, t in zip(opened.videos, opened.truth, strict=True)}
    assert np.flatnonzero(truth["Abuse001_x264"]).tolist() == list(range(5, 20))
    remove(GT)(tmp_path / "made")
    again = open_all(ucf.read(tmp_path / "made"))
    assert all(
        (a is None and b is None) or np.array_equal(a, b)
        for a, b in zip(opened.truth, again.truth, strict=True)
    )
