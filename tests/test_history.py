"""The page of asv's history, and the rules of what asv tracks."""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pybench.cli import app
from pybench.performance import recording
from pybench.report import history

ASV = Path(__file__).parents[1] / "suites" / "asv"
HASHES = [f"{digit}" * 40 for digit in "abcdef"]


def write_results(folder: Path, values: list[list[float | None]]) -> None:
    """Two parameters over commits, the way asv writes them."""
    (folder / "box").mkdir(parents=True)
    (folder / "benchmarks.json").write_text(
        json.dumps({"kernels.time_it": {"unit": "seconds", "name": "kernels.time_it"}})
    )
    facts = {"arch": "x86_64", "cpu": "<fast>", "machine": "box", "version": 1}
    (folder / "box" / "machine.json").write_text(json.dumps(facts))
    for number, (commit, pair) in enumerate(zip(HASHES, values, strict=False)):
        cells = [pair, [["'small'", "'large & wide'"]], "1", 0, 0.1]
        content = {
            "commit_hash": commit,
            "date": 1_700_000_000_000 + 86_400_000 * number,
            "env_name": "virtualenv-py3.11",
            "result_columns": ["result", "params", "version", "started_at", "duration"],
            "results": {"kernels.time_it": cells},
            "version": 2,
        }
        (folder / "box" / f"{commit[:8]}-virtualenv-py3.11.json").write_text(json.dumps(content))


STEPPED: list[list[float | None]] = [
    [0.001, 0.010],
    [0.001, 0.010],
    [0.001, None],
    [0.002, 0.010],
    [0.002, float("nan")],
    [0.002, 0.010],
]


def test_points_steps_and_what_failed_are_read(tmp_path: Path) -> None:
    write_results(tmp_path, STEPPED)
    found = history.read(tmp_path)
    assert [commit.hash for commit in found.commits] == HASHES
    small, large = sorted(found.series, key=lambda series: series.parameters, reverse=True)
    assert (small.parameters, large.parameters) == ("small", "large & wide")
    assert [value for _, value, _ in small.points] == [0.001] * 3 + [0.002] * 3
    assert [commit for commit, _, _ in large.points] == [0, 1, 3, 5]
    assert history.changes(small) == [(3, pytest.approx(1.0))]
    assert history.changes(large) == []
    assert large.steps == (history.Step(0, 3, 0.010),)
    assert found.machines == {"box": {"arch": "x86_64", "cpu": "<fast>", "machine": "box"}}
    assert found.problems == ()


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 2.0, 3.0],
        [1.0, 1.0, 1.0, 1.0, 1.0, 9.0],
        [1.0, 1.0, 1.0, 1.04, 1.04, 1.04],
    ],
    ids=["few points", "one odd point", "a small change"],
)
def test_a_step_needs_points_on_both_sides_and_five_percent(
    values: list[float], tmp_path: Path
) -> None:
    write_results(tmp_path, [[value, value] for value in values])
    found = history.read(tmp_path)
    assert [history.changes(series) for series in found.series] == [[], []]
    said = "Too few commits" if len(values) == 3 else "No step was detected."
    assert said in history.page(found)


def test_the_page_is_whole_marks_the_step_and_asks_for_nothing(tmp_path: Path) -> None:
    write_results(tmp_path, STEPPED)
    text = history.page(history.read(tmp_path))
    assert text == history.page(history.read(tmp_path))
    assert "default-src 'none'" in text
    assert "<script" not in text
    assert not re.search(r"(?:src|href|url)\s*[=(]", text)
    assert text.count('class="up"') == 1 and text.count('class="down"') == 0
    assert "step of +100.0%" in text and "dddddddddd, 2023-11-17: 2 ms" in text
    assert "large &amp; wide" in text and "&lt;fast&gt;" in text and "<fast>" not in text


def test_damaged_files_are_left_out_and_named(tmp_path: Path) -> None:
    write_results(tmp_path, STEPPED)
    whole = sorted((tmp_path / "box").glob("aaaa*.json"))[0]
    whole.write_text(whole.read_text()[:-30])
    (tmp_path / "box" / "bbbbbbbb-virtualenv-py3.11.json").write_text("[]")
    (tmp_path / "box" / "cccccccc-virtualenv-py3.11.json").write_text("{}")
    page = tmp_path / "out" / "page.html"
    line = ["asv-page", str(tmp_path), "--out", str(page), "--json"]
    done = CliRunner().invoke(app, line, standalone_mode=False)
    assert done.exception is None
    said = json.loads(done.stdout)
    assert (said["commits"], said["series"], len(said["problems"])) == (3, 2, 3)
    assert "aaaaaaaa-virtualenv-py3.11.json must be readable JSON" in page.read_text()


