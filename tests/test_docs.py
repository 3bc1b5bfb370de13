"""The pages follow the components: one each, and none of what is gone."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

import pybench
from pybench.cli import app
from pybench.docs import REGISTRIES, write
from pybench.figures import figure
from pybench.losses import losses
from pybench.registry import PLUGINS
from pybench.suite import Selection, find, plan, selected_tasks

HALVED = '''"""Half of cross entropy."""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from torch.nn.functional import cross_entropy

from pybench import checks


@dataclass(frozen=True)
class Halved:
    r"""Cross entropy by two.

    .. math:: -\\log p_y / b

    Fields:
        by: what it is divided by, > 0.

    Inputs: logits (B, C); labels (B,).
    Returns: (B,) terms.
    Source: nobody.
    Deviations: none.

    Example:
        >>> import torch, pybench.losses as pl
        >>> fn = pl.loss("halved").prepare(pl.LossContext(num_classes=2))
        >>> (2 * fn(torch.zeros(1, 2), [0])).exp()
        tensor([2.0000])
    """

    by: float = 2.0
    reads: ClassVar[str] = "classes"
    needs: ClassVar[frozenset] = frozenset()
    source: ClassVar[str] = "Nobody: A Loss That Was Made for a Test, section 1"

    def __post_init__(self):
        checks.require(0 < self.by < inf, "by", "finite and > 0", self.by)

    def prepare(self, context):
        return self

    def __call__(self, output, target, *, progress=0.0):
        logits, labels = checks.hard_classes("halved", output, target)
        return cross_entropy(logits, labels, reduction="none") / self.by
'''


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    write(folder)
    return folder


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.what)
def test_every_component_has_its_page_with_its_summary_and_fields(registry, pages: Path) -> None:
    index = (pages / "index.md").read_text()
    for name in registry:
        text = (pages / registry.what / f"{name}.md").read_text()
        assert f"# `{name}`" in text
        assert registry.summary(name) in text
        assert f"({registry.what}/{name}.md)" in index
        for field in dataclasses.fields(registry[name]):
            assert f"`{field.name}`, " in text
    assert {p.stem for p in (pages / registry.what).glob("*.md")} == set(registry)


def test_a_page_reads_as_the_docstring_says(pages: Path) -> None:
    text = (pages / "losses" / "focal.md").read_text()
    assert "```math\n\\alpha_y\\," in text
    assert "- `gamma`, `2.0`: focusing exponent, >= 0; 0 gives cross entropy." in text
    assert "**Source.** Lin, Goyal, Girshick, He, Dollar" in text
    assert "```python\n>>> import torch" in text
    assert ".. math" not in text


def test_pages_say_where_a_component_can_be_used(pages: Path) -> None:
    bags = (pages / "losses" / "mil.md").read_text()
    assert "| bags of snippets | yes |" in bags
    assert "| images | n/a: a bag loss compares bags" in bags
    crop = (pages / "transforms" / "crop.md").read_text()
    assert "| clips | yes |" in crop
    assert "| features | n/a: transform 'crop' changes clips or images" in crop


def test_a_loss_of_the_logits_is_drawn_as_it_is(pages: Path) -> None:
    drawn = {path.stem for path in (pages / "losses").glob("*.svg")}
    assert drawn == set(losses)
    svg = ET.parse(pages / "losses" / "ce.svg").getroot()
    values, gradients = (
        [float(pair.split(",")[1]) for pair in line.attrib["points"].split()]
        for line in svg.iter("{http://www.w3.org/2000/svg}polyline")
    )
    # Both fall as the probability rises: down the page is up in y. -log .01 is the top.
    assert values == sorted(values) and gradients == sorted(gradients)
    assert values[0] == 40
    assert gradients[49] - 40 == pytest.approx(260 * (1 - 0.5 / 4.60517), abs=0.1)


NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def test_the_committed_pages_are_what_make_docs_writes(pages: Path) -> None:
    committed = Path(__file__).parents[1] / "docs" / "components"
    ours = Path(pybench.__file__).parent
    own = {
        name
        for registry in REGISTRIES
        for name in registry
        if not Path(inspect.getfile(registry[name])).is_relative_to(ours)
    }
    made, kept = (
        {path.relative_to(folder) for path in folder.rglob("*.*") if path.stem not in own}
        for folder in (pages, committed)
    )
    assert made == kept, "make docs"
    for path in sorted(made):
        new, old = ((folder / path).read_text() for folder in (pages, committed))
        if path.suffix == ".svg":  # another processor may round the last digit the other way
            numbers = [[float(x) for x in NUMBER.findall(text)] for text in (new, old)]
            assert numbers[0] == pytest.approx(numbers[1], abs=0.2), f"make docs: {path}"
            new, old = (NUMBER.sub("0", text) for text in (new, old))
        if path.name == "index.md":
            new = "\n".join(line for line in new.split("\n") if line[4:].split("`")[0] not in own)
        assert new.strip() == old.strip(), f"make docs: {path}"


def test_every_sort_of_loss_is_drawn_against_its_own_variable() -> None:
    axes = {name: re.findall(r">([^<>]+)</text>", figure(name).svg)[1] for name in losses}
    assert axes["ce"] == "probability of the true class"
    assert axes["ldam"] == "cosine of the true class"
    assert axes["mil"] == "score of the abnormal bag minus that of the normal bag"
    assert axes["ciou"] == axes["smooth_l1"] == "IoU"
    assert axes["varifocal"] == axes["f1_composite"] == "probability of the object"
    assert axes["supcon"] == "cosine similarity of two samples of one class"


def test_the_curve_of_a_margin_is_the_formula() -> None:
    svg = ET.fromstring(figure("mil").svg)
    values, gradients = (
        [float(pair.split(",")[1]) for pair in line.attrib["points"].split()]
        for line in svg.iter("{http://www.w3.org/2000/svg}polyline")
    )
    # 1 - m + 8 lambda ((1 + m) / 2)^2: highest at m = -.98, where the gradient is still near 1.
    top = 1.98 + 8 * 8e-5 * 0.01**2
    assert values[49] - 40 == pytest.approx(260 * (1 - 1 / top), abs=0.1)
    assert gradients[49] - 40 == pytest.approx(260 * (1 - (1 - 8e-5 * 8) / top), abs=0.1)


def test_what_others_put_beside_the_pages_stays(tmp_path: Path) -> None:
    (tmp_path / "losses").mkdir()
    mine = tmp_path / "losses" / "notes.md"
    mine.write_text("my own notes")
    write(tmp_path)
    assert mine.read_text() == "my own notes"


def test_a_loss_file_appears_everywhere_and_is_gone_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, folder = tmp_path / "plugins" / "losses" / "halved.py", tmp_path / "docs"
    file.parent.mkdir(parents=True)
    monkeypatch.setenv(PLUGINS, str(tmp_path / "plugins"))

    _, full = find("full")
    ids = dict.fromkeys(selected_tasks(full, Selection()), "any")
    refused = {r.row.partition(" ")[0] for r in plan(full, Selection(seeds=1), ids).refused}

    def seen() -> set[str]:
        listed = CliRunner().invoke(app, ["list", "losses", "--json"], catch_exceptions=False)
        made = CliRunner().invoke(app, ["docs", str(folder), "--json"], catch_exceptions=False)
        pages = [f for f in json.loads(made.stdout)["files"] if "halved" in f]
        names = [row["name"] for row in json.loads(listed.stdout)["rows"]]
        trials = plan(full, Selection(seeds=1), ids).trials
        planned = {term for trial in trials for term in trial.loss.split(" + ")}
        assert planned | refused == set(names)
        there = [str(p.relative_to(folder)) for p in folder.rglob("halved*")]
        assert sorted(pages) == sorted(there)
        return {*pages, *(name for name in names if name == "halved")}

    assert seen() == set()
    file.write_text(HALVED)
    assert seen() == {"halved", "losses/halved.md", "losses/halved.svg"}
    assert "halved" in (folder / "index.md").read_text()
    file.unlink()
    assert seen() == set()
    assert "halved" not in (folder / "index.md").read_text()


def test_the_contracts_find_a_loss_because_its_file_exists(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    skipped = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(root / "pybench", tmp_path / "pybench", ignore=skipped)
    for library in (root / "pybench").glob("_core*.so"):
        (tmp_path / "pybench" / library.name).symlink_to(library)
    (tmp_path / "pybench" / "losses" / "halved.py").write_text(HALVED)
    (tmp_path / "tests" / "golden").mkdir(parents=True)
    for name in ("conftest.py", "examples.py", "test_losses.py", "golden/losses.json"):
        shutil.copy(root / "tests" / name, tmp_path / "tests" / name)
    run = [sys.executable, "-m", "pytest", "tests/test_losses.py", "-k", "halved", "-q", "-rA"]
    done = subprocess.run(
        [*run, "--import-mode=importlib", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "test_terms_and_gradients_are_finite_and_keep_the_dtype[dtype0-1.0-halved]" in done.stdout
    )
    assert "test_a_negative_or_unbounded_number_is_refused_by_name[halved]" in done.stdout
