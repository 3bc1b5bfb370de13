"""From surveillance video to a leaderboard: make, extract, check, train, report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pybench import video
from pybench.data import cctv
from tests.command import pybench

FEW = ("Abuse", "Robbery", "Training_Normal", "Testing_Normal")
SUITE = """
from pybench.suite import Grid, Suite
from pybench.trial import Budget
suite = Suite(
    "from pixels",
    Grid(tasks=["anomaly"], losses=["mil"]),
    seeds=1,
    budgets={"anomaly": Budget(epochs=None, steps=4, batch=4, lr=1e-3)},
)
"""


def test_a_clip_and_its_interval_follow_from_seed_and_name() -> None:
    assert cctv.clip("Normal", 3, "x")[1] is None
    for name in cctv.EVENTS:
        frames, interval = cctv.clip(name, 3, name)
        assert interval is not None
        first, last = interval
        assert 0 <= first <= last < len(frames)
        again, same = cctv.clip(name, 3, name)
        np.testing.assert_array_equal(frames, again)
        assert same == interval


def test_raw_video_becomes_a_leaderboard(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "features"
    cctv.make(raw, scale=0.002, frames=(16, 24))
    for path in raw.rglob("*.mp4"):  # a user with some of the classes
        if not path.parent.name.startswith(FEW):
            path.unlink()
    train = (raw / "Anomaly_Train.txt").read_text().splitlines(keepends=True)
    (raw / "Anomaly_Train.txt").write_text("".join(x for x in train if x.startswith(FEW)))
    table = raw / "Temporal_Anomaly_Annotation_for_Testing_Videos.txt"
    tested = table.read_text().splitlines(keepends=True)
    table.write_text("".join(x for x in tested if x.startswith(("Abuse", "Robbery", "Normal"))))

    extract = ("features", "extract", str(raw), "--out", str(out), "--random-weights", "--json")
    made = pybench(*extract, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["done"] == len(list(raw.rglob("*.mp4")))

    checked = pybench("data", "check", "ucf", str(out), "--json", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout
    found = json.loads(checked.stdout)
    assert found["problems"] == []

    (tmp_path / "pixels.py").write_text(SUITE)
    ran = pybench("run", "pixels.py", "--data", f"anomaly={out}", "--json", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    board = json.loads((tmp_path / "results" / "pixels" / "leaderboard.json").read_text())
    (row,) = [row for row in board["rows"] if row["loss"] == "mil"]
    assert row["data"] == "real"
    assert 0 <= row["mean"] <= 1


def test_made_videos_can_be_read(tmp_path: Path) -> None:
    cctv.make(tmp_path, scale=0.001, seed=1, frames=(16, 16))
    paths = sorted(tmp_path.rglob("*.mp4"))
    assert len(paths) == 3 * 13 + 2 + 1
    assert {video.probe(path).frames for path in paths} == {16}
