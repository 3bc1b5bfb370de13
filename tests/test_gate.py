"""The instruction gate: equal on repeat, and 5 % more work does not pass."""

from __future__ import annotations

import copy
import json
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pybench import core
from pybench.cli import app
from pybench.performance import gate
from pybench.performance.kernels import Workload, select
from pybench.performance.recording import Recording, fitting, record, recorded
from pybench.suite import folder

needs_valgrind = pytest.mark.skipif(not shutil.which("valgrind"), reason="needs valgrind")

KEY = {"rustc": "1.95.0", "cpu": "x86_64 avx2"}
ROWS = [
    {"kernel": "nms", "workload": "10,000 boxes", "size": 1000, "instructions": 100_000},
    {"kernel": "shuffle", "workload": "10 elements", "size": 10, "instructions": 4_000},
]
RECORDINGS = [
    Recording(str(r["kernel"]), str(r["workload"]), int(str(r["size"])), ()) for r in ROWS
]


def judged(*counts: int | None, baselines: Any = ({"key": KEY, "rows": ROWS},)) -> gate.Outcome:
    rows = (recording.row for recording in RECORDINGS)
    return gate.compare(KEY, baselines, RECORDINGS, dict(zip(rows, counts, strict=True)))


def shuffled(n: int) -> Recording:
    return Recording("shuffle", f"{n}", n, recorded(lambda: core.shuffle(n)))


# Counting


@needs_valgrind
def test_counts_repeat_five_percent_more_work_is_refused_and_a_failure_is_a_row() -> None:
    # One below and one beyond what runs in the calling thread.
    inside, pooled = (shuffled(n) for n in (10_000, 60_000))
    slowed = [shuffled(n) for n in (10_500, 63_000)]
    refused = Recording("shuffle", "none", -1, (pickle.dumps(("shuffle", (-1,), {})),))
    first = gate.count([refused, inside, pooled, *slowed])
    again = gate.count([inside, pooled])
    assert {row: first[row] for row in again} == again
    for before, after in zip((inside, pooled), slowed, strict=True):
        assert gate.judge(first[after.row], first[before.row]) == "regression"
        assert gate.judge(first[before.row], first[after.row]) == "faster"
    outcome = gate.compare(KEY, (), [refused, inside], first)
    assert [row.verdict for row in outcome.rows] == ["failed", "new"]
    assert not outcome.passed


@needs_valgrind
def test_the_command_holds_to_a_baseline_until_it_is_updated(tmp_path: Path) -> None:
    file = tmp_path / "counts.json"
    long, few = "permutation of 1e7", "10 elements"
    old = [
        {"kernel": "shuffle", "workload": workload, "size": size, "instructions": 1000}
        for workload, size in ((long, 700), (few, 10))
    ]
    gate.write(file, [{"key": gate.key(), "rows": old}])

    def said(*arguments: str) -> tuple[int, dict[str, Any], dict[str, dict[str, Any]]]:
        line = ["gate", "shuffle", "--json", "--baseline", str(file), *arguments]
        done = CliRunner().invoke(app, line, standalone_mode=False)
        assert done.exception is None, done.exception
        found = json.loads(done.stdout)
        return done.return_value, found, {row["workload"]: row for row in found["rows"]}

    code, found, rows = said()
    assert (code, found["passed"], found["matched"]) == (1, False, True)
    assert rows[long]["verdict"] == rows[few]["verdict"] == "regression"
    assert rows["1000 elements"]["verdict"] == "new"
    assert rows[long]["size"] == 700
    code, found, again = said("--update")
    assert (code, found["passed"]) == (0, True)
    counts = {w: row["instructions"] for w, row in again.items()}
    # The environment's size moves a few instructions of the interpreter.
    assert counts == pytest.approx({w: row["instructions"] for w, row in rows.items()}, rel=1e-3)
    (written,) = gate.read(file)
    assert {row["workload"]: row["instructions"] for row in written["rows"]} == counts


def test_without_valgrind_the_gate_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(gate.MissingPartError, match="apt-get install -y valgrind"):
        gate.count([shuffled(10)])


def test_a_profile_of_callgrind_tells_its_instructions() -> None:
    profile = (Path(__file__).parent / "golden" / "callgrind.out").read_text()
    # The costs of all lines but those that repeat what a called function costs.
    own, called = 0, False
    for line in profile.splitlines():
        if not called and (cost := re.match(r"(?:[+-]?\d+|\*) (\d+)$", line)):
            own += int(cost[1])
        called = line.startswith("calls=")
    assert gate.instructions(profile) == own > 0


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[:-40], "profile must end with its totals"),
        (lambda text: text.replace("events: Ir", "events: Ir Dr"), "must count the event Ir alone"),
        (lambda text: "", "must count the event Ir alone"),
    ],
)
def test_a_profile_cut_short_is_refused(damage: Any, said: str) -> None:
    profile = (Path(__file__).parent / "golden" / "callgrind.out").read_text()
    with pytest.raises(ValueError, match=said):
        gate.instructions(damage(profile))


