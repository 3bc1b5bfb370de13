"""The code id: it changes with the code a trial uses, and with nothing else."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pybench
from pybench.code import code_id, read_source
from pybench.registry import SpecError
from pybench.trial import Trial

PACKAGE = Path(pybench.__file__).parent
TRIAL = Trial("toy_clips", "", "toy_net", 'ce + nan_after(steps=1) + class_balanced(base="focal")')
PRINT = (
    "from pybench.code import code_id; from pybench.trial import Trial; import sys\n"
    "print(code_id(Trial('toy_clips', '', 'toy_net', sys.argv[1], steps=tuple(sys.argv[2:]))))"
)


class Tree:
    """A copy of the package and the toy components, whose sources a test edits."""

    def __init__(self, root: Path) -> None:
        self.root = root
        ignore = shutil.ignore_patterns("__pycache__", "published")
        shutil.copytree(PACKAGE, root / "pybench", ignore=ignore)
        shutil.copytree(Path(__file__).parent / "plugins", root / "tests" / "plugins")

    def id(self, loss: str = TRIAL.loss, *steps: str) -> str:
        """The code id that a fresh process computes."""
        done = subprocess.run(
            [sys.executable, "-c", PRINT, loss, *steps],
            capture_output=True,
            text=True,
            check=True,
            cwd=self.root,
            env={
                **os.environ,
                "PYTHONPATH": str(self.root),
                "PYBENCH_PLUGINS": str(self.root / "tests" / "plugins"),
            },
        )
        return done.stdout.strip()

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        file = self.root / path
        text = change(file.read_text())
        assert text != file.read_text(), "the edit must change the file"
        file.write_text(text)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tree, str]:
    tree = Tree(tmp_path_factory.mktemp("tree"))
    return tree, tree.id()


def after_edit(copied: tuple[Tree, str], path: str, change: Callable[[str], str]) -> bool:
    """Whether an edit changes the id; the file is put back."""
    tree, before = copied
    text = (tree.root / path).read_text()
    try:
        tree.edit(path, change)
        return tree.id() != before
    finally:
        (tree.root / path).write_text(text)


def more_code(text: str) -> str:
    return f"{text}\nADDED = 1\n"


USED = [
    "pybench/train.py",
    "pybench/registry.py",
    "pybench/losses/__init__.py",
    "pybench/losses/ce.py",
    "tests/plugins/losses/nan_after.py",
    "pybench/losses/focal.py",
    "pybench/class_weights.py",
    "pybench/seeds.py",
    "pybench/samplers/natural.py",
    "pybench/metrics/macro_f1.py",
    "tests/plugins/tasks/toy_clips.py",
    "tests/plugins/models/toy_net.py",
]
UNUSED = [
    "pybench/__init__.py",
    "pybench/cli.py",
    "pybench/store.py",
    "pybench/code.py",
    "pybench/engines/local.py",
    "pybench/losses/mil.py",
    "pybench/samplers/class_balanced.py",
    "pybench/steps/logit_adjustment.py",
    "tests/plugins/tasks/toy_bags.py",
]


@pytest.mark.parametrize("path", USED)
def test_an_edit_of_used_code_changes_the_id(copied: tuple[Tree, str], path: str) -> None:
    assert after_edit(copied, path, more_code)


@pytest.mark.parametrize("path", UNUSED)
def test_an_edit_of_other_code_does_not(copied: tuple[Tree, str], path: str) -> None:
    assert not after_edit(copied, path, more_code)


@pytest.mark.parametrize("path", USED[:4])
def test_comments_and_docstrings_do_not_count(copied: tuple[Tree, str], path: str) -> None:
    def reworded(text: str) -> str:
        return "# A note.\n\n" + text.replace('"""', '"""Reworded. ', 1)

    assert not after_edit(copied, path, reworded)


def test_a_new_component_does_not_count(copied: tuple[Tree, str]) -> None:
    tree, before = copied
    added = tree.root / "pybench" / "losses" / "brand_new.py"
    added.write_text("VALUE = 1\n")
    try:
        assert tree.id() == before
    finally:
        added.unlink()


def test_the_id_is_that_of_this_process_too(copied: tuple[Tree, str]) -> None:
    assert code_id(TRIAL) == copied[1]


def test_steps_count(copied: tuple[Tree, str]) -> None:
    tree, before = copied
    stepped = tree.id(TRIAL.loss, "logit_adjustment")
    assert stepped != before
    tree.edit("pybench/steps/logit_adjustment.py", more_code)
    assert tree.id(TRIAL.loss, "logit_adjustment") != stepped


@pytest.mark.parametrize("field", ["task", "model", "sampler", "transform", "loss"])
def test_a_component_that_does_not_exist_is_refused(field: str) -> None:
    with pytest.raises(SpecError, match=r"unknown .* 'nowhere'"):
        code_id(dataclasses.replace(TRIAL, **{field: "nowhere"}))


def test_components_inside_a_component_count() -> None:
    with pytest.raises(SpecError, match=r"unknown .* 'nowhere'"):
        code_id(dataclasses.replace(TRIAL, loss="class_balanced(base=nowhere)"))


def digest(text: str) -> str:
    return read_source(text, "pybench").digest


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("x = 1", "x = (1)  # one"),
        ("def f():\n    'Doc.'\n    return 1", "def f(): return 1"),
        ("class A:\n    'Doc.'\n    x: int = 1\n    'About x.'", "class A:\n    x: int = 1"),
        ("if TYPE_CHECKING:\n    import os\nx = 1", "x = 1"),
        ("if typing.TYPE_CHECKING:\n    y = 2\nelse:\n    x = 1", "x = 1"),
    ],
)
def test_what_does_not_run_is_left_out(one: str, two: str) -> None:
    assert digest(one) == digest(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("x = 1", "x = 2"),
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 'a'", "x = b'a'"),
        ("f(a, b)", "f(b, a)"),
        ("a - b", "a + b"),
        ("def f(x=1): return x", "def f(x=2): return x"),
        ("def f():\n    return 'Doc.'", "def f():\n    'Doc.'"),
        ("if DEBUG:\n    x = 1", "x = 1"),
        ("x = [None]", "x = [0]"),
        ("f(None)", "f()"),
    ],
)
def test_what_runs_differently_differs(one: str, two: str) -> None:
    assert digest(one) != digest(two)


@pytest.mark.parametrize(
    ("text", "kernels"),
    [
        ("from pybench.core import nms, box_iou as iou", {"nms", "box_iou"}),
        ("from pybench import core\nx = core.nms(1)", {"nms"}),
        ("from pybench import core as c\ndef f(): return c.nms(c.box_iou)", {"nms", "box_iou"}),
        ("import pybench.core\nx = pybench.core.nms", {"nms"}),
        ("import pybench.core as k\nx = k.nms", {"nms"}),
        ("def f():\n    from pybench._core import shuffle", {"shuffle"}),
        ("from pybench import video\nvideo.probe('x')", {"video"}),
        ("from pybench.video import probe", {"video"}),
        ("if TYPE_CHECKING:\n    from pybench.core import nms", set()),
        ("import numpy as core\ncore.nms()", set()),
    ],
)
def test_kernels_are_found_by_how_they_are_named(text: str, kernels: set[str]) -> None:
    assert read_source(text, "pybench.losses").kernels == kernels


def test_imports_are_found_with_the_packages_around_them() -> None:
    text = "from pybench.data import splits\ndef f():\n    import pybench.scoring as c\n"
    modules = read_source(text, "pybench.losses").modules
    assert {"pybench.data", "pybench.data.splits", "pybench.scoring", "pybench.losses"} <= modules
    assert "pybench.data" in read_source("from ..data import x", "pybench.losses").modules


def test_words_are_the_names_in_strings_that_read_as_specs() -> None:
    text = "'A docstring.'\nx = ('macro_f1', 'map(iou=0.5)', 'a sentence, with a comma')"
    assert read_source(text, "pybench.tasks").words == {"macro_f1", "map"}
