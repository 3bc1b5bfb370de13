"""Verdicts between two revisions: synthetic times whose truth is known."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pybench.performance import against, replay
from pybench.performance.recording import Recording, Row, recorded

ROUNDS = 7
PROGRAMS = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])

Times = dict[Row, list[tuple[float, float | None]]]


def rows(number: int) -> list[Recording]:
    return [Recording("nms", f"row {i}", 10, ()) for i in range(number)]


def simulated(
    recordings: list[Recording],
    rng: np.random.Generator,
    slower: Callable[[int], float],
    noise: Callable[[np.random.Generator], float],
) -> Times:
    return {
        recording.row: [
            (slower(i) * float(np.exp(noise(rng))), float(np.exp(noise(rng))))
            for _ in range(ROUNDS)
        ]
        for i, recording in enumerate(recordings)
    }


def calm(rng: np.random.Generator) -> float:
    return rng.normal(0, 0.005)


def wild(rng: np.random.Generator) -> float:
    return rng.normal(0, 0.01) + (rng.exponential(0.5) if rng.random() < 0.3 else 0)


def test_a_calm_machine_tells_all_three_apart() -> None:
    recordings = rows(40)
    times = simulated(recordings, np.random.default_rng(0), lambda i: 1.2 if i < 10 else 1, calm)
    found = against.judge(recordings, times)
    assert [row.verdict for row in found] == ["regression"] * 10 + ["same"] * 30
    for row in found[:10]:
        assert row.ratio_low is not None and row.ratio is not None and row.ratio_high is not None
        assert row.ratio_low < row.ratio < row.ratio_high
        assert row.ratio == pytest.approx(1.2, rel=0.02)
    faster = simulated(recordings, np.random.default_rng(1), lambda i: 0.7, calm)
    assert {row.verdict for row in against.judge(recordings, faster)} == {"same"}


def test_a_noisy_machine_cannot_tell_instead_of_guessing() -> None:
    recordings = rows(40)
    times = simulated(recordings, np.random.default_rng(0), lambda i: 1.1, wild)
    found = [row.verdict for row in against.judge(recordings, times)]
    assert found.count("cannot tell") > 20
    assert "regression" not in found


@pytest.mark.parametrize("noise", [calm, wild])
def test_a_slowdown_at_the_threshold_is_called_a_regression_in_few_jobs(
    noise: Callable[[np.random.Generator], float],
) -> None:
    recordings, rng, jobs = rows(20), np.random.default_rng(0), 200
    alarms = sum(
        any(
            row.verdict == "regression"
            for row in against.judge(
                recordings, simulated(recordings, rng, lambda i: 1 + against.SLOWER, noise)
            )
        )
        for _ in range(jobs)
    )
    # 5 % of 200 jobs are 10; above 18 is less likely than 1 %.
    assert alarms <= 18


def test_times_without_any_spread_are_judged_too() -> None:
    recordings = rows(3)
    times: Times = {
        recordings[0].row: [(2.0, 1.0)] * 3,
        recordings[1].row: [(1.0, 1.0)] * 3,
        recordings[2].row: [(1.0, None)] * 3,
    }
    found = against.judge(recordings, times)
    assert [row.verdict for row in found] == ["regression", "same", "new"]
    assert (found[0].ratio, found[0].there_ms, found[2].there_ms) == (pytest.approx(2), 1000, None)


def test_a_side_times_calls_and_says_when_it_has_no_such_kernel(tmp_path: Path) -> None:
    from pybench import core

    shuffled, unknown = tmp_path / "shuffled.calls", tmp_path / "unknown.calls"
    shuffled.write_bytes(b"".join(recorded(lambda: core.shuffle(1000))))
    unknown.write_bytes(shuffled.read_bytes().replace(b"shuffle", b"shuffel"))
    with against.Side(Path(core.__file__).parents[1]) as side:
        seconds = side.seconds(shuffled)
        assert seconds is not None and 0 < seconds < 1
        assert side.seconds(unknown) is None
    with pytest.raises(AttributeError, match="shuffel"):
        replay.load(unknown)


def test_only_a_commit_can_be_compared_with() -> None:
    with pytest.raises(LookupError, match="--against must name a commit of this checkout"):
        against.compare("no-such-revision")
    with pytest.raises(ValueError, match="rounds must be >= 3, got 2"):
        against.compare("HEAD", rounds=2)


def test_without_maturin_the_comparison_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(against.MissingPartError, match="pip install maturin"):
        against.build(tmp_path, tmp_path / "into", tmp_path / "target")


@pytest.mark.skipif(not shutil.which("maturin", path=PROGRAMS), reason="needs maturin")
def test_a_tree_that_does_not_build_is_named(tmp_path: Path) -> None:
    (tmp_path / "rust" / "py").mkdir(parents=True)
    (tmp_path / "rust" / "py" / "Cargo.toml").write_text("[package]\n")
    with pytest.raises(RuntimeError, match="revision must build"):
        against.build(tmp_path, tmp_path / "into", tmp_path / "target")


def test_the_worktree_of_a_comparison_is_gone_afterwards(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        line = ["git", "-C", str(tmp_path / "repo"), *arguments]
        return subprocess.run(line, check=True, capture_output=True, text=True).stdout

    (tmp_path / "repo").mkdir()
    git("init", "--quiet")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--allow-empty", "-qm", "first")
    commit = against._commit(tmp_path / "repo", "HEAD")
    with against._worktree(tmp_path / "repo", commit, tmp_path / "tree") as tree:
        assert (tree / ".git").exists()
    assert not tree.exists()
    assert len(git("worktree", "list").splitlines()) == 1