# Judging


@pytest.mark.parametrize(
    ("nms", "verdict", "passed"),
    [
        (100_000, "same", True),
        (101_000, "same", True),
        (101_001, "warning", True),
        (103_000, "warning", True),
        (103_001, "regression", False),
        (105_000, "regression", False),
        (98_000, "faster", True),
        (None, "failed", False),
    ],
)
def test_one_percent_warns_and_three_refuse(nms: int | None, verdict: str, passed: bool) -> None:
    outcome = judged(nms, 4_000)
    assert [row.verdict for row in outcome.rows] == [verdict, "same"]
    assert outcome.passed == passed
    assert outcome.notices == ()


def test_another_toolchain_is_told_apart_and_passes_with_a_notice() -> None:
    other = {"key": KEY | {"rustc": "1.90.0"}, "rows": ROWS}
    outcome = judged(900_000, 4_000, baselines=[other])
    assert {row.verdict for row in outcome.rows} == {"new"}
    assert outcome.passed and not outcome.matched
    assert "no baseline is of this toolchain" in outcome.notices[0]
    assert "(other: rustc 1.95.0)" in outcome.notices[0]
    assert "--update" in outcome.notices[0]


def test_rows_that_are_gone_are_named() -> None:
    outcome = gate.compare(
        KEY, [{"key": KEY, "rows": ROWS}], RECORDINGS[:1], {RECORDINGS[0].row: 100_000}
    )
    assert "no longer counted: shuffle (10 elements)" in outcome.notices[0]


# Baselines


def test_an_update_touches_its_own_key_alone(tmp_path: Path) -> None:
    file = tmp_path / "counts.json"
    other = {"key": KEY | {"rustc": "1.90.0"}, "rows": ROWS}
    before = [other, {"key": KEY, "rows": copy.deepcopy(ROWS)}]
    outcome = judged(50_000, None, baselines=before)
    gate.write(file, gate.updated(before, outcome, some=False))
    assert gate.read(file) == [other, {"key": KEY, "rows": [{**ROWS[0], "instructions": 50_000}]}]
    gate.write(file, gate.updated(before, outcome, some=True))
    assert gate.read(file)[1]["rows"] == [{**ROWS[0], "instructions": 50_000}, ROWS[1]]
    assert gate.sizes(gate.read(file)) == {("nms", "10,000 boxes"): 1000, RECORDINGS[1].row: 10}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"baselines": [{"rows": []}]}', "{}"])
def test_a_damaged_baseline_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "counts.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"counts\.json must hold baselines"):
        gate.read(file)


def test_the_committed_baselines_name_what_a_key_names() -> None:
    baselines = gate.read(folder() / "instructions.json")
    assert baselines
    for baseline in baselines:
        assert set(baseline["key"]) == set(gate.key())
        assert len({(row["kernel"], row["workload"]) for row in baseline["rows"]}) > 30


# Recording


def test_a_recording_holds_arguments_as_they_were_before_the_call() -> None:
    losses, mask = torch.tensor([1.0, 3.0, 2.0]), np.array([True, True, False])
    kernel = core.hard_negatives

    def ours() -> None:
        core.hard_negatives(losses, mask, k=1)
        losses.zero_()

    (call,) = recorded(ours)
    name, (values, where), keywords = pickle.loads(call)
    assert (name, values.tolist(), where.tolist(), keywords) == (
        "hard_negatives",
        [1, 3, 2],
        [True, True, False],
        {"k": 1},
    )
    assert type(values) is np.ndarray
    assert core.hard_negatives is kernel


def test_sizes_are_kept_and_new_ones_fit_the_time() -> None:
    def row(fixed: bool) -> Workload:
        def make(n: int) -> Any:
            return lambda: core.shuffle(n), None

        return Workload("shuffle", "permutation", "numpy", 1, 5000, make, fixed)

    assert fitting(row(fixed=False), 60) == 1000
    assert fitting(row(fixed=False), 0) == 10
    assert fitting(row(fixed=True), 0) == 5000
    assert [r.size for r in record([row(False)], {("shuffle", "permutation"): 77}, 60)] == [77]


def test_workloads_are_chosen_once_or_for_each_peer() -> None:
    once = [workload.workload for workload in select(["class_counts"])]
    assert len(once) == len(set(once))
    every = [workload.workload for workload in select(["class_counts"], peers=True)]
    assert list(dict.fromkeys(every)) == once
    assert len(every) > len(once)
