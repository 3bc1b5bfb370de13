"""The command line as a user meets it: one sentence, the right exit code, nothing lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pybench import video
from tests.command import pybench

SUITE = """
from pybench.suite import Grid, Suite
suite = Suite(
    "two losses on toy clips",
    Grid(tasks=["toy_clips"], losses=["ce", "focal(gamma=2)"]),
    Grid(tasks=["toy_clips"], losses=["ce"], steps=[("logit_adjustment",)]),
    seeds=2,
)
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "toy.py").write_text(SUITE)
    return tmp_path


def write_clip(path: Path, frames: int = 12) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = np.random.default_rng(frames).integers(0, 255, (frames, 48, 64, 3), np.uint8)
    video.write(path, pictures, fps=10)
    return path


def test_help_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from pybench.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print(sorted({'torch', 'numpy', 'polars', 'scipy', 'rich.progress'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["run", "nosuch"], 2, "unknown suite 'nosuch'"),
        (["run", "quik"], 2, "did you mean 'quick'?"),
        (["run", "toy.py", "--losses", "focal(gama=2)"], 2, "did you mean 'gamma'?"),
        (["run", "toy.py", "--losses", "focal(gamma=-1)"], 2, "gamma must be finite and >= 0"),
        (["run", "toy.py", "--losses", "focal(2)"], 2, "must be given by keyword"),
        (["run", "toy.py", "--losses", "__import__('os')"], 2, "must be given by keyword"),
        (["run", "toy.py", "--tasks", "toy_clip"], 2, "did you mean 'toy_clips'?"),
        (["run", "toy.py", "--engine", "locl"], 2, "did you mean 'local'?"),
        (["run", "toy.py", "--data", "toy_clips=missing"], 2, "must name a path that exists"),
        (["run", "toy.py", "--seeds", "0"], 2, "--seeds"),
        (["run", "nofile.py"], 2, "suite file must exist"),
        (["report", "toy.py"], 3, "suite must have finished trials"),
        (["list", "looses"], 2, "what must be one of losses"),
        (["show", "focal"], 2, "component must be FOLDER/NAME"),
        (["show", "losses/focol"], 2, "did you mean 'focal'?"),
        (["data", "check", "dakon", "."], 2, "did you mean 'dacon'?"),
        (["data", "check", "dacon", "nowhere"], 2, "path must exist, got nowhere"),
        (["data", "check", "dacon", "."], 2, "folder must hold train.csv"),
        (["run", "collision", "--data", "collision=."], 2, "folder must hold train.csv"),
        (["run", "clips"], 2, "--data must name your CSV file"),
        (["data", "make", "clips", "new"], 2, "must have data of its own"),
        (["video", "probe", "nothing.mp4"], 2, "nothing.mp4"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_a_mistake_is_one_sentence_and_an_exit_code(
    here: Path, arguments: list[str], code: int, sentence: str
) -> None:
    done = pybench(*arguments, cwd=here)
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
    assert done.returncode == code


def test_an_unknown_label_is_damaged_data(here: Path) -> None:
    (here / "train.csv").write_text("sample_id,video_path,label\nTRAIN_0000,./a.mp4,99\n")
    done = pybench("data", "check", "dacon", ".", cwd=here)
    assert "label must be in [0, 13), got '99'" in done.stderr
    assert done.returncode == 1


def test_a_traceback_is_shown_only_on_demand(here: Path) -> None:
    assert "Traceback" not in pybench("run", "nosuch", cwd=here).stderr
    assert "Traceback" in pybench("run", "nosuch", cwd=here, PYBENCH_DEBUG="1").stderr


def test_a_suite_runs_reports_and_then_has_nothing_to_do(here: Path) -> None:
    dry = json.loads(pybench("run", "toy.py", "--dry-run", "--json", cwd=here).stdout)
    assert (dry["todo"], dry["done"]) == (6, 0)
    assert not (here / "results" / "trials").exists()

    first = pybench("run", "toy.py", "--engine", "inline", cwd=here)
    assert first.returncode == 0, first.stderr
    assert "focal(gamma=2)" in first.stdout
    board = json.loads((here / "results" / "toy" / "leaderboard.json").read_text())
    assert {row["name"] for row in board["rows"]} == {
        "ce",
        "focal(gamma=2)",
        "ce -> logit_adjustment",
    }
    assert all(row["n_seeds"] == 2 for row in board["rows"])

    again = json.loads(pybench("run", "toy.py", "--json", cwd=here).stdout)
    assert (again["done"], again["skipped"], again["todo"]) == (0, 6, 0)
    status = json.loads(pybench("status", "toy.py", "--json", cwd=here).stdout)
    assert (status["done"], status["todo"]) == (6, 0)
    report = json.loads(pybench("report", "toy.py", "--json", cwd=here).stdout)
    assert len(report["rows"]) == 3


def test_a_failing_loss_is_a_row_and_exit_code_one(here: Path) -> None:
    done = pybench("run", "toy.py", "--losses", "ce,nan_after", "--engine", "inline", cwd=here)
    assert done.returncode == 1
    board = json.loads((here / "results" / "toy" / "leaderboard.json").read_text())
    failed = {row["name"]: row["failures"] for row in board["rows"]}
    assert failed["nan_after"] == 2
    assert failed["ce"] == 0


def test_list_and_show_tell_what_there_is(here: Path) -> None:
    rows = json.loads(pybench("list", "--json", cwd=here).stdout)["rows"]
    assert {"folder": "losses", "name": "focal"} in [
        {"folder": r["folder"], "name": r["name"]} for r in rows
    ]
    assert all(row["summary"] for row in rows)
    about = {(row["folder"], row["name"]): row for row in rows}
    assert about["losses", "focal"]["source"].startswith("Lin, Goyal")
    assert not any(about["losses", "focal"]["uses"].values())
    assert about["losses", "mil"]["uses"]["bags of snippets"] is None
    assert about["metrics", "ece"]["uses"]["boxes"] == "n/a: it scores classes"
    shown = pybench("show", "losses/mil", cwd=here).stdout
    assert "lambda_smooth" in shown
    assert shown.count("Sultani") == 1
    assert "boxes             n/a: a bag loss compares bags of snippets" in shown


def test_damaged_videos_are_named_and_the_rest_is_used(here: Path) -> None:
    rows = ["path,label"]
    for number in range(10):
        write_clip(here / "videos" / f"{number}.mp4", frames=12 + number)
        rows.append(f"videos/{number}.mp4,{'abc'[number % 2]}")
    whole = (here / "videos" / "3.mp4").read_bytes()
    (here / "videos" / "3.mp4").write_bytes(whole[: len(whole) // 2])
    (here / "videos" / "4.mp4").write_text("not a video")
    rows += ["videos/none.mp4,a", "videos/5.mp4,b"]
    (here / "my.csv").write_text("\n".join(rows))
    done = pybench("data", "check", "clips", "my.csv", "--json", cwd=here)
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert found["samples"] == 10
    assert {p["file"] for p in found["problems"]} == {
        "videos/3.mp4",
        "videos/4.mp4",
        "videos/none.mp4",
        "line 13",
    }


def test_a_video_cut_in_half_is_one_sentence(here: Path) -> None:
    clip = write_clip(here / "clip.mp4", frames=30)
    assert (
        json.loads(pybench("video", "probe", "clip.mp4", "--json", cwd=here).stdout)["frames"] == 30
    )
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    done = pybench("video", "probe", "clip.mp4", cwd=here)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "clip.mp4" in done.stderr


def test_kernels_are_timed_beside_their_peers(tmp_path: Path) -> None:
    done = pybench(
        "kernels", "nms", "roc_auc", "--peers", "--scale", "1e-4", "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert {row["kernel"] for row in rows} == {"nms", "roc_auc"}
    for row in rows:
        assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
        assert min(row["ours_ms"], row["peer_ms"], row["target"]) > 0
        assert min(row["ours_spread"], row["peer_spread"]) >= 0
        if row["workload"] == "bare call":
            assert (row["peer"], row["peer_version"]) == ("goal", None)
        else:
            assert row["peer"].partition(".")[0] in ("torchvision", "scikit-learn")
            assert row["peer_version"][0].isdigit()
    small = [row["size"] for row in rows if row["workload"].endswith(" elements")]
    assert sorted(small) == [10, 10, 1000, 1000], "sizes of small workloads are not scaled"


def test_a_kernel_without_workload_is_refused(tmp_path: Path) -> None:
    done = pybench("kernels", "nmss", cwd=tmp_path)
    assert done.returncode == 2
    assert "kernel must be one of" in done.stderr
    assert "got 'nmss'" in done.stderr


def test_kernels_are_listed_and_are_no_suite(tmp_path: Path) -> None:
    listed = json.loads(pybench("list", "kernels", "--json", cwd=tmp_path).stdout)["rows"]
    assert {row["name"] for row in listed} >= {"class_counts", "roc_auc", "nms", "hard_negatives"}
    assert all(row["summary"].endswith(".") for row in listed)
    suites = json.loads(pybench("list", "suites", "--json", cwd=tmp_path).stdout)["rows"]
    assert "kernels" not in {row["name"] for row in suites}
