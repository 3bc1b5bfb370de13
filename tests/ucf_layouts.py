"""Small UCF-Crime folders in every layout, clean; tests damage them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TRAIN = ("Abuse001_x264", "Arson002_x264", "RoadAccidents003_x264")
TRAIN_NORMAL = ("Normal_Videos477_x264", "Normal_Videos478_x264")
TEST = {"Abuse028_x264": [(165, 240)], "Arson011_x264": [(10, 20), (100, 130)]}
TEST_NORMAL = ("Normal_Videos_003_x264",)
SNIPPETS = 17
FRAMES = 16 * SNIPPETS


def features(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).random(shape, dtype=np.float32)


def of(name: str) -> str:
    return "Normal" if name.startswith("Normal") else name.rstrip("_x264").rstrip("0123456789")


def annotation(folder: Path, name: str = "Temporal_Anomaly_Annotation.txt") -> None:
    rows = []
    for video, intervals in [*TEST.items(), *((n, []) for n in TEST_NORMAL)]:
        ends = [end for pair in intervals for end in pair] + [-1] * (4 - 2 * len(intervals))
        rows.append(f"{video}.mp4  {of(video)}  {'  '.join(map(str, ends))}  \n")
    (folder / name).write_text("".join(rows))


def official_lists(folder: Path) -> None:
    lines = [f"{of(n)}/{n}.mp4\n" for n in TRAIN]
    lines += [f"Training_Normal_Videos_Anomaly/{n}.mp4\n" for n in TRAIN_NORMAL]
    (folder / "Anomaly_Train.txt").write_text("".join(lines))
    annotation(folder, "Temporal_Anomaly_Annotation_for_Testing_Videos.txt")


def rtfm(folder: Path) -> Path:
    for part in ("UCF_Train_ten_crop_i3d", "UCF_Test_ten_crop_i3d", "list"):
        (folder / part).mkdir(parents=True)
    for part, names, file in (
        ("UCF_Train_ten_crop_i3d", (*TRAIN, *TRAIN_NORMAL), "ucf-i3d.list"),
        ("UCF_Test_ten_crop_i3d", (*TEST, *TEST_NORMAL), "ucf-i3d-test.list"),
    ):
        for name in names:
            np.save(folder / part / f"{name}_i3d.npy", features(SNIPPETS, 10, 24))
        lines = [f"G:\\{part}\\{name}_i3d.npy\r\n" for name in names]
        (folder / "list" / file).write_bytes("".join(lines).encode())
    truth = np.zeros((3, FRAMES))
    for row, intervals in zip(truth, [*TEST.values(), []], strict=True):
        for begin, end in intervals:
            row[begin - 1 : end] = 1
    np.save(folder / "list" / "gt-ucf.npy", truth.reshape(-1))
    return folder


def deepmil(folder: Path) -> Path:
    for name in (*TRAIN, *TRAIN_NORMAL, *TEST, *TEST_NORMAL):
        where = folder / "i3d" / of(name)
        where.mkdir(parents=True, exist_ok=True)
        for crop in range(10):
            np.save(where / f"{name}__{crop}.npy", features(SNIPPETS, 16))
    official_lists(folder)
    return folder


def two_streams(folder: Path) -> Path:
    for name in (*TRAIN, *TRAIN_NORMAL, *TEST, *TEST_NORMAL):
        for stream in ("all_rgbs", "all_flows"):
            where = folder / stream / of(name)
            where.mkdir(parents=True, exist_ok=True)
            np.save(where / f"{name}.mp4.npy", features(32, 12))
    (folder / "train_anomaly.txt").write_text("".join(f"{of(n)}/{n}.mp4\n" for n in TRAIN))
    normals = [f"Training_Normal_Videos_Anomaly/{n}.mp4\n" for n in TRAIN_NORMAL]
    (folder / "train_normal.txt").write_text("".join([*normals, normals[0]]))
    (folder / "test_anomalyv2.txt").write_text(
        "".join(
            f"{of(n)}/{n}.mp4|{FRAMES}|{[end for pair in intervals for end in pair]}\n"
            for n, intervals in TEST.items()
        )
    )
    (folder / "test_normalv2.txt").write_text(
        "".join(f"Normal_Videos_event/{n}.mp4 {FRAMES} -1\n" for n in TEST_NORMAL)
    )
    return folder


def c3d(folder: Path) -> Path:
    (folder / "C3D").mkdir(parents=True)
    for name in (*TRAIN, *TRAIN_NORMAL, *TEST, *TEST_NORMAL):
        np.savetxt(folder / "C3D" / f"{name}.txt", features(32, 20))
    official_lists(folder)
    return folder


def table(folder: Path) -> Path:
    (folder / "x").mkdir(parents=True)
    rows = ["path,class,split,start,end\n"]
    for number, (kind, role, ends) in enumerate(
        [
            ("fall", "train", ""),
            ("normal", "train", ""),
            ("fall", "test", "17,32"),
            ("jump", "train", ""),
            ("normal", "test", ""),
            ("jump", "test", "1,16,33,48"),
        ]
    ):
        np.save(folder / "x" / f"{number}.npy", features(4, 8))
        rows.append(f"x\\{number}.npy,{kind},{role},{ends}\n")
    (folder / "videos.csv").write_text("".join(rows))
    return folder


LAYOUTS = {
    "rtfm": rtfm,
    "deepmil": deepmil,
    "two_streams": two_streams,
    "c3d": c3d,
    "table": table,
}