def test_without_results_there_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(history.MissingPartError, match="run: make asv"):
        history.read(tmp_path)


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_the_page_opens_in_a_browser_without_a_complaint(tmp_path: Path) -> None:
    write_results(tmp_path, STEPPED)
    page = tmp_path / "page.html"
    page.write_text(history.page(history.read(tmp_path)))
    done = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "step of +100.0%" in done.stdout
    assert "CONSOLE" not in done.stderr


# What asv measures


def benchmarks() -> list[tuple[str, ast.ClassDef]]:
    return [
        (path.name, node)
        for path in sorted((ASV / "benchmarks").glob("*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    ]


def test_every_benchmark_has_a_fixed_version() -> None:
    assert benchmarks()
    for name, node in benchmarks():
        fixed = {
            target.id: statement.value
            for statement in node.body
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        version = fixed.get("version")
        assert isinstance(version, ast.Constant), f"{name}: {node.name}"
        assert version.value == "1"


def test_what_is_tracked_is_named_after_something_that_is_better_when_smaller() -> None:
    methods = {
        item.name
        for _, node in benchmarks()
        for item in node.body
        if isinstance(item, ast.FunctionDef) and item.name != "setup"
    }
    assert {name.partition("_")[0] for name in methods} == {"time", "peakmem", "track"}
    for name in methods:
        if name.startswith("track_"):
            assert re.match(r"track_(error|seconds|bytes|cycles|failures)_", name), name


def record(folder: Path, name: str, f1: float, nll: float, **stamp: Any) -> None:
    path = folder / "trials" / "ab" / name / "record.json"
    path.parent.mkdir(parents=True)
    metric = {"split": "test", "class": "", "unit": "", "n": 9}
    rows = [
        {**metric, "metric": "macro_f1", "value": f1, "higher_is_better": True},
        {**metric, "metric": "nll", "value": nll, "higher_is_better": False},
        {**metric, "metric": "macro_f1", "split": "val", "value": 0, "higher_is_better": True},
        {**metric, "metric": "f1", "value": None, "higher_is_better": True},
    ]
    content = {
        "status": "done",
        "trial": {"task": "collision"},
        "metrics": rows,
        "facts": {"train_s": 2.0},
        "stamp": {"git_sha": "now", "dirty": False, **stamp},
    }
    path.write_text(json.dumps(content))


def test_what_is_tracked_falls_when_results_get_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worse, better = tmp_path / "worse", tmp_path / "better"
    for store, f1, nll in ((worse, 0.5, 0.9), (better, 0.75, 0.6)):
        record(store, "one", f1, nll)
        record(store, "other", 0, 9, git_sha="before")
        record(store, "changed", 0, 9, dirty=True)
        (store / "trials" / "ab" / "torn").mkdir()
        (store / "trials" / "ab" / "torn" / "record.json").write_text('{"status": "do')
    monkeypatch.setenv("ASV_COMMIT", "now")

    def tracked(store: Path) -> dict[str, float]:
        monkeypatch.setenv("PYBENCH_STORE", str(store))
        module = runpy.run_path(str(ASV / "benchmarks" / "results.py"))
        errors, costs = module["Errors"](), module["Costs"]()
        assert costs.track_seconds_of_training("collision") == 2.0
        return {name: errors.track_error_on_test(name) for name in errors.params[0]}

    before, after = tracked(worse), tracked(better)
    assert before == {"collision macro_f1": 0.5, "collision nll": 0.9}
    assert after == {"collision macro_f1": 0.25, "collision nll": 0.6}


def test_what_is_tracked_reads_no_more_than_json() -> None:
    tree = ast.parse((ASV / "benchmarks" / "results.py").read_text())
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    assert imported <= {"json", "os", "collections", "pathlib", "statistics", "typing"}


def test_the_configuration_names_no_machine_and_builds_in_one_folder() -> None:
    text = (ASV / "asv.conf.json").read_text()
    config = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))
    assert os.uname().nodename not in text
    (build,) = config["build_command"]
    assert "--target-dir {conf_dir}/../../target/asv/cargo" in build
    for key in ("env_dir", "results_dir", "html_dir"):
        assert config[key].startswith(("../../target/", "../../results/asv/"))


def test_kernels_of_asv_are_the_recorded_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pybench import core

    module = runpy.run_path(str(ASV / "benchmarks" / "kernels.py"))
    (tmp_path / "0.calls").write_bytes(b"".join(recording.recorded(lambda: core.shuffle(7))))
    gone = (tmp_path / "0.calls").read_bytes().replace(b"shuffle", b"shuffel")
    (tmp_path / "1.calls").write_bytes(gone)
    kernels = module["Kernels"]()
    space = type(kernels).setup.__globals__
    monkeypatch.setitem(space, "CALLS", tmp_path)
    monkeypatch.setitem(space, "ROWS", {"here": "0.calls", "gone": "1.calls"})
    kernels.setup("here")
    assert [result.tolist() for result in kernels.peakmem_kernel("here")] == [
        core.shuffle(7).tolist()
    ]
    with pytest.raises(NotImplementedError):
        kernels.setup("gone")
